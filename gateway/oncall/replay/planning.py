"""Makes a plan: finds the records of a selection, leaves out what must not be replayed, decides the rest for today.

Knows the order in which topics are read, and every reason to leave a record out. Must not know how a plan is written
or carried out.
"""

from __future__ import annotations

import gc
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from gateway.core.reasons import Outcome, Reason
from gateway.kafka.cluster import describe
from gateway.kafka.exact import read_many
from gateway.kafka.intake import producer_of
from gateway.oncall import times
from gateway.oncall.desk import Desk, Found
from gateway.oncall.ledger.source import Ledger, LedgerEntry, Wanted
from gateway.oncall.replay.course import ends, topics_of
from gateway.oncall.replay.history import History, events_at_genie, histories, original_of, originals, place_of
from gateway.oncall.replay.plan_file import PROVIDE, Entry, Plan
from gateway.oncall.replay.selection import MAX_ENTRIES, Place, Selection
from gateway.oncall.replay.today import Judged, judge
from gateway.oncall.standing import Rules, Standing, event_types

MOST_REPLAYS = 5  # of one record: what five replays did not mend, the sixth does not either
GARBAGE_EVERY = 200_000  # objects made, and not freed, between two looks for cycles
SAMPLES = 3  # places named of each kind that is left out


class TooManyError(Exception):
    """More records than a plan may hold."""


class Left(Enum):
    """Why a record that was selected is not in the plan."""

    sentence: str

    def __new__(cls, code: str, sentence: str) -> Left:
        member = object.__new__(cls)
        member._value_ = code
        member.sentence = sentence
        return member

    NO_INPUT = ("no_input", "not a record of an input topic, or of no partition that there is")
    OTHER_CLUSTER = ("other_cluster", "it lay on another Kafka cluster, which this one does not know")
    IN_FLIGHT = ("in_flight", "not settled: still in its lane, or never read; see `gateway explain`")
    REPLAY_IN_FLIGHT = ("replay_in_flight", "a replay of it is asked for already and not settled")
    AT_GENIE = ("at_genie", "GeNiE has its event: from it, or from a replay of it")
    MOVED_ON = ("moved_on", "stands otherwise now: replayed since, or not as selected")
    OFTEN = ("often", f"replayed {MOST_REPLAYS} times or more: mend the cause first; --often takes it all the same")
    KILLS_DECODER = ("kills_decoder", "its bytes end the process that decodes them, so nothing here decodes them")
    GONE = ("gone", "its input left the log: the producer must send the event again")
    EVENT_AT_GENIE = ("event_at_genie", "GeNiE has its event from another record")
    OTHER_PRODUCER = ("other_producer", "of another producer, or of none that is named")
    NO_SUBJECT = ("no_subject", "its key names no subject: the producer must send it again")
    NOT_PROVIDED = ("not_provided", "would not be provided today (--would-provide)")


