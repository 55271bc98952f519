"""What the ledger says of one key, held against what GeNiE says of it.

Knows what each record's claim asks of GeNiE's books. Must not know how records are read, or GeNiE is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.core.events import DAY_MS
from gateway.core.identity import b64url
from gateway.core.outcome import First, LookupStatus, Receipt
from gateway.core.reasons import Outcome
from gateway.oncall.ledger.claims import Claim, claim
from gateway.oncall.ledger.findings import Kind
from gateway.oncall.ledger.questions import Said
from gateway.oncall.times import shown

Record = Mapping[str, Any]

GENIE_KEEPS_MS = 3 * 365 * DAY_MS  # keys and answers: what is older it may have deleted
CLOCKS_DIFFER_MS = 10_000  # GeNiE's and ours, at most

_AT_GENIE = (Claim.BODY, Claim.SOMETHING)


@dataclass(frozen=True, slots=True)
class Difference:
    """Something wrong about the input of this record."""

    kind: Kind
    record: Record
    what: str


@dataclass(frozen=True, slots=True)
class Resolution:
    """What GeNiE says of a record whose outcome nobody knew."""

    record: Record
    received: bool
    what: str


@dataclass(frozen=True, slots=True)
class Judged:
    """All that is to be said of one key; nothing, if ledger and GeNiE agree."""

    differences: Sequence[Difference] = ()
    resolutions: Sequence[Resolution] = ()

    @property
    def agree(self) -> bool:
        return not (self.differences or self.resolutions)

    @property
    def is_not_recorded(self) -> bool:
        """Whether GeNiE has what no record says it has: a record may be on its way."""
        return any(difference.kind is Kind.NOT_RECORDED for difference in self.differences)


AGREED = Judged()


def judged(records: Sequence[Record], said: Said | None) -> Judged:
    """What the records of one key, oldest first, and GeNiE's word on it make together; None: it said nothing usable.

    What is about the key and no one record is said of the oldest, since later ones may be replays of it.
    """
    if said is None:
        return Judged(_all(Kind.NO_ANSWER, records[:1], "it said nothing usable"))
    if said.result.status is LookupStatus.PROCESSING:
        return Judged(_all(Kind.NO_ANSWER, records[:1], "it is just judging it"))
    first = said.result.first
    if first is None:
        return _not_received(records, said.as_of)
    return _received(records, first, said.result.receipt)


def _not_received(records: Sequence[Record], as_of: int) -> Judged:
    settled_at = max((record["settled_at"] for record in records), default=0)
    if as_of < settled_at - CLOCKS_DIFFER_MS:  # it may have come since
        what = f"it spoke of {shown(as_of)}, before the ledger had its record"
        return Judged(_all(Kind.NO_ANSWER, records[:1], what))
    told = [record for record in records if claim(record) in _AT_GENIE]
    if told:
        due = [record for record in told if as_of - record["settled_at"] < GENIE_KEEPS_MS]
        return Judged([Difference(Kind.NOT_AT_GENIE, record, f"the ledger: {_words(record)}") for record in due])
    unknown = [record for record in records if claim(record) is Claim.UNKNOWN]
    return Judged((), [Resolution(record, False, f"GeNiE had not received it at {shown(as_of)}") for record in unknown])


def _received(records: Sequence[Record], first: First, receipt: Receipt | None) -> Judged:
    claims = [claim(record) for record in records]
    if not any(each in _AT_GENIE for each in claims):
        unknown = [record for record, each in zip(records, claims, strict=True) if each is Claim.UNKNOWN]
        if unknown:
            return Judged((), [_found(record, first, receipt) for record in unknown])
        when = f"GeNiE received it at {shown(first.received_at)}, body {b64url(first.body_digest)}"
        return Judged(_all(Kind.NOT_RECORDED, records[:1], f"the ledger: {_words(records[0])}; {when}"))
    return Judged([each for record in records for each in _compared(record, first, receipt)])


def _found(record: Record, first: First, receipt: Receipt | None) -> Resolution:
    which = "the body announced" if record["body_digest"] == first.body_digest else "another body than announced"
    by = f", receipt {receipt.id}" if receipt is not None else ""
    return Resolution(record, True, f"GeNiE has {which}{by}, received at {shown(first.received_at)}")


def _compared(record: Record, first: First, receipt: Receipt | None) -> Iterator[Difference]:
    """What a record says of the body that GeNiE has; its own input and receipt only where it was provided by it."""
    if claim(record) is not Claim.BODY:
        return
    if record["body_digest"] != first.body_digest:
        what = f"the ledger: {b64url(record['body_digest'])}, GeNiE: {b64url(first.body_digest)}"
        yield Difference(Kind.OTHER_BODY, record, what)
        return
    if record["outcome"] != Outcome.PROVIDED.code:
        return
    if record["source_digest"] != first.source_digest:
        yield Difference(Kind.OTHER_RECEIPT, record, "GeNiE has it from an input with another value")
    ours = record["receipt"]
    if ours is None or receipt is None:
        return
    if (ours["id"], ours["received_at"]) != (receipt.id, receipt.received_at):
        told = f"{ours['id']} of {shown(ours['received_at'])}"
        what = f"the ledger: {told}, GeNiE: {receipt.id} of {shown(receipt.received_at)}"
        yield Difference(Kind.OTHER_RECEIPT, record, what)


def _words(record: Record) -> str:
    return f"{record['outcome']} {record['reason']}, transmitted {record['transmitted']}"


def _all(kind: Kind, records: Sequence[Record], what: str) -> list[Difference]:
    return [Difference(kind, record, what) for record in records]
