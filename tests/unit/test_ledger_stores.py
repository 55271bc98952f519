"""What verify keeps of offsets, digests and keys: like sets and dicts, but small, and back from their pages."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.oncall.ledger.offsets import PAGE, Digests, KeyPlace, Keys, OffsetSet

OFFSETS = st.integers(0, 3 * PAGE)


@given(st.lists(OFFSETS), st.sets(OFFSETS), st.sets(OFFSETS))
def test_offsets_are_a_set(added: list[int], discarded: set[int], others: set[int]) -> None:
    """In, out, asked for, compared; and the same from its pages."""
    offsets, plain, other = OffsetSet(), set[int](), OffsetSet()
    for offset in added:
        assert offsets.add(offset) == (offset not in plain)
        plain.add(offset)
    for offset in discarded:
        offsets.discard(offset)
    for offset in others:
        other.add(offset)
    plain -= discarded
    assert list(offsets) == sorted(plain)
    assert list(offsets.without(other)) == sorted(plain - others)
    assert len(offsets) == len(plain)
    assert all((offset in offsets) == (offset in plain) for offset in (*added, *discarded))
    assert list(OffsetSet(offsets.pages())) == sorted(plain)


@given(st.dictionaries(OFFSETS, st.binary(min_size=32, max_size=32)), st.binary(min_size=32, max_size=32))
def test_digests_tell_another_value(put: dict[int, bytes], other: bytes) -> None:
    """By 8 bytes; where none was put nothing is said."""
    digests = Digests()
    for offset, digest in put.items():
        digests.put(offset, digest)
    digests = Digests(digests.pages())
    for offset, digest in put.items():
        assert digests.is_same(offset, digest)
        assert digests.is_same(offset, other) == (other[:8] == digest[:8])
    assert digests.is_same(4 * PAGE, other) is None


def test_a_digest_of_zeros_is_one() -> None:
    """Not the mark of an offset that has none."""
    digests = Digests()
    digests.put(1, bytes(32))
    assert (digests.is_same(1, bytes(32)), digests.is_same(0, bytes(32))) == (True, None)


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.booleans(), st.booleans())))
def test_keys_that_matter_come_with_all_their_places(named: list[tuple[str, bool, bool]]) -> None:
    """Those provided more than once, and those that are unknown; from their pages too."""
    keys = Keys()
    places = {}
    for number, (key, provided, unknown) in enumerate(named):
        place = KeyPlace(number % 3, number, provided, unknown)
        keys.add(key, place)
        places.setdefault(key, []).append(place)
    due = [group for group in places.values() if sum(p.provided for p in group) > 1 or any(p.unknown for p in group)]
    told = [sorted(group, key=_offset) for group in Keys(keys.pages()).groups()]
    assert sorted(told, key=lambda group: group[0].offset) == sorted(due, key=lambda group: group[0].offset)


def _offset(place: KeyPlace) -> int:
    return place.offset