@dataclass(slots=True)
class LeftOut:
    """What is left out of a plan: how many of each kind, and where some of them lie."""

    counts: Counter[Left] = field(default_factory=Counter)
    samples: dict[Left, list[Place]] = field(default_factory=dict)

    def add(self, why: Left, place: Place) -> None:
        """One more."""
        self.counts[why] += 1
        shown = self.samples.setdefault(why, [])
        if len(shown) < SAMPLES:
            shown.append(place)

    def ranked(self) -> list[tuple[Left, int]]:
        """The kinds, those of most records first, and how many."""
        return sorted(self.counts.items(), key=lambda kind: (-kind[1], kind[0].value))


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, what is not in it, and event ids that no ledger record has."""

    plan: Plan
    left_out: LeftOut
    unknown_events: Sequence[str]
    unreadable: int


class Planning:
    """One planning. `rules` are those that the gateways decide by."""

    def __init__(self, desk: Desk, ledger: Ledger, rules: Rules, selection: Selection) -> None:
        self._desk = desk
        self._ledger = ledger
        self._selection = selection
        self._inputs = event_types(desk.names)
        self._standing = Standing(desk, rules)
        self._left = LeftOut()
        self._partitions: set[tuple[str, int]] = set()  # of the input topics
        self._oldest: int | None = None  # ms: when the oldest input that is selected was appended, if that is known
        self._unreadable = 0

    async def run(self) -> Planned:
        """Read, leave out, decide. Raises TooManyError, KafkaUnavailableError, RegistryAway, TopicMissingError."""
        with _sparing_the_collector():
            return await self._run()

    async def _run(self) -> Planned:
        desk, names, made_at = self._desk, self._desk.names, times.now_ms()
        cluster = await describe(desk.client, topics_of(names))
        there = (each for topic in cluster.topics.values() for each in topic.partitions)
        self._partitions = {(each.topic, each.partition) for each in there if each.topic in self._inputs}
        read_to = await ends(desk, (names.replays, names.ledger, names.audit))  # before anything else is read
        places, unknown_events = await self._selected()
        unreadable = self._ledger.unreadable
        standing = await histories(desk, self._ledger, places, self._oldest)
        self._unreadable += self._ledger.unreadable - unreadable  # what comes next reads the same again
        places.clear()
        for place in [place for place, history in standing.items() if not self._may_be_replayed(place, history)]:
            del standing[place]
        judged = await self._judged(standing)
        at_genie = await events_at_genie(
            desk, self._ledger, (each.event_id for each in judged.values() if each.event_id)
        )
        entries = []
        for place in sorted(judged):
            each, stands = judged.pop(place), _stands(standing.pop(place))
            if (subject_ref := self._subject_of(place, each, at_genie)) is not None:
                entries.append(Entry(*place, subject_ref, stands, each.today))
        plan = Plan(
            str(uuid.uuid4()),
            made_at,
            cluster.id,
            {name: str(topic.id) for name, topic in cluster.topics.items()},
            read_to,
            self._selection.as_json(),
            {why.value: count for why, count in self._left.counts.items()},
            entries,
        )
        return Planned(plan, self._left, unknown_events, self._unreadable)

    # --- which records ----------------------------------------------------------------------------------------

    async def _selected(self) -> tuple[set[Place], Sequence[str]]:
        """The original inputs that may be meant; and event ids that nobody knows."""
        selection = self._selection
        if selection.offsets:
            places = {place for each in selection.offsets for place in each.places()}
        elif selection.wanted_outcomes == {Outcome.PARKED.code} and not selection.event_ids:
            places = await self._parked()
        else:
            return await self._in_ledger()
        for place in [place for place in places if place[:2] not in self._partitions]:
            self._left.add(Left.NO_INPUT, place)
            places.remove(place)
        return places, ()

    async def _parked(self) -> set[Place]:
        """From what is parked now, which is less than the ledger. A replay that was parked stands for its original."""
        desk = self._desk
        parked: dict[str | None, tuple[Place, int, bool]] = {}  # of the input: place, time, whether it lies here

        def take(records: Sequence[Found]) -> None:
            for each in records:
                parked.pop(each.key, None)
                if each.record is not None and self._is_meant(each.record):
                    about = each.record["input"]
                    parked[each.key] = place_of(about), about["timestamp"], self._is_on_this(about)
                self._unreadable += each.why is not None
            self._bound(len(parked))

        await desk.read(desk.names.parked, take)
        for place in [place for place, _, here in parked.values() if not here]:
            self._left.add(Left.OTHER_CLUSTER, place)
        here = [place for place, _, here in parked.values() if here]
        replayed = await originals(desk, {place[1:] for place in here if place[0] == desk.names.replays})
        if not replayed:  # of the original of a replay it is not known how old it is
            self._oldest = min((timestamp for _, timestamp, _ in parked.values()), default=None)
        return {replayed.get(place[1:], place) if place[0] == desk.names.replays else place for place in here}

    def _is_on_this(self, position: Mapping[str, Any]) -> bool:
        here: bool = position["cluster_id"] == self._desk.cluster_id
        return here

    def _is_here(self, position: Mapping[str, Any]) -> bool:
        here = self._is_on_this(position)
        if not here:
            self._left.add(Left.OTHER_CLUSTER, place_of(position))
        return here

    def _is_meant(self, record: Mapping[str, Any]) -> bool:
        selection = self._selection
        return (
            (not selection.reasons or record["reason"] in selection.reasons)
            and (not selection.event_types or record["event_type"] in selection.event_types)
            and (not selection.subjects or record["subject_ref"] in selection.subjects)
            and (not selection.producers or record["producer"] in selection.producers)
        )

    async def _in_ledger(self) -> tuple[set[Place], Sequence[str]]:
        selection = self._selection
        places: set[Place] = set()
        unknown = set(selection.event_ids)

        def take(entries: Sequence[LedgerEntry]) -> None:
            for entry in entries:
                unknown.discard(entry.record["event_id"])
                place = original_of(entry.record)
                if self._is_here(entry.record["input"]) and place[0] in self._inputs:
                    places.add(place)
            self._bound(len(places))

        wanted = Wanted(
            since=selection.since,
            until=selection.until,
            subjects=frozenset(selection.subjects) or None,
            event_ids=frozenset(selection.event_ids) or None,
            outcomes=None if selection.event_ids else selection.wanted_outcomes,
            reasons=frozenset(selection.reasons) or None,
        )
        await self._ledger.read(take, wanted)
        return places, sorted(unknown)

    def _bound(self, count: int) -> None:
        if count > MAX_ENTRIES:
            raise TooManyError(
                f"more than {MAX_ENTRIES:,} records are selected: narrow it down, such as by --since and --until, and "
                "make several plans"
            )

    # --- which of them may be replayed ------------------------------------------------------------------------

    def _may_be_replayed(self, place: Place, history: History) -> bool:
        why = self._unfit(history)
        if why is not None:
            self._left.add(why, place)
        return why is None

    def _unfit(self, history: History) -> Left | None:
        own, last = history.own, history.last
        if own is None or last is None:
            return Left.IN_FLIGHT
        often = len(history.requests) >= MOST_REPLAYS and not self._selection.often
        rules = (
            (history.is_moving, Left.REPLAY_IN_FLIGHT),
            (history.at_genie, Left.AT_GENIE),
            (not self._selection.fits(last.fields(), last.settled_at), Left.MOVED_ON),
            (Reason.KILLS_DECODER.code in (own.reason, last.reason), Left.KILLS_DECODER),
            (often, Left.OFTEN),
        )
        return next((why for it_is_so, why in rules if it_is_so), None)

    # --- what would become of them ----------------------------------------------------------------------------

    async def _judged(self, standing: Mapping[Place, History]) -> dict[Place, Judged]:
        """Today's end of each that is still in the log."""
        judged: dict[Place, Judged] = {}
        strangers: dict[Place, str] = {}  # subjects that nobody could read when it was settled
        seen: set[Place] = set()
        if standing:
            await self._standing.read({_subject(each) for each in standing.values()} - {""})
            await self._judge(standing, standing.keys(), seen, judged, strangers)
        if strangers:
            await self._standing.read(set(strangers.values()))
            await self._judge(standing, strangers.keys(), set(), judged, {})
        for place in sorted(standing.keys() - seen):
            self._left.add(Left.GONE, place)
        return judged

    async def _judge(
        self,
        standing: Mapping[Place, History],
        places: Iterable[Place],
        seen: set[Place],
        judged: dict[Place, Judged],
        strangers: dict[Place, str],
    ) -> None:
        producers = self._selection.producers
        async for raws in read_many(self._desk.client, places):
            await self._desk.codec.prepare([raw.value for raw in raws])
            for raw in raws:
                place = (raw.topic, raw.partition, raw.offset)
                own = standing[place].own
                if own is None or own.timestamp != raw.timestamp:
                    continue  # another record lies there now: the topic was made anew
                seen.add(place)
                if producers and (producer_of(raw) or "") not in producers:
                    self._left.add(Left.OTHER_PRODUCER, place)
                    continue
                event = self._standing.event(raw.topic, raw.key, raw.value)
                if not isinstance(event, Reason) and not self._standing.knows(event.subject_ref):
                    strangers[place] = event.subject_ref
                    continue
                judged[place] = judge(self._standing, raw, event)
            self._desk.tell("records selected", len(seen), len(standing))

    def _subject_of(self, place: Place, judged: Judged, at_genie: set[str]) -> str | None:
        """Whose it is, if it is to be in the plan."""
        if judged.event_id in at_genie:
            self._left.add(Left.EVENT_AT_GENIE, place)
        elif judged.subject_ref is None:
            self._left.add(Left.NO_SUBJECT, place)
        elif self._selection.would_provide and judged.today != PROVIDE:
            self._left.add(Left.NOT_PROVIDED, place)
        else:
            return judged.subject_ref
        return None


@contextmanager
def _sparing_the_collector() -> Iterator[None]:
    """What is kept of a hundred thousand records has no cycles: looking through it time and again took a quarter of all
    CPU."""
    usual = gc.get_threshold()
    gc.set_threshold(GARBAGE_EVERY)
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def _stands(history: History) -> str:
    return "" if history.last is None else history.last.reason


def _subject(history: History) -> str:
    return (history.own.subject_ref if history.own else None) or ""
