"""The member of the group and its feeds, over a consumer that the test plays."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from aiokafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError
from aiokafka.structs import TopicPartition

from gateway.kafka import source as source_module
from gateway.kafka.cluster import Cluster, Topic, TopicMissingError
from gateway.kafka.connection import KafkaConnection, KafkaUnavailableError
from gateway.kafka.membership import GroupSettings
from gateway.kafka.source import (
    ERROR_PAUSE_S,
    FEED_HIGH,
    FEED_LOW,
    MISSED_LOOKS,
    POSITION_EVERY_S,
    TAKE_BYTES,
    TOPICS_EVERY_S,
    Feed,
    PositionLostError,
    Source,
    TopicReplacedError,
)

TOPIC = "lease.payments"
ZERO, ONE = TopicPartition(TOPIC, 0), TopicPartition(TOPIC, 1)
MOST_BYTES = 100_000
REAL_SLEEP = asyncio.sleep


def record(offset: int, size: int = 1) -> Any:
    return SimpleNamespace(offset=offset, key=None, value=b"x" * size, headers=())


def heavy(offset: int) -> Any:
    return SimpleNamespace(offset=offset, key=b"key", value=None, headers=(("h", b"12"), ("none", None)))


def records(first: int, behind: int) -> list[Any]:
    return [record(offset) for offset in range(first, behind)]


class Asked:
    """Stands for the source of one feed: what was asked of it."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.membership = SimpleNamespace(confirm=self._confirm)

    async def _confirm(self) -> None:
        self.calls.append("confirm")

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.calls.append(f"seek {offset}")

    def pause(self, partition: TopicPartition) -> None:
        self.calls.append("pause")

    def resume(self, partition: TopicPartition) -> None:
        self.calls.append("resume")


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
def feed(asked: Asked) -> Feed:
    """One of one lane."""
    source: Any = asked
    return Feed(source, ZERO, is_new=False, lanes=1, most_bytes=MOST_BYTES)


def offsets(taken: Sequence[Any]) -> list[int]:
    return [each.offset for each in taken]


async def waits(feed: Feed) -> bool:
    """Whether somebody who takes from it must wait."""
    taking = asyncio.create_task(feed.take(10))
    for _ in range(3):
        await REAL_SLEEP(0)
    taking.cancel()
    return not taking.done()


# --- a feed -----------------------------------------------------------------------------------------------


async def test_records_are_taken_in_order_up_to_the_limit(feed: Feed) -> None:
    """With the position behind them; who takes waits until there is something."""
    feed.seek(5)
    assert await waits(feed)
    feed.put(records(5, 8))
    assert feed.view() == {"feed_records": 3, "feed_bytes": 3}
    taken, position = await feed.take(2)
    assert (offsets(taken), position) == ([5, 6], 7)
    taken, position = await feed.take(2)
    assert (offsets(taken), position) == ([7], 8)
    assert feed.view() == {"feed_records": 0, "feed_bytes": 0}
    assert await waits(feed)


