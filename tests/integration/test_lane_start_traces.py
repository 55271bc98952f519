"""Where lanes start by a ledger and intents written by hand: what is of another log, and what can't be read."""

from collections.abc import AsyncIterator, Sequence

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.structs import TopicPartition

from gateway import schemas
from gateway.kafka.cluster import describe
from gateway.kafka.codec import Codec
from gateway.kafka.connection import KafkaConnection
from gateway.kafka.lane_recovery import LedgerUnfitError, from_ledger
from gateway.kafka.lane_start import LaneStart, LaneTakenError, Start, Started, start_lanes
from gateway.kafka.names import TopicNames
from gateway.kafka.opening import LaneName
from gateway.kafka.registry import FileRegistry
from gateway.kafka.topics import create_topics
from gateway.kafka.transactions import LaneProducer
from tests.coordinator_offsets import fetch_committed
from tests.recorded import samples

RECORDS = 5
EARLIER_MS = 1_000_000  # before the log began: another log


class Traced:
    """A group without offsets: one of its lanes has some records, and some of them are recorded."""

    def __init__(self, connection: KafkaConnection, client: AIOKafkaClient, producer: AIOKafkaProducer) -> None:
        self.connection = connection
        self.client = client
        self.producer = producer
        self.names = TopicNames(connection.client_id)
        self.group = f"{connection.client_id}group"
        self.lane = TopicPartition(self.names.payments, 0)
        self.appended: list[int] = []

    async def fill(self) -> None:
        for number in range(RECORDS):
            sent = await self.producer.send_and_wait(self.names.payments, b"%d" % number, partition=0)
            self.appended.append(sent.timestamp)

    async def record(self, offset: int, appended_at: int) -> None:
        """In the ledger."""
        cluster_id = (await describe(self.client, [self.names.ledger])).id
        topic, partition = self.lane
        position = {"cluster_id": cluster_id, "topic": topic, "partition": partition}
        settled = {**samples.LEDGER, "input": {**position, "offset": offset, "timestamp": appended_at}}
        await self.producer.send_and_wait(self.names.ledger, schemas.encode("ProvisionRecord", settled))

    async def damage(self, key: str | None) -> None:
        """An intent that can't be read, under this key."""
        await self.producer.send_and_wait(self.names.intents, b"damaged", key=key and key.encode())

    async def start(self, only: Sequence[str]) -> list[LaneStart]:
        codec = Codec(FileRegistry(), self.names.record_kinds())
        find = from_ledger(self.connection, codec, self.names, force=False, tell=lambda *_: None)
        return await start_lanes(self.connection, self.names, self.group, find, force=False, only=only)


@pytest.fixture
async def traced(kafka: str, prefix: str) -> AsyncIterator[Traced]:
    """The first lane of the payments holds some records, all others are empty."""
    connection = KafkaConnection(kafka, prefix)
    await create_topics(connection, TopicNames(prefix), partitions=2, relaxed=True)
    async with connection.client() as client, AIOKafkaProducer(**connection.kwargs()) as producer:
        made = Traced(connection, client, producer)
        await made.fill()
        yield made


async def test_the_ledger_of_a_topic_made_anew_is_told_apart_by_time(traced: Traced) -> None:
    """The earlier log was as long, and all of it was settled; in this one a record hangs."""
    for offset in range(RECORDS):
        await traced.record(offset, traced.appended[0] - EARLIER_MS + offset)
    for offset in (0, 1, 3, 4):
        await traced.record(offset, traced.appended[offset])
    (started,) = await traced.start([f"{traced.lane.topic}:0"])
    assert (started.started, started.offset, started.settled_beyond) == (Started.SET, 2, 2)
    assert started.ignored == RECORDS


async def test_an_intent_that_can_not_be_read_refuses_the_lane_that_it_is_of(traced: Traced) -> None:
    """Its key names the lane; without one that does, it may be of any."""
    its, other = f"{traced.lane.topic}:0", f"{traced.lane.topic}:1"
    await traced.record(0, traced.appended[0])
    await traced.damage(its)
    with pytest.raises(LedgerUnfitError, match=rf"lane {its}: its intent at .* can't be read"):
        await traced.start([its, other])
    (started,) = await traced.start([other])
    assert (started.started, started.offset) == (Started.SET, 0)
    for key in ("no lane", None):
        await traced.damage(key)
        with pytest.raises(LedgerUnfitError, match=r"offset \d+ can't be read"):
            await traced.start([f"{traced.names.scores}:0"])


async def test_what_a_gateway_committed_in_between_is_not_overwritten(traced: Traced) -> None:
    """It takes the lane over while the ledger is read, settles, and has left before the start is committed."""
    topic, partition = traced.lane
    name = LaneName(traced.group, topic, partition)

    async def find(_: AIOKafkaClient, lanes: list[TopicPartition]) -> dict[TopicPartition, Start]:
        gateway = LaneProducer(traced.connection, name.transactional_id, traced.group)
        await gateway.take_over()
        await gateway.begin_and_produce([])
        await gateway.commit(topic, partition, RECORDS, "of the gateway")
        await gateway.drop()
        return dict.fromkeys(lanes, Start(1))

    with pytest.raises(LaneTakenError, match=f"lane {name}: a gateway took it over"):
        await start_lanes(traced.connection, traced.names, traced.group, find, force=True, only=[str(name)])
    committed = await fetch_committed(traced.client, traced.group, topic, partition)
    assert committed is not None
    assert (committed.offset, committed.metadata) == (RECORDS, "of the gateway")
