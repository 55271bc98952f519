"""GeNiE's books: what it takes of a batch, what it answers, what it says on being asked. It keeps its contract.

It judges `expires` when it durably accepts, by a clock that may be behind by the skew; entries in order, and after one
of a subject that it did not take it leaves the others of that subject.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from gateway.core.decide import Permit, decide
from gateway.core.minimise import body_digest
from tests.core_cases import NOW, POLICY
from tests.model.shape import EXPIRES, MINIMISER, OLD, SKEW, Shape, Trouble, key
from tests.model.state import Answer, Entry, First, Stored
from tests.model.words import Words

KEY_REUSED = "urn:genie:problem:idempotency-key-reused"
EXPIRED = "urn:genie:problem:signature-expired"
REFUSED = "urn:genie:problem:entry-refused"
CHOKED = "urn:genie:problem:malformed"

Books = tuple[Stored, ...]


class Whim(NamedTuple):
    """What GeNiE makes of the first new entry from a place of the batch on, if it is in a mood."""

    trouble: Trouble
    place: int


class Judged(NamedTuple):
    """A batch that has been taken in."""

    books: Books
    answer: Answer
    accepted: tuple[tuple[Entry, Stored], ...]
    confused: bool  # a key came again from the same record, with another body


def first_of(shape: Shape, entry: Entry) -> First:
    """What GeNiE is told of where an entry comes from."""
    record = shape.inputs[entry.offset]
    assert record is not None
    return First(record.origin, shape.records[entry.offset], entry.digest)


def judge(shape: Shape, books: Books, entries: tuple[Entry, ...], whim: Whim | None = None) -> Judged:
    """Take a batch in, entry by entry."""
    stored = {each.key: each for each in books}
    results, accepted, confused = [], [], False
    blocked: set[str] = set()
    for place, entry in enumerate(entries):
        record = shape.inputs[entry.offset]
        assert record is not None
        subject, had = record.subject_ref or "", stored.get(entry.key)
        first, problem = first_of(shape, entry), None
        in_a_mood = whim is not None and whim.place == place and had is None
        if subject in blocked:
            status, first = "retry", None
        elif had is not None and had.first.digest == entry.digest:
            status, first = "superseded" if had.status == "superseded" else "duplicate", had.first
        elif had is not None:
            status, first, problem = "rejected", had.first, KEY_REUSED
            confused = confused or had.offset == entry.offset
            blocked.add(subject)
        elif in_a_mood and whim is not None and whim.trouble is Trouble.RETRY:
            status, first = "retry", None
            blocked.add(subject)
        elif in_a_mood and whim is not None and whim.trouble is Trouble.REJECTED:
            status, first, problem = "rejected", None, REFUSED
            blocked.add(subject)
        else:
            stale = in_a_mood and whim is not None and whim.trouble is Trouble.SUPERSEDED
            status = "superseded" if stale else "accepted"
            stored[entry.key] = Stored(entry.key, entry.offset, first, status, 0)
            accepted.append((entry, stored[entry.key]))
        results.append((entry.key, status, first, problem))
    return Judged(tuple(sorted(stored.values())), Answer(200, tuple(results)), tuple(accepted), confused)


def look_up(books: Books, keys: tuple[str, ...], otherwise: str = "not_received") -> tuple[int, tuple[Any, ...]]:
    """What is in the books now of each key."""
    stored = {each.key: each for each in books}
    return 0, tuple((k, "received", stored[k].first) if k in stored else (k, otherwise, None) for k in keys)


def look_up_stale(books: Books, keys: tuple[str, ...]) -> tuple[int | None, tuple[Any, ...]]:
    """What was in the books before any of the keys was; it says as of when (None: long ago)."""
    ages = [each.age for each in books if each.key in keys]
    ago = max(ages, default=OLD)
    return (None if ago >= OLD else ago), tuple((key, "not_received", None) for key in keys)


def had_before(shape: Shape, words: Words) -> Iterator[Stored]:
    """What GeNiE took before this story, from the records that are now to be replayed."""
    for name in shape.had_before:
        offset = shape.records.index(name)
        record = shape.inputs[offset]
        assert record is not None and record.event is not None
        state = shape.views[0].consents[record.event.subject_ref]
        permit = decide(record.event, state, POLICY, now=NOW, expires_at=NOW + EXPIRES, skew_ms=SKEW)
        assert isinstance(permit, Permit)
        number = words.number_of(body_digest(MINIMISER.body(record.event, permit.scope)))
        yield Stored(key(name), None, First(record.origin, name, number), "accepted", OLD)
