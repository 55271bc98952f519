"""The member of the group and the topics that it looks at, over a consumer that the test plays."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from aiokafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError
from aiokafka.structs import TopicPartition

from gateway.kafka import source as source_module
from gateway.kafka.cluster import Topic, TopicMissingError
from gateway.kafka.connection import KafkaConnection, KafkaUnavailableError
from gateway.kafka.membership import GroupSettings
from gateway.kafka.source import (
    ERROR_PAUSE_S,
    FEW_RECORDS,
    GATHER_S,
    MISSED_LOOKS,
    TOPICS_EVERY_S,
    PositionLostError,
    Source,
    TopicReplacedError,
)
from tests.source_world import MOST_BYTES, ONE, REAL_SLEEP, TOPIC, ZERO, Kafka, Pauses, World, offsets, records, until


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


# --- the group -----------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize(("count", "pause"), [(FEW_RECORDS - 1, [GATHER_S]), (FEW_RECORDS, []), (0, [])])
async def test_after_a_few_records_others_may_gather(
    source: Source, kafka: Kafka, pauses: Pauses, running: asyncio.Task[None], count: int, pause: list[float]
) -> None:
    """A poll costs much the same for one as for hundreds; where there was nothing, the next one follows at once."""
    await source.on_partitions_assigned([ZERO])
    kafka.polls = [{ZERO: records(0, count)}] if count else [{}]
    await until(lambda: not kafka.polls)
    polled = kafka.polled
    await until(lambda: kafka.polled > polled)
    assert [made for made in pauses.made if made != TOPICS_EVERY_S] == pause


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


async def test_a_client_that_reads_no_more_ends_the_process(kafka: Kafka, running: asyncio.Task[None]) -> None:
    """aiokafka gives no records from then on, as if there were none."""
    await until(lambda: kafka.polled > 1)
    kafka.break_fetcher()
    with pytest.raises(KafkaUnavailableError, match="reading: the client stopped: its end"):
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
