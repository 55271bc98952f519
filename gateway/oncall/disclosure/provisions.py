"""What one customer's ledger records say was provided, and what is not settled.

Knows how records about the same event bear on each other. Must not know where they are read or how they are told.
Records of one event share its idempotency key. What they say together:

    something was sent, and GeNiE took or refused it     a provision, its kind by the answer
    a replay found it at GeNiE and sent nothing          no provision of its own; it settles an earlier doubt
    the outcome is unknown, and
      another attempt was taken, not as a duplicate      no doubt: that one is listed
      a replay later found it at GeNiE                   a provision after all, dated as GeNiE dates it
      the same body was later called a duplicate         a provision after all, and the duplicate beside it
      another body was later called a duplicate          a doubt: GeNiE has one of them
      a replay ended otherwise (it asks GeNiE first)     not received: nothing was provided
      nothing of these                                   a doubt, told as one
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gateway.core.reasons import Outcome, Reason, Transmitted
from gateway.oncall.disclosure.words import Doubt, Kind
from gateway.oncall.ledger.source import LedgerEntry, Place, places_of

Record = Mapping[str, Any]
Source = tuple[str, str, int, int]  # cluster_id, topic, partition, offset: no other record has the same

TAKEN = frozenset({Outcome.PROVIDED.code, Outcome.DUPLICATE.code, Outcome.SUPERSEDED.code})
_UNKNOWN = Reason.OUTCOME_UNKNOWN.code
_KINDS = {
    Outcome.PROVIDED.code: Kind.PROVIDED,
    Outcome.DUPLICATE.code: Kind.DUPLICATE,
    Outcome.SUPERSEDED.code: Kind.SUPERSEDED,
}
HOLDING = frozenset({*_KINDS.values(), Kind.CORRECTION})  # GeNiE has said that it holds the data


@dataclass(frozen=True, slots=True)
class Provision:
    """One transmission that GeNiE answered for. `at` is when GeNiE received it, or else when we settled it, ms."""

    kind: Kind
    at: int
    confirmed_later: bool  # its own answer was lost; GeNiE said so when it was asked again
    record: Record  # with the items, purposes, consent and recipient
    receipt_id: str | None


@dataclass(frozen=True, slots=True)
class Unsettled:
    """One attempt of which it is not settled what became of it. `tried_at` is when it was announced, ms."""

    doubt: Doubt
    tried_at: int
    cluster_id: str
    input: Place  # the record that was taken: the original, or the request to replay it
    place: Place  # the original
    key: str | None
    event_type: str | None
    items: Sequence[str]
    purposes: Sequence[str]
    consent: Record | None
    recipient: Record | None


@dataclass(frozen=True, slots=True)
class Books:
    """All that concerns a customer, each by time."""

    provisions: tuple[Provision, ...]
    unsettled: tuple[Unsettled, ...]
    corrections_withheld: tuple[Record, ...]  # after a withdrawal: never sent

    @property
    def taken(self) -> tuple[Provision, ...]:
        """The provisions but for what GeNiE refused."""
        return tuple(each for each in self.provisions if each.kind in HOLDING)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to tell GeNiE of."""
        return not (self.provisions or self.unsettled or self.corrections_withheld)

    def noting(self, corrections: frozenset[Source]) -> Books:
        """The same, with the provisions of these inputs told as corrections."""
        told = tuple(
            replace(each, kind=Kind.CORRECTION)
            if each.kind is Kind.PROVIDED and source(each.record) in corrections
            else each
            for each in self.provisions
        )
        return replace(self, provisions=told)


def original(record: Record) -> Place:
    """The input record that it is about; of a replay, the one that was replayed."""
    return places_of(record)[-1]


def source(record: Record) -> Source:
    """The same, told apart from the same place in another cluster."""
    return record["input"]["cluster_id"], *original(record)


def sort_out(entries: Sequence[LedgerEntry]) -> Books:
    """Judge all ledger records of one customer."""
    provisions: list[Provision] = []
    unsettled: list[Unsettled] = []
    withheld: list[Record] = []
    for records in _events(entries):
        sent = [each for each in map(_provision, records) if each is not None]
        doubt = _doubt(records)
        if not sent and doubt is None:  # what the records about it said first is beyond the ledger's retention
            sent = [_answered(each) for each in records if _found_there(each)][:1]
        provisions += sent
        if isinstance(doubt, Provision):
            provisions.append(doubt)
        elif doubt is not None:
            unsettled.append(doubt)
        withheld += _corrections_withheld(records)
    return Books(
        tuple(sorted(provisions, key=lambda each: (each.at, original(each.record)))),
        tuple(sorted(unsettled, key=lambda each: (each.tried_at, each.place))),
        tuple(sorted(withheld, key=lambda record: (record["decided_at"], original(record)))),
    )


