"""Committed offsets in a simulated cluster: their log is whole, and a coordinator may remember an older state of it."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.structs import TopicPartition

from gateway.kafka.connection import KafkaConnection
from gateway.kafka.offsets_log import Committed, partition_of_group, read_offset, read_offsets
from tests.coordinator_offsets import fetch_all
from tests.simulation.broker import Kind, SimulatedKafka, offsets, offsets_topic

BOUND_S = 15.0
GROUP, OTHER, TOPIC = "group", "another group", "topic"
LANES = [TopicPartition(TOPIC, number) for number in range(2)]
LANE, NEXT = LANES
PRODUCER = 77


@pytest.fixture
async def kafka(cluster: SimulatedKafka) -> SimulatedKafka:
    """Three nodes; every coordinator goes back when it has read its state, which takes no time."""
    cluster.create_topic(TOPIC, 2)
    cluster.surroundings.reverted_share = 1.0
    cluster.surroundings.loading = (0.0, 0.0)
    return cluster


@pytest.fixture
async def client(kafka: SimulatedKafka) -> AsyncIterator[AIOKafkaClient]:
    """As the gateway has one."""
    async with KafkaConnection(kafka.bootstrap, "test").client() as made:
        yield made


def commit(kafka: SimulatedKafka, offset: int, lane: TopicPartition = LANE, group: str = GROUP) -> None:
    """Outside of transactions."""
    kafka.state.offsets.commit(group, {tuple(lane): offsets.Committed(offset, f"m {offset}")})


def settle(kafka: SimulatedKafka, offset: int, *, commits: bool = True, lane: TopicPartition = LANE) -> None:
    """In a transaction of its own."""
    hold(kafka, offset, lane)
    kafka.state.offsets.decide(GROUP, PRODUCER, 0, commit=commits)


def hold(kafka: SimulatedKafka, offset: int, lane: TopicPartition = LANE) -> None:
    """In a transaction that goes on."""
    kafka.state.offsets.hold(GROUP, PRODUCER, 0, {tuple(lane): offsets.Committed(offset, f"m {offset}")})


def move(kafka: SimulatedKafka) -> None:
    """The coordinator of the group is another node, which reads its log."""
    node = kafka.state.coordinators.find(Kind.GROUP, GROUP)
    kafka.move_coordinator(Kind.GROUP, GROUP, 1 + node % 3)


def committed(offset: int) -> Committed:
    """As both ways of reading give it."""
    return Committed(offset, f"m {offset}")


async def remembered(client: AIOKafkaClient, lane: TopicPartition = LANE) -> Committed | None:
    """What the coordinator says."""
    return (await fetch_all(client, GROUP, [lane], stable=False))[lane]


async def test_a_coordinator_goes_back_to_what_it_once_knew(kafka: SimulatedKafka, client: AIOKafkaClient) -> None:
    """And stays there until it reads its log anew, whatever is committed on top; the log has all."""
    for offset in range(1, 60):
        settle(kafka, offset)
        commit(kafka, offset, NEXT)
    old, places = committed(59), set[Committed | None]()
    for _ in range(12):
        move(kafka)
        old = await remembered(client)
        places.add(old)
        assert old is None or old.offset <= 59
        assert await read_offsets(client, GROUP, LANES) == {LANE: committed(59), NEXT: committed(59)}
    assert len(places) > 3
    commit(kafka, 60, NEXT)
    assert (await remembered(client, NEXT), await remembered(client)) == (committed(60), old)
    assert await read_offsets(client, GROUP, LANES) == {LANE: committed(59), NEXT: committed(60)}
    settle(kafka, 61)
    assert await remembered(client) == await read_offset(client, GROUP, LANE) == committed(61)
    assert kafka.counts["coordinator reverted"] == 12
    kafka.surroundings.reverted_share = 0.0
    move(kafka)
    assert await remembered(client) == committed(61)
    assert kafka.counts["coordinator reverted"] == 12


async def test_a_transaction_that_is_forgotten_is_committed_in_the_log(
    kafka: SimulatedKafka, client: AIOKafkaClient
) -> None:
    """Its marker tells nothing to a coordinator that went back behind its offsets."""
    commit(kafka, 1)
    hold(kafka, 2)
    while kafka.state.offsets._of(GROUP).remembered.pending:
        move(kafka)
    old = await remembered(client)
    assert await read_offsets(client, GROUP, [LANE], decided=False) == {LANE: committed(1)}
    kafka.state.offsets.decide(GROUP, PRODUCER, 0, commit=True)
    assert await remembered(client) == old
    assert await read_offset(client, GROUP, LANE) == committed(2)
    assert kafka.committed(GROUP, TOPIC, 0) == (2, "m 2")


async def test_an_aborted_transaction_changes_nothing(kafka: SimulatedKafka, client: AIOKafkaClient) -> None:
    """Neither in the log nor in a memory."""
    settle(kafka, 1)
    settle(kafka, 2, commits=False)
    assert await remembered(client) == await read_offset(client, GROUP, LANE) == committed(1)


async def test_a_commit_behind_those_of_a_transaction_stays(kafka: SimulatedKafka, client: AIOKafkaClient) -> None:
    """As in Apache Kafka the place in the log decides, not the marker's."""
    hold(kafka, 1)
    commit(kafka, 2)
    kafka.state.offsets.decide(GROUP, PRODUCER, 0, commit=True)
    assert await remembered(client) == committed(2)
    assert kafka.committed(GROUP, TOPIC, 0) == (2, "m 2")


