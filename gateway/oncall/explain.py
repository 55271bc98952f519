"""Everything that the topics hold about one event: where it arrived, what was decided and announced, how it ended.

Knows which topics to ask, how much of each, and by what a record of theirs belongs to the event. Must not know what it
means (story.py), or show what is inside an event.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.core.events import EventType, check_ref, is_uuid
from gateway.core.holds import HoldScope
from gateway.kafka.cluster import describe
from gateway.kafka.offsets_log import read_offsets
from gateway.kafka.scan import Span
from gateway.oncall.desk import Desk, Found
from gateway.oncall.ledger.source import BROKER_SKEW_MS, Ledger, LedgerEntry, Place, Wanted
from gateway.oncall.places import parse_place, shown_place
from gateway.oncall.standing import event_types
from gateway.oncall.wary import Wary

MARGIN_MS = 60_000  # clocks of brokers, gateway and producers differ; a record is looked for so long before and after

_IDS = {EventType.LEASE_PAYMENT: "event_id", EventType.NOREL_SCORE_UPDATE: "score_id"}


class NothingFoundError(Exception):
    """No topic knows the event; the text says what was looked at."""


@dataclass(slots=True)
class Traces:
    """What was found. Places are of input records, and of the replay requests that name them."""

    event_id: str | None = None
    event_type: EventType | None = None
    subject_ref: str | None = None
    inputs: dict[Place, Found | None] = field(default_factory=dict)  # None: gone from the log
    requests: dict[Place, Found] = field(default_factory=dict)
    entries: dict[tuple[int, int], tuple[Place, LedgerEntry]] = field(default_factory=dict)  # by place in the ledger
    announced: list[tuple[Place, Found, Mapping[str, Any]]] = field(default_factory=list)  # with its entry in it
    parked: list[tuple[Place, Found]] = field(default_factory=list)  # tombstones too
    consents: list[Found] = field(default_factory=list)  # of the subject, since the event arrived
    controls: list[Found] = field(default_factory=list)  # that could hold it; each has a record
    is_ledger_damaged: bool = False  # some of its records can't be read
    elsewhere: set[tuple[int, int]] = field(default_factory=set)  # ledger records of it from another Kafka cluster

    @property
    def places(self) -> Iterator[Place]:
        """Inputs, then requests."""
        yield from self.inputs
        yield from self.requests

    @property
    def ends(self) -> dict[Place, LedgerEntry]:
        """How each ended, of those that did: a record has one terminal ledger record, or a promise is broken."""
        return dict(self.entries.values())

    def arrived_at(self, place: Place) -> int | None:
        """When Kafka took it, ms; None if neither the log nor the ledger knows."""
        found = self.requests.get(place) or self.inputs.get(place)
        if found is not None:
            return found.timestamp
        end = self.ends.get(place)
        return None if end is None else int(end.record["input"]["timestamp"])

    def original(self, asked: Place | None) -> tuple[Place, Found | None]:
        """The input record to look into: the one asked for, else the first that the log still has."""
        if asked in self.inputs:
            return asked, self.inputs[asked]
        there = [place for place, found in self.inputs.items() if found is not None]
        place = next(iter(there or self.inputs))
        return place, self.inputs[place]

    @property
    def began_at(self) -> int | None:
        """When it first arrived, ms."""
        return min((at for at in map(self.arrived_at, self.places) if at is not None), default=None)

    @property
    def ended_at(self) -> int | None:
        """When the last of it was settled, ms; None while some of it is not."""
        if any(place not in self.ends for place in self.places):
            return None
        return max(end.appended_at for end in self.ends.values())


class Search:
    """Looks for one event. `since`: nothing of it is older, ms."""

    def __init__(self, desk: Desk, careful: Wary, ledger: Ledger, group: str, since: int | None = None) -> None:
        self._desk = desk
        self._careful = careful
        self._ledger = ledger
        self._group = group
        self._since = since
        self._types = event_types(desk.names)
        self.traces = Traces()

    async def by_id(self, event_id: str) -> Traces:
        """By its id: in the ledger, and in the inputs that are not settled yet. Raises NothingFoundError."""
        self.traces.event_id = event_id
        await self._same_event()
        return await self._rest()

    async def by_place(self, place: Place) -> Traces:
        """By the place of an input record, or of a replay request for it. Raises NothingFoundError."""
        traces = self.traces
        if place[0] == self._desk.names.replays:
            place = await self._replayed(place)
        if place[0] not in self._types:
            topics = " or ".join(self._types)
            raise NothingFoundError(f"{shown_place(place)} is no input: give a place in {topics}")
        traces.inputs[place] = found = (await self._careful.at([place]))[0]
        self._learn(place, found)
        if found is None:
            await self._read_ledger(Wanted(self._since, inputs=frozenset({place})))
            if place not in traces.ends:
                raise NothingFoundError(f"neither {place[0]} nor the ledger has a record of {shown_place(place)}")
            traces.event_id = traces.ends[place].record["event_id"]
        if traces.event_id is not None:
            await self._same_event()
        return await self._rest()

    async def _replayed(self, place: Place) -> Place:
        request = (await self._careful.at([place]))[0]
        if request is None or request.record is None:
            raise NothingFoundError(f"{shown_place(place)} is no replay request that can be read")
        wanted = request.record["input"]
        return wanted["topic"], wanted["partition"], wanted["offset"]

    async def _same_event(self) -> None:
        """Every input record of this event id: those settled, and those to come."""
        traces = self.traces
        starts = await self._starts()  # first: what is settled from now on is found in its topic, if not in the ledger
        await self._read_ledger(Wanted(self._since, event_ids=frozenset({traces.event_id or ""})))
        looked_at = await self._unsettled(starts, [traces.event_type] if traces.event_type else list(_IDS))
        if not traces.inputs:
            raise NothingFoundError(
                f"no record of event {traces.event_id}: not in the ledger ({self._ledger.told}), nor among "
                f"{looked_at:,} input records behind what is settled. A record that could not be read has no event id: "
                "look for it by --offset"
            )

    async def _rest(self) -> Traces:
        """All else, now that its inputs are known."""
        traces, desk = self.traces, self._desk
        await self._look_at_inputs()
        since = None if traces.began_at is None else traces.began_at - MARGIN_MS
        await desk.read(desk.names.replays, self._take_requests, Span(since))
        await self._read_ledger(Wanted(since, inputs=frozenset(traces.inputs)))
        for window in windows(traces):
            await desk.read(desk.names.intents, self._take_intents, window)
        await desk.read(desk.names.parked, self._take_parked, Span(since))
        if traces.subject_ref is not None:
            await desk.read(desk.names.consents, self._take_consents, Span(since))
        await desk.read(desk.names.controls, self._take_controls)
        traces.is_ledger_damaged = self._ledger.unreadable > 0
        return traces

    async def _look_at_inputs(self) -> None:
        """Fetch the records; what the log has at an offset may be another record, if the topic was made anew."""
        traces = self.traces
        unseen = [place for place, found in traces.inputs.items() if found is None]
        for place, found in zip(unseen, await self._careful.at(unseen), strict=True):
            end = traces.ends.get(place)
            if found is None or end is None or found.timestamp == end.record["input"]["timestamp"]:
                traces.inputs[place] = found
                self._learn(place, found)

    async def _unsettled(self, starts: Mapping[str, Mapping[int, int]], kinds: Collection[EventType]) -> int:
        """Look at the inputs from there on; how many there were."""
        desk, looked_at = self._desk, 0
        named = (self.traces.event_id or "").encode()  # an id is text in every schema that fits ours

        async def take(found: Sequence[Found]) -> None:
            nonlocal looked_at
            looked_at += len(found)
            likely = [each for each in found if each.value is not None and named in each.value]
            for each in await self._careful.decoded(likely):
                if each.record is not None and each.record[_IDS[self._types[each.topic]]] == self.traces.event_id:
                    place = (each.topic, each.partition, each.offset)
                    self.traces.inputs[place] = each
                    self._learn(place, each)

        for topic in (topic for topic, kind in self._types.items() if kind in kinds):
            await desk.read(topic, take, Span(self._since, starts=starts.get(topic, {})), decoded=False)
        return looked_at

    async def _starts(self) -> Mapping[str, Mapping[int, int]]:
        """Before which offset all is settled, by input topic and partition. An open transaction is not waited for:
        its owner may have died, and reading a little more does no harm."""
        topics = (await describe(self._desk.client, self._types)).topics.values()
        lanes = [lane for topic in topics for lane in topic.partitions]
        starts: dict[str, dict[int, int]] = {topic.name: {} for topic in topics}
        for lane, committed in (await read_offsets(self._desk.client, self._group, lanes, decided=False)).items():
            starts[lane.topic][lane.partition] = 0 if committed is None else committed.offset
        return starts

    async def _read_ledger(self, wanted: Wanted) -> None:
        await self._ledger.read(self._take_ends, wanted)

    def _take_ends(self, entries: Sequence[LedgerEntry]) -> None:
        traces = self.traces
        for entry in entries:
            record = entry.record
            if record["input"]["cluster_id"] != self._desk.cluster_id:
                traces.elsewhere.add((entry.partition, entry.offset))
                continue
            place = _place(record["input"])
            traces.entries[entry.partition, entry.offset] = (place, entry)
            original = _place(record["replay_of"]) if record["replay_of"] is not None else place
            if original[0] in self._types:
                traces.inputs.setdefault(original, None)
                traces.event_type = traces.event_type or self._types[original[0]]
            traces.subject_ref = traces.subject_ref or check_ref(record["subject_ref"] or "")

    def _learn(self, place: Place, found: Found | None) -> None:
        traces = self.traces
        traces.event_type = self._types[place[0]]
        if found is not None and found.record is not None:
            event_id, subject_ref = found.record[_IDS[traces.event_type]], found.record["subject_ref"]
            traces.event_id = event_id if is_uuid(event_id) else None  # who wrote nonsense may have written a name
            traces.subject_ref = check_ref(subject_ref)

    def _take_requests(self, found: Sequence[Found]) -> None:
        for each in found:
            if each.record is not None and _place(each.record["input"]) in self.traces.inputs:
                self.traces.requests[each.topic, each.partition, each.offset] = each

    def _take_intents(self, found: Sequence[Found]) -> None:
        offsets: dict[str, dict[int, Place]] = defaultdict(dict)
        for place in self.traces.places:
            offsets[f"{place[0]}:{place[1]}"][place[2]] = place
        for each in found:
            if each.record is None or each.record["lane"] not in offsets:
                continue
            mine = offsets[each.record["lane"]]
            self.traces.announced += [
                (mine[entry["offset"]], each, entry) for entry in each.record["entries"] if entry["offset"] in mine
            ]

    def _take_parked(self, found: Sequence[Found]) -> None:
        keys = {shown_place(place) for place in self.traces.places}
        self.traces.parked += [(parse_place(each.key), each) for each in found if each.key and each.key in keys]

    def _take_consents(self, found: Sequence[Found]) -> None:
        traces, began_at = self.traces, self.traces.began_at or 0
        traces.consents += [each for each in found if each.key == traces.subject_ref and each.timestamp >= began_at]

    def _take_controls(self, found: Sequence[Found]) -> None:
        """Those that could hold it, while it was under way or before."""
        ended_at, kind = self.traces.ended_at, self.traces.event_type
        values: dict[str, set[str | None]] = {
            HoldScope.ALL: {None},
            HoldScope.EVENT_TYPE: {kind.code if kind else None},
            HoldScope.SUBJECT: {self.traces.subject_ref},
            HoldScope.INPUT_PARTITION: {f"{each[0]}:{each[1]}" for each in self.traces.places},
        }
        for each in found:
            record = each.record
            # A scope that only a later release knows holds everything here.
            if record is None or record["value"] not in values.get(record["scope"], {record["value"]}):
                continue
            if ended_at is None or record["at"] <= ended_at:
                self.traces.controls.append(each)


def windows(traces: Traces) -> list[Span]:
    """When intents of it may have been written: from each arrival to its end; those that overlap are one."""
    ends = {place: end.appended_at + BROKER_SKEW_MS for place, end in traces.ends.items()}
    arrived = ((traces.arrived_at(place), ends.get(place)) for place in traces.places)
    merged: list[Span] = []
    for since, until in sorted(
        ((at - MARGIN_MS, until) for at, until in arrived if at is not None), key=lambda span: span[0]
    ):
        last = merged[-1] if merged else None
        if last is None or (last.until is not None and last.until < since):
            merged.append(Span(since, until))
        else:
            merged[-1] = Span(last.since, _later(last.until, until))
    return merged


def _later(one: int | None, other: int | None) -> int | None:
    """The later end; None is no end."""
    return None if one is None or other is None else max(one, other)


def _place(position: Mapping[str, Any]) -> Place:
    return position["topic"], position["partition"], position["offset"]


def in_force(controls: Iterable[Found], began_at: int) -> list[Found]:
    """Of control records: those since, and the hold that was on when it began."""
    before: dict[str, Found] = {}
    since = []
    told = ((found.record, found) for found in controls if found.record is not None)
    for record, found in sorted(told, key=lambda each: each[0]["at"]):
        if record["at"] >= began_at:
            since.append(found)
        else:
            before[record["hold_id"]] = found
    return [*(found for found in before.values() if _is_on(found.record or {}, began_at)), *since]


def _is_on(control: Mapping[str, Any], at: int) -> bool:
    return control["state"] == "held" and (control["expires_at"] is None or control["expires_at"] > at)
