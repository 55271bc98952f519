"""How a state lies in the view: in few bytes, or as text."""

from dataclasses import replace

import pytest

from gateway.core.consent import Consent, ConsentStatus, LegalBasis
from gateway.kafka import view_rows
from gateway.kafka.view_rows import PACKED_BYTES, TERMS_BYTES, TERMS_KEPT, UNREADABLE, Rows, Seen, key_of

ANNA, BERT = "subject-anna", "subject-bert"
PLAIN = Consent(
    record_id="00112233-4455-6677-8899-aabbccddeeff",
    version=7,
    subject_ref=ANNA,
    recipient="genie",
    status=ConsentStatus.GIVEN,
    policy_version=20_509,
    consented_at=1_772_000_000_000,
    expires_at=None,
    history_from=None,
    items=frozenset({"name", "payment_history"}),
    opted_out=frozenset(),
    contract_refs=None,
    legal_basis=LegalBasis.CONSENT,
)
# As releases wrote them: raise FORMAT of the view if one of these changes.
ROW = "0000000300000007ffff019c936e380000112233445566778899aabbccddeeff"
WHOLE_ROW = "0000000300000007499d019c936e380000112233445566778899aabbccddeeff" + b'[5,["c-1"]]'.hex()
TERMS = b'["genie","given",20509,["name","payment_history"],[],"consent"]'


def test_rows_are_what_they_were() -> None:
    """A later release reads them, or raises FORMAT."""
    rows = Rows({})
    whole = replace(PLAIN, expires_at=5, history_from=18_845, contract_refs=frozenset({"c-1"}))
    assert (rows.write(Seen(3, PLAIN)).hex(), rows.write(Seen(3, whole)).hex()) == (ROW, WHOLE_ROW)
    assert rows.unsaved() == {b"\0\0": TERMS}
    assert key_of(ANNA).hex() == "97ce191ba7ecb32ad3193413df3c0b12"


def test_a_subject_is_found_by_its_own_key() -> None:
    """Keys are short, all of one length, and no two the same."""
    subjects = [f"cust-{number:059}" for number in range(10_000)]
    assert {len(key_of(subject)) for subject in subjects} == {16}
    assert len({key_of(subject) for subject in subjects}) == len(subjects)


def test_common_terms_are_saved_once() -> None:
    """What is saved is not given again; what was not, because the transaction failed, is given until it is."""
    rows = Rows({})
    rows.write(Seen(0, PLAIN))
    rows.write(Seen(1, replace(PLAIN, record_id="ffffffff-4455-6677-8899-aabbccddeeff", version=9)))
    first = rows.unsaved()
    assert len(first) == 1
    assert rows.unsaved() == first
    rows.all_saved()
    assert rows.unsaved() == {}
    rows.write(Seen(0, replace(PLAIN, status=ConsentStatus.WITHDRAWN)))
    second = rows.unsaved()
    assert len(second) == 1
    withdrawn = replace(PLAIN, status=ConsentStatus.WITHDRAWN)
    assert Rows(first | second).read(ANNA, Rows(first | second).write(Seen(0, withdrawn))) == Seen(0, withdrawn)


def test_terms_that_are_long_or_too_many_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """They lie in their own subject's row: what a process keeps of them is bounded."""
    rows, long = Rows({}), replace(PLAIN, items=frozenset({"x" * TERMS_BYTES}))
    assert rows.read(ANNA, rows.write(Seen(0, long))).state == long
    assert rows.unsaved() == {}
    monkeypatch.setattr(view_rows, "TERMS_KEPT", 2)
    policies = [replace(PLAIN, policy_version=number) for number in range(4)]
    sizes = [len(rows.write(Seen(0, each))) for each in policies]
    assert [size == PACKED_BYTES for size in sizes] == [True, True, False, False]
    assert [rows.read(ANNA, rows.write(Seen(0, each))).state for each in policies] == policies


def test_no_packed_row_begins_as_a_text_does() -> None:
    """The two are told apart by their first byte."""
    assert (TERMS_KEPT - 1).to_bytes(2, "big") < b"["


@pytest.mark.parametrize(
    "row",
    [b"", b"[", b"[1]", b"{}", b"5", b"[0,1", b"[1,7]", bytes.fromhex(ROW)[:-1], b"\0\1" + bytes.fromhex(ROW)[2:]],
)
def test_damage_is_told(row: bytes) -> None:
    """A row that no release wrote raises one of the errors that mean so, and no other."""
    rows = Rows({b"\0\0": TERMS})
    with pytest.raises(UNREADABLE):
        rows.read(BERT, row)


@pytest.mark.parametrize("saved", [{b"\0\1": TERMS}, {b"\0\0": b"[]"}, {b"\0\0": b"x"}, {b"\0\0": b"[1,2,3,4,5,6]"}])
def test_damaged_terms_are_told(saved: dict[bytes, bytes]) -> None:
    """Terms that no release wrote, or that lack one."""
    with pytest.raises(UNREADABLE):
        Rows(saved)