async def test_no_more_bytes_are_taken_at_once_than_a_window_holds(feed: Feed) -> None:
    """At least one record, however large."""
    feed.seek(0)
    feed.put([record(offset, TAKE_BYTES // 2) for offset in range(3)] + [record(3, 2 * TAKE_BYTES)])
    for expected in ([0, 1], [2, 3]):
        taken, _ = await feed.take(10)
        assert offsets(taken) == expected


async def test_keys_and_headers_take_memory_too(feed: Feed) -> None:
    """All that is kept of a record counts."""
    feed.seek(0)
    feed.put([heavy(0)])
    assert feed.view() == {"feed_records": 1, "feed_bytes": len("key") + len("h12") + len("none")}


async def test_what_was_polled_before_a_seek_is_stale(feed: Feed) -> None:
    """Neither records before the offset nor what waited nor what comes to a stopped feed is ever taken."""
    assert not feed.is_open
    feed.put(records(0, 3))
    feed.seek(5)
    assert feed.is_open
    feed.put(records(2, 5))
    assert await waits(feed)
    feed.put(records(3, 8))
    feed.put(records(6, 9))
    assert feed.view()["feed_records"] == 4
    feed.seek(7)
    assert await waits(feed)
    feed.put(records(7, 9))
    feed.stop()
    assert not feed.is_open
    feed.put(records(9, 10))
    assert feed.view() == {"feed_records": 0, "feed_bytes": 0}
    feed.seek(20)
    assert await waits(feed)


async def test_a_feed_is_taken_from_after_its_seek(feed: Feed) -> None:
    """A lane that let go of it and takes all the same has a fault."""
    feed.seek(5)
    feed.put(records(5, 6))
    feed.stop()
    with pytest.raises(AssertionError, match="after its seek"):
        await feed.take(1)


async def test_a_gap_moves_the_position_while_nothing_waits(feed: Feed) -> None:
    """Markers are never delivered, and the lane must get past them; a position behind ours says nothing."""
    feed.passed(9)
    feed.seek(5)
    feed.passed(5)
    assert await waits(feed)
    feed.passed(9)
    assert await feed.take(10) == ([], 9)
    assert await waits(feed)
    feed.put(records(9, 10))
    feed.passed(12)
    taken, position = await feed.take(10)
    assert (offsets(taken), position) == ([9], 10)


async def test_a_feed_wants_its_position_now_and_then_while_it_is_idle(feed: Feed) -> None:
    """Only an open one, from which all was taken."""
    assert not feed.wants_position(100.0)
    feed.seek(5)
    assert feed.wants_position(100.0)
    assert not feed.wants_position(100.0 + POSITION_EVERY_S / 2)
    assert feed.wants_position(100.0 + POSITION_EVERY_S)
    feed.put(records(5, 6))
    assert not feed.wants_position(200.0)


async def test_a_feed_that_is_full_of_records_is_paused_until_few_are_left(feed: Feed, asked: Asked) -> None:
    """Neither earlier."""
    feed.seek(0)
    feed.put(records(0, FEED_HIGH - 1))
    assert asked.calls == ["seek 0"]
    feed.put(records(FEED_HIGH - 1, FEED_HIGH))
    assert asked.calls == ["seek 0", "pause"]
    await feed.take(FEED_HIGH - FEED_LOW)
    assert asked.calls == ["seek 0", "pause"]
    await feed.take(1)
    assert asked.calls == ["seek 0", "pause", "resume"]


async def test_a_feed_that_is_full_of_bytes_is_paused_until_few_are_left(feed: Feed, asked: Asked) -> None:
    """Few large records are as many as many small ones."""
    feed.seek(0)
    feed.put([record(offset, MOST_BYTES // 4) for offset in range(4)])
    assert asked.calls == ["seek 0", "pause"]
    await feed.take(3)
    assert asked.calls == ["seek 0", "pause"]
    await feed.take(1)
    assert asked.calls == ["seek 0", "pause", "resume"]


async def test_a_lane_learns_by_its_feed_that_the_group_knows_us(feed: Feed, asked: Asked) -> None:
    """It waits for the answer."""
    await feed.confirm_membership()
    assert asked.calls == ["confirm"]


# --- the member -------------------------------------------------------------------------------------------


class Kafka:
    """The consumer and the topics; what fails, fails once."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.polls: list[Any] = []  # what the next polls give or raise
        self.polled = 0
        self.looks: list[Any] = []  # what the next looks at the topics give or raise
        self.topics: dict[str, Topic] = {TOPIC: Topic(TOPIC, UUID(int=1), {0: 1, 1: 1}, 1)}
        self.owned: set[TopicPartition] = {ZERO, ONE}
        self.positions = {ZERO: 9, ONE: 9}
        self.asked_for: list[TopicPartition] = []  # their positions
        self._coordinator = SimpleNamespace(_do_heartbeat=None, _send_req=None)
        self._client = SimpleNamespace(force_metadata_update=self._update)

    def __call__(self, **_: object) -> "Kafka":
        return self

    async def describe(self, client: object, names: Iterable[str]) -> Cluster:
        if self.looks:
            look = self.looks.pop(0)
            if isinstance(look, BaseException):
                raise look
            return Cluster("c", (1,), look)
        return Cluster("c", (1,), self.topics)

    async def _update(self) -> None:
        self.calls.append("update metadata")

    async def start(self) -> None:
        self.calls.append("start")

    async def stop(self) -> None:
        self.calls.append("stop")

    def subscribe(self, topics: list[str], listener: object) -> None:
        self.calls.append(f"subscribe {' '.join(topics)}")

    def assignment(self) -> set[TopicPartition]:
        return self.owned

    async def position(self, partition: TopicPartition) -> int:
        self.asked_for.append(partition)
        return self.positions[partition]

    async def getmany(self, *, timeout_ms: int, max_records: int) -> Any:
        await REAL_SLEEP(0)
        self.polled += 1
        polled = self.polls.pop(0) if self.polls else {}
        if isinstance(polled, BaseException):
            raise polled
        return polled

    def _noted(self, what: str, partition: TopicPartition) -> None:
        assert partition in self.owned, "aiokafka raises on a partition that is not assigned"
        self.calls.append(f"{what} {partition.partition}")

    def pause(self, partition: TopicPartition) -> None:
        self._noted("pause", partition)

    def resume(self, partition: TopicPartition) -> None:
        self._noted("resume", partition)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._noted(f"seek to {offset}", partition)


class Pauses:
    """The source's pauses: those between looks last until the test lets them go, any other is a turn of the loop."""

    def __init__(self) -> None:
        self.made: list[float] = []
        self._looks = asyncio.Semaphore(0)

    async def pause(self, seconds: float) -> None:
        self.made.append(seconds)
        if seconds == TOPICS_EVERY_S:
            await self._looks.acquire()
        else:
            await REAL_SLEEP(0)

    def over(self, looks: int = 1) -> None:
        for _ in range(looks):
            self._looks.release()


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> Kafka:
    made = Kafka()
    monkeypatch.setattr(source_module, "AIOKafkaConsumer", made)
    monkeypatch.setattr(source_module, "describe", made.describe)
    return made


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Pauses:
    made = Pauses()
    monkeypatch.setattr(source_module.asyncio, "sleep", made.pause)
    return made


class World:
    """What the member tells: feeds that were opened, partitions that were closed, what ends the process."""

    def __init__(self) -> None:
        self.feeds: list[Feed] = []
        self.closed: list[TopicPartition] = []
        self.failures: list[BaseException] = []
        self.raises: BaseException | None = None

    def opened(self, feed: Feed) -> None:
        if self.raises:
            raise self.raises
        self.feeds.append(feed)

    async def close(self, partitions: Sequence[TopicPartition]) -> None:
        if self.raises:
            raise self.raises
        await REAL_SLEEP(0)
        self.closed += partitions


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def source(kafka: Kafka, world: World) -> Source:
    """A member that has joined."""
    settings = GroupSettings("group", None, 6_000, 60_000)
    client: Any = None
    connection = KafkaConnection("nowhere:1", "test")
    made = Source(
        connection,
        client,
        settings,
        [TOPIC],
        world.opened,
        world.close,
        world.failures.append,
        lambda lanes: MOST_BYTES // lanes,
    )
    await made.start()
    return made


@pytest.fixture
async def running(source: Source, pauses: Pauses) -> AsyncIterator[asyncio.Task[None]]:
    """It polls."""
    task = asyncio.create_task(source.run())
    yield task
    task.cancel()
    await asyncio.wait({task})


async def until(condition: Callable[[], object]) -> None:
    """Give the loop turns until this is so."""
    async with asyncio.timeout(2):
        while not condition():
            await REAL_SLEEP(0)


async def test_it_joins_with_topics_that_are_there_and_leaves(source: Source, kafka: Kafka) -> None:
    """The heartbeats are watched before there can be one of a generation."""
    assert kafka.calls == ["start", f"subscribe {TOPIC}"]
    assert kafka._coordinator._do_heartbeat is not None
    await source.stop()
    assert kafka.calls[2:] == ["stop"]


async def test_it_does_not_join_for_topics_that_are_missing(source: Source, kafka: Kafka) -> None:
    """Somebody must make them."""
    kafka.looks = [{}]
    with pytest.raises(TopicMissingError):
        await source.start()


async def test_a_partition_that_is_gained_is_paused_and_handed_over(source: Source, kafka: Kafka, world: World) -> None:
    """Each with its share of the memory; one that was not there when we joined is new."""
    two = TopicPartition(TOPIC, 2)
    kafka.owned.add(two)
    await source.on_partitions_assigned([two, ZERO])
    assert kafka.calls[2:] == ["pause 0", "pause 2"]
    assert [(feed.partition, feed.is_new, feed.lanes) for feed in world.feeds] == [(ZERO, False, 2), (two, True, 2)]
    assert source.assigned


async def test_a_partition_that_is_lost_is_drained_before_the_rebalance_goes_on(
    source: Source, kafka: Kafka, world: World, running: asyncio.Task[None]
) -> None:
    """It is paused first; afterwards nothing is put into its feed."""
    await source.on_partitions_assigned([ZERO, ONE])
    world.feeds[0].seek(5)
    del kafka.calls[:]
    await source.on_partitions_revoked([ONE, ZERO])
    assert kafka.calls == ["pause 1", "pause 0"]
    assert world.closed == [ZERO, ONE]
    assert not source.assigned
    kafka.polls = [{ZERO: records(5, 6)}]
    await until(lambda: not kafka.polls)
    assert not running.done()
    assert world.feeds[0].view()["feed_records"] == 0
    assert world.failures == []


async def test_what_fails_in_a_rebalance_ends_the_process(source: Source, world: World) -> None:
    """aiokafka would log it and go on."""
    world.raises = ZeroDivisionError()
    await source.on_partitions_assigned([ZERO])
    assert not source.assigned
    await source.on_partitions_revoked([ZERO])
    assert world.failures == [world.raises] * 2


async def test_what_a_lane_asks_for_a_partition_that_is_lost_is_nothing(source: Source, kafka: Kafka) -> None:
    """aiokafka would raise; a lane that drains does not know yet."""
    kafka.owned = {ONE}
    del kafka.calls[:]
    for partition in (ZERO, ONE):
        source.seek(partition, 5)
        source.pause(partition)
        source.resume(partition)
    assert kafka.calls == ["seek to 5 1", "resume 1", "pause 1", "resume 1"]


async def test_what_is_polled_comes_to_its_feed_and_gaps_are_passed(
    source: Source, kafka: Kafka, world: World, running: asyncio.Task[None]
) -> None:
    """Of an idle feed the position is looked at, unless its partition is lost."""
    await source.on_partitions_assigned([ZERO, ONE])
    for feed in world.feeds:
        feed.seek(5)
    kafka.positions = {ONE: 9}
    kafka.owned = {ONE}
    kafka.polls = [{ZERO: records(5, 7)}]
    taken, position = await asyncio.wait_for(world.feeds[0].take(10), 2)
    assert (offsets(taken), position) == ([5, 6], 7)
    assert await asyncio.wait_for(world.feeds[1].take(10), 2) == ([], 9)
    polled = kafka.polled
    await until(lambda: kafka.polled > polled + 5)
    assert kafka.asked_for == [ONE]
    assert not running.done()


@pytest.mark.parametrize("error", [OffsetOutOfRangeError({ZERO: 5}), NoOffsetForPartitionError(ZERO)])
async def test_an_open_lane_whose_offset_left_the_log_ends_the_process(
    source: Source, kafka: Kafka, world: World, pauses: Pauses, running: asyncio.Task[None], error: KafkaError
) -> None:
    """One that is just opening finds out for itself, so it is polled on, after a pause."""
    await source.on_partitions_assigned([ZERO, ONE])
    world.feeds[1].seek(5)
    kafka.polls = [error, error]
    await until(lambda: not kafka.polls)
    await until(lambda: pauses.made.count(ERROR_PAUSE_S) == 2)
    assert not running.done()
    world.feeds[0].seek(5)
    kafka.polls = [error]
    with pytest.raises(PositionLostError, match=f"lane {TOPIC}:0"):
        await running


async def test_an_error_that_names_no_partition_is_about_none(
    source: Source, kafka: Kafka, world: World, pauses: Pauses, running: asyncio.Task[None]
) -> None:
    """It is polled on; if a lane can't go on the next error says so."""
    await source.on_partitions_assigned([ZERO])
    world.feeds[0].seek(5)
    kafka.polls = [OffsetOutOfRangeError()]
    await until(lambda: ERROR_PAUSE_S in pauses.made)
    assert not running.done()


async def test_inputs_that_can_not_be_read_end_the_process(kafka: Kafka, running: asyncio.Task[None]) -> None:
    """aiokafka raises only what does not pass."""
    kafka.polls = [KafkaError()]
    with pytest.raises(KafkaUnavailableError, match="reading the inputs"):
        await running


# --- the topics -------------------------------------------------------------------------------------------


async def test_partitions_that_were_added_are_taken_note_of_at_once(
    source: Source, kafka: Kafka, pauses: Pauses, running: asyncio.Task[None]
) -> None:
    """Once; and that an answer came is a sign of life."""
    del kafka.calls[:]
    await until(lambda: pauses.made.count(TOPICS_EVERY_S) == 1)
    source.membership._heard_at = 0.0
    pauses.over()
    await until(lambda: pauses.made.count(TOPICS_EVERY_S) == 2)
    assert source.membership._heard_at > 0
    assert kafka.calls == []
    kafka.topics = {TOPIC: Topic(TOPIC, UUID(int=1), {0: 1, 1: 1, 2: 1}, 1)}
    pauses.over(2)
    await until(lambda: pauses.made.count(TOPICS_EVERY_S) == 4)
    assert kafka.calls == ["update metadata"]
    assert not running.done()


async def test_a_look_that_fails_shows_elsewhere(kafka: Kafka, pauses: Pauses, running: asyncio.Task[None]) -> None:
    """It is looked again; a broker that has just started need not know all topics yet."""
    kafka.looks = [KafkaUnavailableError("looking", "no answer"), *[{}] * (MISSED_LOOKS - 1), kafka.topics, {}]
    pauses.over(len(kafka.looks))
    await until(lambda: not kafka.looks)
    await until(lambda: pauses.made.count(TOPICS_EVERY_S) == MISSED_LOOKS + 3)
    assert not running.done()


async def test_a_topic_that_is_missing_again_and_again_ends_the_process(
    kafka: Kafka, pauses: Pauses, running: asyncio.Task[None]
) -> None:
    """Its lanes have no log any more."""
    kafka.looks = [{}] * MISSED_LOOKS
    pauses.over(MISSED_LOOKS)
    with pytest.raises(PositionLostError, match="was deleted while its lanes were open"):
        await running


async def test_a_topic_made_anew_ends_the_process(kafka: Kafka, pauses: Pauses, running: asyncio.Task[None]) -> None:
    """Its offsets mean other records; all its lanes are named."""
    kafka.topics = {TOPIC: Topic(TOPIC, UUID(int=2), {0: 1, 1: 1}, 1)}
    pauses.over()
    with pytest.raises(TopicReplacedError) as replaced:
        await running
    assert replaced.value.lanes == (ZERO, ONE)


async def test_who_stops_polling_stops_looking(running: asyncio.Task[None], pauses: Pauses) -> None:
    """Nothing of it is left behind."""
    await until(lambda: pauses.made)
    (looking,) = (task for task in asyncio.all_tasks() if task.get_name() == "topics")
    running.cancel()
    await asyncio.wait({running})
    await REAL_SLEEP(0)
    assert looking.cancelled()
