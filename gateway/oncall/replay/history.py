"""What became of input records so far: their ledger records, and the replays that were asked for.

Knows how a replay request, its ledger record and its parked record point back to the record that was replayed. Must
not know who wants it, or what would be decided today.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.core.reasons import Outcome
from gateway.core.values import value
from gateway.oncall.desk import Desk, Found
from gateway.oncall.ledger.source import BROKER_SKEW_MS, Ledger, LedgerEntry, Wanted
from gateway.oncall.replay.selection import Place

_OFFSET_BITS = 64

AT_GENIE = frozenset({Outcome.PROVIDED.code, Outcome.DUPLICATE.code, Outcome.SUPERSEDED.code})


@value(frozen=True, slots=True)
class Standing:
    """A ledger record, as much of it as is asked for."""

    settled_at: int  # ms, when it was appended
    place: int  # in the ledger, to tell the later of two that were appended at once
    timestamp: int  # ms, the input's as the gateway read it
    outcome: str
    reason: str
    event_type: str | None
    event_id: str | None
    subject_ref: str | None

    def fields(self) -> dict[str, Any]:
        """Those that a selection asks for, by their names in the ledger."""
        return {
            "outcome": self.outcome,
            "reason": self.reason,
            "event_type": self.event_type,
            "event_id": self.event_id,
            "subject_ref": self.subject_ref,
        }


@dataclass(slots=True)
class History:
    """One input record: how it stands, and its replays."""

    own: Standing | None = None  # of the record itself; None: it is not settled
    last: Standing | None = None  # the latest, of itself or of a replay
    at_genie: bool = False  # some record about it says that GeNiE has the event
    requests: frozenset[tuple[int, int]] = frozenset()  # where requests to replay it lie
    ended: frozenset[tuple[int, int]] = frozenset()  # those of them that are settled

    @property
    def is_moving(self) -> bool:
        """Whether a replay of it is asked for and not settled."""
        return not self.requests <= self.ended

    def add(self, entry: LedgerEntry, request: tuple[int, int] | None) -> None:
        """Take note of a ledger record about it; `request` is where the replay request lies, if it is about one."""
        standing = standing_of(entry)
        if request is None:
            self.own = standing
        else:
            self.ended |= {request}
        self.at_genie = self.at_genie or standing.outcome in AT_GENIE
        if self.last is None or (standing.settled_at, standing.place) > (self.last.settled_at, self.last.place):
            self.last = standing


def standing_of(entry: LedgerEntry) -> Standing:
    """What is asked for of a ledger record."""
    record = entry.record
    event_type, subject_ref = record["event_type"], record["subject_ref"]
    return Standing(
        entry.appended_at,
        entry.partition << _OFFSET_BITS | entry.offset,
        record["input"]["timestamp"],
        record["outcome"],
        sys.intern(record["reason"]),
        event_type and sys.intern(event_type),
        record["event_id"],
        subject_ref and sys.intern(subject_ref),
    )


def place_of(position: Mapping[str, Any]) -> Place:
    """The position that a record names."""
    return sys.intern(position["topic"]), position["partition"], position["offset"]


def original_of(record: Mapping[str, Any]) -> Place:
    """The input that a ledger record is about, or the one that it is a replay of."""
    return place_of(record["replay_of"] or record["input"])


async def originals(desk: Desk, requests: Collection[tuple[int, int]]) -> dict[tuple[int, int], Place]:
    """What the replay requests that lie at these (partition, offset) ask for."""
    found: dict[tuple[int, int], Place] = {}
    if requests:

        def take(records: Sequence[Found]) -> None:
            for each in records:
                if each.record is not None and (each.partition, each.offset) in requests:
                    found[each.partition, each.offset] = place_of(each.record["input"])

        await desk.read(desk.names.replays, take)
    return found


async def histories(desk: Desk, ledger: Ledger, places: Iterable[Place], since: int | None) -> dict[Place, History]:
    """What became of each of these inputs; `since` is when the oldest of them was appended, ms, if that is known."""
    found = {place: History() for place in places}
    asked: dict[Place, Place] = {}  # where a request lies -> what it asks for

    def take_requests(records: Sequence[Found]) -> None:
        for each in records:
            place = None if each.record is None else place_of(each.record["input"])
            if place in found:
                found[place].requests |= {(each.partition, each.offset)}
                asked[each.topic, each.partition, each.offset] = place

    def take_ledger(entries: Sequence[LedgerEntry]) -> None:
        for entry in entries:
            place = place_of(entry.record["input"])
            if entry.record["input"]["cluster_id"] != desk.cluster_id:
                continue  # the same numbers there are other records
            if place in asked:
                found[asked[place]].add(entry, place[1:])
            elif place in found:
                found[place].add(entry, None)

    if found:
        await desk.read(desk.names.replays, take_requests)
        since = None if since is None else since - BROKER_SKEW_MS
        await ledger.read(take_ledger, Wanted(since=since, inputs=frozenset(found) | frozenset(asked)))
    return found


async def events_at_genie(desk: Desk, ledger: Ledger, event_ids: Iterable[str]) -> set[str]:
    """Those of these events that GeNiE has, by whichever record."""
    wanted = frozenset(event_ids)
    there: set[str] = set()

    def take(entries: Sequence[LedgerEntry]) -> None:
        there.update(entry.record["event_id"] for entry in entries)

    if wanted:
        await ledger.read(take, Wanted(event_ids=wanted, outcomes=AT_GENIE))
    return there