def _events(entries: Sequence[LedgerEntry]) -> Iterator[list[Record]]:
    """The records of each event, in the order settled. One without a key (its record could not be read) belongs to
    the event that was later read from the same place."""
    keys = {source(each.record): each.record["idempotency_key"] for each in entries}
    keys |= {source(each.record): key for each in entries if (key := each.record["idempotency_key"])}
    events: dict[object, list[Record]] = defaultdict(list)
    for entry in sorted(entries, key=lambda each: (each.record["settled_at"], each.partition, each.offset)):
        place = source(entry.record)
        events[entry.record["idempotency_key"] or keys[place] or place].append(entry.record)
    yield from events.values()


def _provision(record: Record) -> Provision | None:
    """What this record by itself says was sent and answered."""
    if record["transmitted"] != Transmitted.YES.code or record["reason"] == _UNKNOWN or _found_there(record):
        return None
    return _answered(record)


def _answered(record: Record) -> Provision:
    """A receipt tells of what GeNiE took first, so only of a provision does it tell when, and under which number."""
    kind = _KINDS.get(record["outcome"], Kind.REFUSED)
    if kind is not Kind.PROVIDED:
        return Provision(kind, record["settled_at"], False, record, None)
    return Provision(kind, _received_at(record), False, record, _receipt_id(record))


def _found_there(record: Record) -> bool:
    """A replay that asked, found it at GeNiE, and sent nothing: it had announced no items."""
    return bool(record["reason"] == Reason.SAME_EVENT.code and not record["items"])


def _doubt(records: Sequence[Record]) -> Provision | Unsettled | None:
    """What remains of an unknown outcome after all that was recorded of the event."""
    taken = (at for at, each in enumerate(records) if each["outcome"] in TAKEN and not _found_there(each))
    end = next(taken, len(records))
    again = records[end] if end < len(records) else None
    at = next((at for at in reversed(range(end)) if _is_open(records[at])), None)
    if at is None or (again is not None and again["outcome"] != Outcome.DUPLICATE.code):
        return None
    record, later = records[at], records[at + 1 : end]
    found = next((each for each in later if _found_there(each)), None)
    asked = (each for each in later if each["replay_of"] and each["idempotency_key"] and each["reason"] != _UNKNOWN)
    if found is None and any(asked):
        return None
    if found is None and again is not None and _same_body(record, again):
        found = again
    if found is not None and record["items"]:
        return Provision(Kind.PROVIDED, _received_at(found), True, record, _receipt_id(found))
    received = found is not None or again is not None or record["transmitted"] == Transmitted.YES.code
    return Unsettled(
        Doubt.BODY_UNKNOWN if received else Doubt.OUTCOME_UNKNOWN,
        record["announced_at"] or record["decided_at"],
        record["input"]["cluster_id"],
        places_of(record)[0],
        original(record),
        record["idempotency_key"],
        record["event_type"],
        record["items"],
        record["permitted_purposes"],
        record["consent"],
        record["recipient"],
    )


def _is_open(record: Record) -> bool:
    return bool(record["reason"] == _UNKNOWN and record["transmitted"] != Transmitted.NO.code)


def _same_body(record: Record, again: Record) -> bool:
    """Whether what GeNiE called a duplicate is, to the byte, what was sent before."""
    same = again["reason"] == Reason.SAME_EVENT.code and record["body_digest"] == again["body_digest"]
    return bool(same and record["body_digest"])


def _received_at(record: Record) -> int:
    receipt = record["receipt"]
    return int(receipt["received_at"] if receipt else record["settled_at"])


def _receipt_id(record: Record) -> str | None:
    receipt = record["receipt"]
    return receipt["id"] if receipt else None


def _corrections_withheld(records: Sequence[Record]) -> list[Record]:
    """The correction, once; none if it was provided under a later consent."""
    if any(record["outcome"] in TAKEN for record in records):
        return []
    return [each for each in records if each["reason"] == Reason.CORRECTION_AFTER_WITHDRAWAL.code][:1]
