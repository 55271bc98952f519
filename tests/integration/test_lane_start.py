"""Where lanes start: written once, never rewound in silence."""

from collections.abc import AsyncIterator

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.structs import TopicPartition
from typer.testing import CliRunner

from gateway.cli import app
from gateway.core.metadata import CommitMetadata
from gateway.kafka.cluster import EARLIEST, LATEST
from gateway.kafka.connection import KafkaConnection
from gateway.kafka.group import GroupInUseError
from gateway.kafka.lane_start import ForeignOffsetsError, NoSuchLaneError, Started, start_lanes
from gateway.kafka.names import TopicNames
from gateway.kafka.offsets_log import Committed
from gateway.kafka.topics import create_topics
from tests.coordinator_offsets import fetch_committed
from tests.integration.lost_offsets import overwrite_offset
from tests.integration.waiting import until

BOUND_S = 20
RECORDS = 5


class Group:
    """One group's lanes."""

    def __init__(self, connection: KafkaConnection, client: AIOKafkaClient, prefix: str) -> None:
        self.connection = connection
        self.client = client
        self.names = TopicNames(prefix)
        self.id = f"{prefix}group"
        self.lane = TopicPartition(self.names.payments, 0)
        self.times: list[int] = []

    async def start(self, time: int, *, force: bool = False) -> dict[tuple[str, int], tuple[int, Started]]:
        started = await start_lanes(self.connection, self.names, self.id, time, force=force)
        return {(lane.topic, lane.partition): (lane.offset, lane.started) for lane in started}

    async def committed(self) -> Committed | None:
        return await fetch_committed(self.client, self.id, *self.lane)

    async def commit(self, offset: int, metadata: str) -> None:
        await overwrite_offset(self.connection.bootstrap, self.id, self.lane, offset, metadata)


@pytest.fixture
async def group(kafka: str, prefix: str) -> AsyncIterator[Group]:
    """A group without offsets; the first partition of the payments holds some records."""
    connection = KafkaConnection(kafka, f"{prefix}test")
    await create_topics(connection, TopicNames(prefix), partitions=2, relaxed=True)
    async with connection.client() as client:
        made = Group(connection, client, prefix)
        async with AIOKafkaProducer(**connection.kwargs()) as producer:
            for number in range(RECORDS):
                sent = await producer.send_and_wait(made.names.payments, b"%d" % number, partition=0)
                made.times.append(sent.timestamp)
        yield made


@pytest.mark.parametrize(("time", "offset"), [(EARLIEST, 0), (LATEST, RECORDS), (1, 0), (9_999_999_999_999, RECORDS)])
async def test_a_lane_starts_where_it_is_told(group: Group, time: int, offset: int) -> None:
    """Earliest, latest, at a time, or at the end if nothing is as late; with metadata that a lane reads as its own."""
    started = await group.start(time)
    assert started[group.lane] == (offset, Started.SET)
    assert len(started) == 2 + 2 + 1
    committed = await group.committed()
    assert committed is not None
    assert committed.offset == offset
    assert CommitMetadata.decode(committed.metadata, offset) == CommitMetadata()


async def test_a_lane_that_has_an_offset_keeps_it(group: Group) -> None:
    """Running it again, as after partitions were added, moves no lane."""
    settled = CommitMetadata(settled=(4,), opens=1).encode(3)
    await group.commit(3, settled)
    started = await group.start(EARLIEST)
    assert started[group.lane] == (3, Started.KEPT)
    assert started[group.names.payments, 1] == (0, Started.SET)
    assert await group.committed() == Committed(3, settled)


async def test_force_replaces_and_says_so(group: Group) -> None:
    """Only with --force is an offset moved, and the old one is in the answer."""
    await group.start(LATEST)
    started = await start_lanes(group.connection, group.names, group.id, EARLIEST, force=True)
    first = next(lane for lane in started if (lane.topic, lane.partition) == group.lane)
    assert (first.started, first.before, first.offset) == (Started.REPLACED, RECORDS, 0)


async def test_force_can_be_kept_to_one_lane(group: Group) -> None:
    """Mending one lane moves no other: their live intents would be forgotten."""
    await group.start(LATEST)
    only = f"{group.names.payments}:0"
    started = await start_lanes(group.connection, group.names, group.id, EARLIEST, force=True, only=[only])
    assert [(f"{lane.topic}:{lane.partition}", lane.started) for lane in started] == [(only, Started.REPLACED)]
    with pytest.raises(NoSuchLaneError, match=r"lease\.payments:7"):
        await start_lanes(
            group.connection, group.names, group.id, EARLIEST, force=True, only=[f"{group.names.payments}:7"]
        )


async def test_an_offset_of_someone_else_is_refused(group: Group) -> None:
    """An offset without our metadata is not ours: nothing is changed, until forced."""
    await group.commit(3, "")
    with pytest.raises(ForeignOffsetsError, match=f"{group.lane.topic}:0"):
        await group.start(EARLIEST)
    assert await fetch_committed(group.client, group.id, group.names.payments, 1) is None
    assert (await group.start(EARLIEST, force=True))[group.lane] == (0, Started.REPLACED)


async def test_a_live_group_is_left_alone(group: Group) -> None:
    """While a member runs, its offsets are its own, whatever is forced."""
    consumer = AIOKafkaConsumer(group.names.scores, **group.connection.kwargs(), group_id=group.id)
    await consumer.start()
    try:
        await until(consumer.assignment, BOUND_S, "the member has its partitions")
        for force in (False, True):
            with pytest.raises(GroupInUseError, match="stop every gateway"):
                await group.start(EARLIEST, force=force)
    finally:
        await consumer.stop()
    assert await group.committed() is None


async def test_the_command_prints_each_lane(group: Group) -> None:
    """`gateway lanes init` answers in JSON, and refuses a time without a zone."""
    import asyncio

    def run(start: str) -> tuple[int, str]:
        options = ["--bootstrap", group.connection.bootstrap, "--prefix", group.names.prefix, "--group", group.id]
        result = CliRunner().invoke(app, ["lanes", "init", "--from", start, *options, "--json"])
        return result.exit_code, result.stdout

    status, printed = await asyncio.to_thread(run, "earliest")
    lanes = orjson.loads(printed)["lanes"]
    assert (status, len(lanes)) == (0, 5)
    assert {lane["started"] for lane in lanes} == {"set"}
    status, _ = await asyncio.to_thread(run, "2026-04-01T00:00:00")
    assert status != 0
