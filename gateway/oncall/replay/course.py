"""How far a plan has come: which of its requests are on the topic, how they ended, and whether it was cancelled.

Reads from where the planning stopped reading, by offsets: no clock decides what belongs to the plan. What is read once
is not read again. Must not know how requests are written, or who wants to know.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gateway.kafka.cluster import LATEST, TopicMissingError, describe, list_offsets
from gateway.kafka.names import TopicNames
from gateway.kafka.scan import Span
from gateway.oncall.desk import Desk, Found
from gateway.oncall.replay.history import place_of
from gateway.oncall.replay.plan_file import Plan, PlanError
from gateway.oncall.replay.selection import Place, command

APPLY, CANCEL = "replay apply", "replay cancel"  # as the audit names them
LOOK_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a request ended."""

    outcome: str
    reason: str


@dataclass(frozen=True, slots=True)
class End:
    """So many records that were planned to end so ended so."""

    planned: str
    outcome: str
    reason: str
    records: int


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Who cancelled the plan, and when (ms)."""

    operator: str
    at: int


def topics_of(names: TopicNames) -> tuple[str, ...]:
    """The topics that a plan is about; under the same names there must be the same topics when it is carried out."""
    return (names.payments, names.scores, names.replays, names.ledger)


async def ends(desk: Desk, topics: Sequence[str]) -> dict[str, dict[int, int]]:
    """Where these topics end now."""
    described = (await describe(desk.client, topics)).topics
    if missing := set(topics) - described.keys():
        raise TopicMissingError(missing)
    partitions = [partition for topic in described.values() for partition in topic.partitions]
    found: dict[str, dict[int, int]] = {topic: {} for topic in topics}
    for partition, offset in (await list_offsets(desk.client, dict.fromkeys(partitions, LATEST))).items():
        found[partition.topic][partition.partition] = offset
    return found


class Course:
    """What became of one plan so far."""

    def __init__(self, desk: Desk, plan: Plan) -> None:
        self._desk = desk
        self._places = {entry.place for entry in plan.entries}
        self._ids = {plan.request_id(entry) for entry in plan.entries}
        self._at = {topic: dict(offsets) for topic, offsets in plan.read_to.items()}
        self._by_place: dict[tuple[int, int], str] = {}  # where a request lies -> its id
        self.plan = plan
        self.requested: dict[str, tuple[int, int]] = {}  # request id -> where it first lies
        self.again = 0  # requests that are there a second time: the gateway's writers never do that
        self.others: set[Place] = set()  # entries that another plan asked for since
        self.ended: dict[str, Ended] = {}
        self.cancelled: Cancelled | None = None

    @property
    def unsettled(self) -> int:
        """Requests without a ledger record yet."""
        return len(self.requested) - len(self.ended)

    async def check_cluster(self) -> None:
        """Raise PlanError if the plan's topics are not these."""
        names = self._desk.names
        cluster = await describe(self._desk.client, topics_of(names))
        if cluster.id != self.plan.cluster_id:
            raise PlanError(
                f"the plan was made on Kafka cluster {self.plan.cluster_id}, this is {cluster.id}: check --bootstrap"
            )
        if {name: str(topic.id) for name, topic in cluster.topics.items()} != dict(self.plan.topics):
            raise PlanError(
                "a topic of the plan has another name here, or was deleted and created again, so its offsets mean "
                f"other records: plan again by `{command(self.plan.selection)}`"
            )

    async def follow(self) -> None:
        """Read what came since."""
        names = self._desk.names
        # Up to where the ledger ends before requests are read: of what it holds up to there every request is read then.
        # An end that came later is left for the next time, for its request may not be known yet.
        settled_to = (await ends(self._desk, [names.ledger]))[names.ledger]
        await self.follow_audit()
        await self._read(names.replays, self._take_requests)
        await self._read(names.ledger, self._take_ledger, settled_to)

    async def follow_ledger(self) -> None:
        """Read of the ledger alone what came since: enough for whoever writes the requests, and knows them all."""
        await self._read(self._desk.names.ledger, self._take_ledger)

    async def follow_audit(self) -> None:
        """Read of the audit alone what came since: whether the plan was cancelled."""
        await self._read(self._desk.names.audit, self._take_audit)

    def wrote(self, request_id: str, partition: int, offset: int) -> None:
        """A request of the plan lies there now."""
        known = self._by_place.get((partition, offset))
        if known is not None:
            return
        self._by_place[partition, offset] = request_id
        self.again += request_id in self.requested
        self.requested.setdefault(request_id, (partition, offset))

    async def _read(
        self, topic: str, take: Callable[[Sequence[Found]], None], to: Mapping[int, int] | None = None
    ) -> None:
        """Hand on what came since, up to these offsets, or to where the topic ends now."""
        upto = (await ends(self._desk, [topic]))[topic] if to is None else to
        at = self._at[topic]
        starts = {partition: at.get(partition, 0) for partition, end in upto.items() if at.get(partition, 0) < end}
        if starts:
            await self._desk.read(
                topic,
                lambda records: take([each for each in records if each.offset < upto[each.partition]]),
                Span(starts=starts),
            )
            at.update({partition: upto[partition] for partition in starts})

    def _take_audit(self, records: Sequence[Found]) -> None:
        for each in records:
            record = each.record
            if record is not None and record["command"] == CANCEL and record["plan_id"] == self.plan.plan_id:
                self.cancelled = self.cancelled or Cancelled(record["operator"], record["at"])

    def _take_requests(self, records: Sequence[Found]) -> None:
        for each in records:
            if each.record is None:
                continue
            place, request_id = place_of(each.record["input"]), each.record["request_id"]
            if each.record["plan_id"] == self.plan.plan_id and request_id in self._ids:
                self.wrote(request_id, each.partition, each.offset)
            elif place in self._places:
                self.others.add(place)

    def _take_ledger(self, records: Sequence[Found]) -> None:
        for each in records:
            if each.record is None:
                continue
            about: Mapping[str, object] = each.record["input"]
            if about["topic"] != self._desk.names.replays or about["cluster_id"] != self.plan.cluster_id:
                continue
            request_id = self._by_place.get((each.record["input"]["partition"], each.record["input"]["offset"]))
            if request_id is not None:
                self.ended.setdefault(request_id, Ended(each.record["outcome"], each.record["reason"]))

    # --- what it adds up to -----------------------------------------------------------------------------------

    def ends(self) -> list[End]:
        """How many of the plan's records ended how, each beside what was planned."""
        counts: Counter[tuple[str, str, str]] = Counter()
        for entry in self.plan.entries:
            ended = self.ended.get(self.plan.request_id(entry))
            if ended is not None:
                counts[entry.today, ended.outcome, ended.reason] += 1
        return [End(*each, records) for each, records in sorted(counts.items())]

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen to the plan by itself."""
        return not self.unsettled and (self.cancelled is not None or len(self.requested) == len(self.plan.entries))


async def watch(course: Course, show: Callable[[Course], None]) -> None:
    """Follow until all of it is settled."""
    await course.follow()
    show(course)
    while not course.is_over:
        await asyncio.sleep(LOOK_EVERY_S)
        await course.follow()
        show(course)
