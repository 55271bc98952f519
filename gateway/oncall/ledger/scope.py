"""What went out in a time, for the report of an incident (APPI art. 26).

An event may have gone out while an announcement of it was live: between announced_at and expires_at. So the intents of
the time say which events are looked at, and the ledger says of each whether it reached GeNiE. Where the intents topic
does not reach back, the ledger's own times stand in, which are those of the last announcement.

What is announced is remembered as a bit each, so that a month of it is some MB; whose it was, by customer.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from gateway.core.events import jst_day
from gateway.core.reasons import Transmitted
from gateway.kafka.cluster import began_at, describe, log_bounds
from gateway.kafka.scan import Span
from gateway.oncall.desk import Desk, Found
from gateway.oncall.ledger.offsets import OffsetSet
from gateway.oncall.ledger.plain import iso_day
from gateway.oncall.ledger.source import BROKER_SKEW_MS, MOST_NAMED, Ledger, LedgerEntry, Place, Wanted, places_of

LONGEST_LIFE_MS = 300_000  # of an announcement: no setting allows more
USUAL_WAIT_MS = 2 * 3_600_000  # an unknown outcome is given up after an hour; what waits longer is looked for apart

Recipient = tuple[str, str, str, str]  # id, name, address, representative


class Counted(Enum):
    """What the events are counted by."""

    ITEM = "item"
    EVENT_TYPE = "event_type"
    DAY = "day"  # in Japan, of the last announcement
    OUTCOME = "outcome"
    POLICY_VERSION = "policy_version"


@dataclass(slots=True)
class Share:
    """The events of which it is known that they went out, or of which nobody knows."""

    events: int = 0
    counts: dict[Counted, Counter[str]] = field(default_factory=lambda: {each: Counter() for each in Counted})
    subjects: Counter[str] = field(default_factory=Counter)
    nameless: int = 0  # of the events: the record does not say whose, as the input could not be read then
    again: int = 0  # announced after the time too, so perhaps sent only then


@dataclass(slots=True)
class Scope:
    """What went out in a time."""

    shares: dict[Transmitted, Share]
    recipients: Counter[Recipient] = field(default_factory=Counter)
    not_sent: int = 0  # announced in the time; the ledger says that they did not reach GeNiE
    unsettled: int = 0  # announced in the time; without a ledger record, so perhaps sent
    intents_begin: int | None = None  # ms, where the intents topic does not reach back to the time
    unreadable_intents: int = 0

    @property
    def subjects(self) -> set[str]:
        """Customers of whom something went out, or may have."""
        return set().union(*(share.subjects for share in self.shares.values()))


async def scope(desk: Desk, ledger: Ledger, since: int, until: int) -> Scope:
    """What went out from `since` to before `until`, ms. Raises as Desk.read and Ledger.read do."""
    found = _Looking(desk.cluster_id, since, until)
    await _look_at_intents(desk, found)
    begin, usual = since - BROKER_SKEW_MS - LONGEST_LIFE_MS, until + BROKER_SKEW_MS + USUAL_WAIT_MS
    if found.scope.intents_begin is not None:  # which records were settled late only the records say
        await ledger.read(found.settled, Wanted(begin))
    else:
        await ledger.read(found.settled, Wanted(begin, usual))
        if rest := found.announced.count():
            inputs = frozenset(found.announced.places()) if rest <= MOST_NAMED else None  # of more, all are sifted here
            await ledger.read(found.settled, Wanted(usual, inputs=inputs))
    found.scope.unsettled = found.announced.count()
    return found.scope


class _Announced:
    """Inputs announced in the time, of which no ledger record was seen yet."""

    def __init__(self) -> None:
        self._lanes: defaultdict[tuple[str, int], OffsetSet] = defaultdict(OffsetSet)

    def add(self, topic: str, partition: int, offset: int) -> None:
        self._lanes[topic, partition].add(offset)

    def settle(self, place: Place) -> bool:
        """Take it out; whether it was in."""
        offsets = self._lanes.get(place[:2])
        if offsets is None or place[2] not in offsets:
            return False
        offsets.discard(place[2])
        return True

    def count(self) -> int:
        return sum(map(len, self._lanes.values()))

    def places(self) -> Iterator[Place]:
        return ((*lane, offset) for lane, offsets in self._lanes.items() for offset in offsets)


class _Looking:
    """What is known so far."""

    def __init__(self, cluster_id: str, since: int, until: int) -> None:
        self.announced = _Announced()
        self.scope = Scope({Transmitted.YES: Share(), Transmitted.UNKNOWN: Share()})
        self._cluster_id = cluster_id
        self.since = since
        self.until = until

    def look(self, found: Sequence[Found]) -> None:
        """Take in some intents."""
        for each in found:
            if each.record is None:
                self.scope.unreadable_intents += 1
            elif self._live(each.record["announced_at"], each.record["expires_at"]):
                topic, _, partition = each.record["lane"].rpartition(":")
                for entry in each.record["entries"]:
                    self.announced.add(topic, int(partition), entry["offset"])

    def settled(self, entries: Sequence[LedgerEntry]) -> None:
        """Take in some ledger records, of the time and of others."""
        for entry in entries:
            record = entry.record
            place = places_of(record)[0]
            here = record["input"]["cluster_id"] == self._cluster_id
            if (here and self.announced.settle(place)) or self._before_intents(record):
                self._count(record)

    def _live(self, begin: int, end: int) -> bool:
        return begin < self.until and end > self.since

    def _before_intents(self, record: Mapping[str, Any]) -> bool:
        """Whether only this record can tell that it was announced in the time."""
        announced_at, begin = record["announced_at"], self.scope.intents_begin
        return (
            begin is not None
            and announced_at is not None
            and announced_at < begin + BROKER_SKEW_MS
            and self._live(announced_at, record["settled_at"])
        )

    def _count(self, record: Mapping[str, Any]) -> None:
        transmitted = Transmitted(record["transmitted"])
        if transmitted is Transmitted.NO:
            self.scope.not_sent += 1
            return
        share, to = self.scope.shares[transmitted], record["recipient"]
        share.events += 1
        if record["subject_ref"] is None:
            share.nameless += 1
        else:
            share.subjects[record["subject_ref"]] += 1
        share.again += (record["announced_at"] or 0) >= self.until
        share.counts[Counted.ITEM].update(record["items"])
        share.counts[Counted.EVENT_TYPE][record["event_type"] or "-"] += 1
        share.counts[Counted.DAY][iso_day(jst_day(record["announced_at"] or record["decided_at"]))] += 1
        share.counts[Counted.OUTCOME][record["outcome"]] += 1
        consent = record["consent"]
        share.counts[Counted.POLICY_VERSION]["-" if consent is None else iso_day(consent["policy_version"])] += 1
        self.scope.recipients[to["id"], to["name"], to["address"], to["representative"]] += 1


async def _look_at_intents(desk: Desk, found: _Looking) -> None:
    topic, begins_at = desk.names.intents, found.since - BROKER_SKEW_MS - LONGEST_LIFE_MS
    await desk.read(topic, found.look, Span(begins_at, found.until + BROKER_SKEW_MS))
    bounds = await log_bounds(desk.client, (await describe(desk.client, [topic])).topics[topic].partitions)
    first = await began_at(desk.client, bounds)
    late = [first.get(partition, found.until) for partition, log in bounds.items() if log.start > 0]
    topic_began = min(first.values(), default=found.until)
    if topic_began > found.since:  # it may have been made anew; a partition that is quiet at first says nothing
        late.append(topic_began)
    if any(time > begins_at for time in late):
        found.scope.intents_begin = max(late)