async def test_whoever_coordinates_leads(kafka: SimulatedKafka, client: AIOKafkaClient) -> None:
    """Nobody does for a while when a node stops; what is committed is read all the same, then."""
    kafka.surroundings.election = (50.0, 50.0)
    settle(kafka, 7)
    partition = kafka.state.partition(offsets_topic.NAME, offsets_topic.partition_of(GROUP))
    assert partition is not None
    for _ in range(4):
        node = kafka.state.coordinators.find(Kind.GROUP, GROUP)
        assert partition.leader == node
        kafka.stop_node(node)
        assert partition.leader == kafka.state.coordinators.find(Kind.GROUP, GROUP) == -1
        async with asyncio.timeout(BOUND_S):
            assert await read_offset(client, GROUP, LANE) == committed(7)
        kafka.start_node(node)
    with pytest.raises(ValueError, match="move_coordinator"):
        kafka.move_leader(offsets_topic.NAME, 0, 1)


async def test_offsets_are_compacted(kafka: SimulatedKafka, client: AIOKafkaClient) -> None:
    """The last of each lane and group stays, and no other, aborted ones neither."""
    twin = next(f"{OTHER} {n}" for n in range(99) if partition_of(f"{OTHER} {n}") == partition_of(GROUP))
    for offset in range(1, 5):
        settle(kafka, offset)
        commit(kafka, offset, NEXT)
        commit(kafka, 10 + offset, group=twin)
        settle(kafka, 20 + offset, commits=False)
    kafka.state.offsets.keep_group(GROUP, offsets_topic.group_value("consumer", 1, "range", "leader", 0))
    before = kafka.records(offsets_topic.NAME)
    assert kafka.compact(offsets_topic.NAME)
    after = kafka.records(offsets_topic.NAME)
    assert (len(before), len(after), len({record.key for record in before})) == (13, 4, 4)
    assert await read_offsets(client, GROUP, LANES) == {LANE: committed(4), NEXT: committed(4)}
    assert await read_offset(client, twin, LANE) == committed(14)


def partition_of(group: str) -> int:
    """Where its offsets lie here."""
    return offsets_topic.partition_of(group)


@pytest.mark.parametrize(
    ("name", "hashed"),
    [
        ("", 0),
        ("a", 97),
        ("AaAa", 2031744),
        ("BBBB", 2031744),
        ("polygenelubricants", -(1 << 31)),
        ("\U0001f600", 1772899),
    ],
)
def test_the_partition_of_a_group_is_kafkas(name: str, hashed: int) -> None:
    """By String.hashCode as Java's documentation defines it, without the sign."""
    for partitions in (1, 4, 7, 50):
        expected = 0 if hashed == -(1 << 31) else abs(hashed) % partitions
        assert offsets_topic.partition_of(name, partitions) == partition_of_group(name, partitions) == expected


def test_the_gateway_finds_the_same_partition() -> None:
    """Of any name, negative hashes too."""
    names = [f"{prefix}-{number}" for prefix in ("group", "Gruppe ä", "集团") for number in range(200)]
    assert [offsets_topic.partition_of(name, 50) for name in names] == [partition_of_group(name, 50) for name in names]
