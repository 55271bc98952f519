"""Where lanes start, without a Kafka: who is fenced, what is committed, and that all is let go."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from aiokafka.structs import TopicPartition

from gateway.core.metadata import CommitMetadata
from gateway.kafka import lane_start
from gateway.kafka.cluster import EARLIEST, Cluster, Topic, TopicMissingError
from gateway.kafka.connection import KafkaUnavailableError
from gateway.kafka.group import GroupInUseError
from gateway.kafka.lane_start import (
    ForeignOffsetsError,
    LaneStart,
    LaneTakenError,
    NoSuchLaneError,
    Start,
    Started,
    start_lanes,
)
from gateway.kafka.names import TopicNames
from gateway.kafka.offsets_log import Committed
from gateway.kafka.transactions import Doubt, Doubtful, Fenced

NAMES = TopicNames()
TOPICS = (NAMES.payments, NAMES.scores, NAMES.replays)
LANES = [TopicPartition(topic, 0) for topic in TOPICS]
FIRST, SECOND = f"group-{NAMES.payments}-0", f"group-{NAMES.scores}-0"
DOUBT, FENCED = Doubtful(Doubt.TIMEOUT, "commit"), Fenced(Doubt.NEWER_OWNER, "commit")
OURS = CommitMetadata().encode(5)


class World:
    """Three lanes; what is committed of them, what was done, and what fails."""

    def __init__(self) -> None:
        self.topics = {name: Topic(name, UUID(int=1), {0: 1}, 1) for name in TOPICS}
        self.committed: dict[TopicPartition, Committed] = {}
        self.calls: list[str] = []
        self.fails: dict[str, BaseException] = {}
        self.is_live = False

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Any]:
        yield None

    async def call(self, name: str) -> None:
        self.calls.append(name)
        if name in self.fails:
            raise self.fails[name]

    def producer(self, connection: object, transactional_id: str, group: str) -> Any:
        assert group == "group"
        return SimpleNamespace(
            name=transactional_id,
            take_over=lambda: self.call(f"take over {transactional_id}"),
            begin_and_produce=lambda records: self.call(f"begin {transactional_id}"),
            commit=lambda topic, partition, offset, metadata: self.call(f"commit {transactional_id} {offset}"),
            drop=lambda: self.call(f"drop {transactional_id}"),
        )

    async def describe(self, client: object, names: Iterable[str]) -> Cluster:
        return Cluster("c", (1,), self.topics)

    async def read_offsets(self, client: object, group: str, lanes: Any) -> dict[TopicPartition, Committed | None]:
        assert group == "group"
        if self.calls:
            self.calls.append("read")
        return {lane: self.committed.get(lane) for lane in lanes}

    async def refuse_live_group(self, client: object, group: str) -> None:
        if self.is_live:
            raise GroupInUseError(group, "Stable")

    async def list_offsets(self, client: object, times: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        return {lane: 7 if time == EARLIEST else 9 if time < 0 else -1 for lane, time in times.items()}

    async def start(self, start: Any = EARLIEST, *, force: bool = False, **how: Any) -> list[LaneStart]:
        connection: Any = self
        return await start_lanes(connection, NAMES, "group", start, force=force, **how)

    def of(self, lane: str) -> list[str]:
        return [call for call in self.calls if f"group-{lane}-0" in call]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr(lane_start, "LaneProducer", made.producer)
    for name in ("describe", "read_offsets", "refuse_live_group", "list_offsets"):
        monkeypatch.setattr(lane_start, name, getattr(made, name))
    return made


async def test_every_lane_is_fenced_before_any_is_set_and_let_go_at_the_end(world: World) -> None:
    """By the same producers, one after the other."""
    started = await world.start()
    assert [(each.offset, each.started) for each in started] == [(7, Started.SET)] * 3
    verbs = [call.partition(" group")[0] for call in world.calls]
    assert verbs == ["take over"] * 3 + ["read"] + ["begin", "commit"] * 3 + ["drop"] * 3
    done = ["take over", "begin", "commit", "drop"]
    assert [call.removesuffix(" 7") for call in world.of(NAMES.payments)] == [f"{verb} {FIRST}" for verb in done]


async def test_what_is_about_to_be_set_is_written_down_before_any_is(world: World) -> None:
    """Only that; nothing is written down of a dry run, or where every lane keeps its offset."""
    world.committed = {LANES[0]: Committed(5, OURS)}
    noted: list[list[TopicPartition]] = []

    async def note(lanes: Collection[TopicPartition]) -> None:
        noted.append(list(lanes))
        await world.call("note")

    await world.start(note=note, dry_run=True)
    assert noted == []
    await world.start(note=note)
    assert noted == [LANES[1:]]
    verbs = [call.partition(" group")[0] for call in world.calls]
    assert verbs.index("note") < verbs.index("begin")
    world.committed = dict.fromkeys(LANES, Committed(5, OURS))
    await world.start(note=note)
    assert len(noted) == 1


async def test_what_cant_be_written_down_is_not_done(world: World) -> None:
    """No audit, no deed; and the lanes are let go."""

    async def note(lanes: Collection[TopicPartition]) -> None:
        raise KafkaUnavailableError("writing to audit", "no broker")

    with pytest.raises(KafkaUnavailableError):
        await world.start(note=note, force=True)
    assert [call for call in world.calls if call.startswith(("begin", "commit"))] == []
    assert len([call for call in world.calls if call.startswith("drop")]) == len(LANES)


async def test_a_time_after_the_last_record_is_the_end(world: World) -> None:
    """There is nothing to go on with yet."""
    assert {each.offset for each in await world.start(1_700_000_000_000)} == {9}


async def test_what_has_an_offset_keeps_it_unless_forced(world: World) -> None:
    """And if nothing is left to do, gateways may run."""
    world.committed = {lane: Committed(5, OURS) for lane in LANES}
    world.is_live = True
    assert [(each.offset, each.started) for each in await world.start()] == [(5, Started.KEPT)] * 3
    assert world.calls == []
    with pytest.raises(GroupInUseError):
        await world.start(force=True)
    world.is_live = False
    started = await world.start(force=True)
    assert [(each.offset, each.before, each.started) for each in started] == [(7, 5, Started.REPLACED)] * 3


async def test_a_dry_run_fences_nobody_and_commits_nothing(world: World) -> None:
    """It tells what would be."""
    assert [each.offset for each in await world.start(dry_run=True)] == [7] * 3
    assert world.calls == []


async def test_what_a_start_is_not_known_of_is_left(world: World) -> None:
    """It is fenced all the same; who was asked knew nothing."""

    async def find(client: object, lanes: list[TopicPartition]) -> dict[TopicPartition, Start]:
        return {lanes[0]: Start(3)}

    started = await world.start(find)
    assert [each.started for each in started] == [Started.SET, Started.LEFT, Started.LEFT]


async def test_what_an_older_owner_committed_last_is_kept(world: World) -> None:
    """It may count only once that owner is fenced; then there is nothing to find out."""
    plain = world.call

    async def call(name: str) -> None:
        await plain(name)
        if name == f"take over {FIRST}":
            world.committed[LANES[0]] = Committed(5, OURS)

    async def find(client: object, lanes: list[TopicPartition]) -> dict[TopicPartition, Start]:
        return pytest.fail("nobody's start is to be found")

    world.call = call  # type: ignore[method-assign]
    (started,) = await world.start(find, only=[f"{NAMES.payments}:0"])
    assert (started.offset, started.started) == (5, Started.KEPT)
    assert world.calls == [f"take over {FIRST}", "read", f"drop {FIRST}"]


async def test_topics_that_are_missing_are_told(world: World) -> None:
    """Somebody must make them."""
    del world.topics[NAMES.scores]
    with pytest.raises(TopicMissingError, match=NAMES.scores):
        await world.start()


async def test_only_lanes_that_there_are_can_be_named(world: World) -> None:
    """The others stay as they are."""
    with pytest.raises(NoSuchLaneError, match="no such lane: others:1"):
        await world.start(only=["others:1"])
    await world.start(only=[f"{NAMES.scores}:0"])
    assert world.of(NAMES.payments) == []
    assert len(world.of(NAMES.scores)) == 4


async def test_offsets_of_somebody_else_are_replaced_only_by_force(world: World) -> None:
    """Find out first what wrote them."""
    world.committed[LANES[1]] = Committed(5, "somebody else's")
    with pytest.raises(ForeignOffsetsError, match=NAMES.scores):
        await world.start()
    assert (await world.start(force=True))[1].started is Started.REPLACED


@pytest.mark.parametrize(
    ("call", "error", "told", "text"),
    [
        (f"take over {FIRST}", DOUBT, KafkaUnavailableError, f"taking over lane {NAMES.payments}:0"),
        (f"begin {FIRST}", DOUBT, KafkaUnavailableError, f"setting the offset of lane {NAMES.payments}:0"),
        (f"commit {FIRST} 7", DOUBT, KafkaUnavailableError, f"setting the offset of lane {NAMES.payments}:0"),
        (f"commit {FIRST} 7", FENCED, LaneTakenError, f"lane {NAMES.payments}:0: .* was left as it is. Stop every"),
        (f"begin {SECOND}", FENCED, LaneTakenError, f"What is set already: {NAMES.payments}:0. Stop every"),
    ],
)
async def test_what_fails_is_told_and_all_is_let_go(
    world: World, call: str, error: Exception, told: type[Exception], text: str
) -> None:
    """Nothing of a lane that was taken over stays open."""
    world.fails = {call: error}
    with pytest.raises(told, match=text):
        await world.start()
    taken = [each.removeprefix("take over ") for each in world.calls if each.startswith("take over")]
    assert [each.removeprefix("drop ") for each in world.calls if each.startswith("drop")] == taken
