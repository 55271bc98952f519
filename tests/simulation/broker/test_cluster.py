"""What goes wrong in a simulated cluster of three nodes, as real clients see it."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import TopicPartition

from gateway.kafka.cluster import LATEST, list_offsets
from gateway.kafka.connection import KafkaConnection, stop_consumer
from gateway.kafka.exact import read_exact
from gateway.kafka.offsets_log import Committed
from gateway.kafka.transactions import Doubt, Doubtful, Fenced, LaneProducer, Outgoing
from tests.coordinator_offsets import fetch_all, fetch_committed
from tests.simulation.broker import Api, Effect, Ending, Error, Fault, Kind, Record, SimulatedKafka

BOUND_S = 15.0
GROUP, LANE, TOPIC, LEDGER = "group", "lane", "topic", "ledger"


@pytest.fixture
async def kafka(cluster: SimulatedKafka) -> SimulatedKafka:
    """Three nodes with an input topic and a ledger."""
    cluster.create_topic(TOPIC, 2)
    cluster.create_topic(LEDGER, 2)
    return cluster


@pytest.fixture
async def lane(kafka: SimulatedKafka) -> AsyncIterator[LaneProducer]:
    """A lane's producer that has taken over."""
    producer = LaneProducer(KafkaConnection(kafka.bootstrap, "test"), LANE, GROUP)
    await producer.take_over()
    yield producer
    await producer.drop()


async def settle(producer: LaneProducer, offset: int) -> None:
    """One transaction with one record and one offset."""
    await producer.begin_and_produce([Outgoing(LEDGER, 0, b"key", b"%d" % offset)])
    await producer.commit(TOPIC, 0, offset, f"metadata {offset}")


async def until(condition: Callable[[], object]) -> None:
    """Until it is so, within a bound."""
    async with asyncio.timeout(BOUND_S):
        while not condition():  # noqa: ASYNC110 - the broker tells nobody what it counts
            await asyncio.sleep(0.01)


def ledger(kafka: SimulatedKafka) -> list[bytes | None]:
    """What a reader of committed records gets."""
    return [record.value for record in kafka.records(LEDGER)]


async def test_what_a_deposed_leader_had_not_replicated_is_produced_again_once(kafka: SimulatedKafka) -> None:
    """An acknowledged record is never lost, and one that is produced again lies there once."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, enable_idempotence=True, acks="all")
    await producer.start()
    kafka.slow_replication(TOPIC, 0, 300.0)
    sending = [await producer.send(TOPIC, b"%d" % number, partition=0) for number in range(5)]
    await until(lambda: kafka.counts["PRODUCE"])
    partition = kafka.state.partition(TOPIC, 0)
    await until(lambda: partition.log.end)
    kafka.move_leader(TOPIC, 0, 1 + partition.leader % 3)
    offsets = [(await sent).offset for sent in sending]
    await producer.stop()
    assert offsets == [0, 1, 2, 3, 4]
    assert [record.value for record in kafka.records(TOPIC)] == [b"%d" % number for number in range(5)]


async def test_a_new_leader_says_where_the_log_ends_once_it_knows(kafka: SimulatedKafka) -> None:
    """Never below what was acknowledged, which is what a fence is built on."""
    kafka.append(TOPIC, 0, [Record(b"key", b"value")] * 3)
    partition = kafka.state.partition(TOPIC, 0)
    await until(lambda: partition.log.high_watermark == 3)
    place = TopicPartition(TOPIC, 0)
    kafka.slow_replication(TOPIC, 0, 300.0)
    async with KafkaConnection(kafka.bootstrap, "test").client() as client:
        for _ in range(6):
            kafka.move_leader(TOPIC, 0, 1 + partition.leader % 3)
            assert (await list_offsets(client, {place: LATEST}))[place] == 3
    assert kafka.counts["end of a log not known yet"]


async def test_what_all_replicas_had_outlives_leaders_that_do_not_know_it(kafka: SimulatedKafka) -> None:
    """A leader moves on before the new one knows how far the others are: what was acknowledged is there still."""
    partition = kafka.state.partition(TOPIC, 0)
    kafka.slow_replication(TOPIC, 0, 100.0)
    for number in range(12):
        offset, _ = kafka.append(TOPIC, 0, [Record(b"key", b"%d" % number)])
        await until(lambda end=offset + 1: partition.log.high_watermark >= end)
        for _ in range(3):
            kafka.move_leader(TOPIC, 0, 1 + partition.leader % 3)
    await until(lambda: partition.log.high_watermark == 12)
    assert [record.value for record in kafka.records(TOPIC)] == [b"%d" % number for number in range(12)]


async def test_who_waits_for_replication_waits_for_the_next_leader(kafka: SimulatedKafka) -> None:
    """A record is replicated under a later leader, or lost; an acknowledgement ends with its leader."""
    partition = kafka.state.partition(TOPIC, 0)
    kafka.slow_replication(TOPIC, 0, 100.0)
    outcomes: set[tuple[Error, bool]] = set()
    for number in range(12):
        told: list[Error] = []
        acknowledged: list[Error] = []
        offset, _ = kafka.append(TOPIC, 0, [Record(b"key", b"%d" % number)])
        partition.when_replicated(offset + 1, told.append)
        partition.when_acknowledged(offset + 1, acknowledged.append)
        kafka.move_leader(TOPIC, 0, 1 + partition.leader % 3)
        assert acknowledged == [Error.NOT_LEADER_OR_FOLLOWER]
        await until(lambda told=told: told)
        outcomes.add((told[0], b"%d" % number in [record.value for record in kafka.records(TOPIC)]))
    assert outcomes == {(Error.NONE, True), (Error.NOT_LEADER_OR_FOLLOWER, False)}


async def test_a_record_that_a_new_leader_does_not_show_yet_is_read(kafka: SimulatedKafka) -> None:
    """It is there: its leader answers with nothing until it knows that followers have it too."""
    kafka.append(TOPIC, 0, [Record(b"key", b"value")])
    partition = kafka.state.partition(TOPIC, 0)
    await until(lambda: partition.log.high_watermark == 1)
    kafka.slow_replication(TOPIC, 0, 100.0)
    hidden = 0
    async with KafkaConnection(kafka.bootstrap, "test").client() as client:
        for _ in range(6):
            kafka.move_leader(TOPIC, 0, 1 + partition.leader % 3)
            hidden += partition.log.high_watermark == 0
            there, behind, beyond = await read_exact(client, [(TOPIC, 0, 0), (TOPIC, 0, 1), (TOPIC, 0, 2)])
            assert (there and there.value, behind, beyond) == (b"value", None, None)
    assert hidden


async def test_a_lost_answer_to_a_commit_is_doubt_about_what_has_happened(
    kafka: SimulatedKafka, lane: LaneProducer
) -> None:
    """The transaction is committed although its owner was not told."""
    kafka.fault(Fault(Api.END_TXN, Effect.LOSE_ANSWER, skip=1))
    await settle(lane, 1)
    with pytest.raises(Doubtful) as doubt:
        await settle(lane, 2)
    assert doubt.value.doubt is Doubt.ANSWER_LOST
    assert kafka.counts["LOSE_ANSWER END_TXN"] == 1
    await until(lambda: kafka.committed(GROUP, TOPIC, 0) == (2, "metadata 2"))
    await until(lambda: ledger(kafka) == [b"1", b"2"])


async def test_a_refused_commit_is_aborted_by_the_next_owner(kafka: SimulatedKafka, lane: LaneProducer) -> None:
    """A transaction that nobody ended ends with the take-over, and its owner is fenced."""
    kafka.fault(Fault(Api.END_TXN, Effect.REFUSE, error=Error.COORDINATOR_NOT_AVAILABLE))
    with pytest.raises(Doubtful):
        await settle(lane, 1)
    zombie = LaneProducer(KafkaConnection(kafka.bootstrap, "test"), LANE, GROUP)
    await zombie.take_over()
    await zombie.begin_and_produce([Outgoing(LEDGER, 0, b"key", b"zombie")])
    owner = LaneProducer(KafkaConnection(kafka.bootstrap, "test"), LANE, GROUP)
    await owner.take_over()
    with pytest.raises(Fenced):
        await zombie.commit(TOPIC, 0, 9, "")
    await settle(owner, 1)
    await until(lambda: ledger(kafka) == [b"1"])
    assert kafka.committed(GROUP, TOPIC, 0) == (1, "metadata 1")
    await owner.drop()
    await zombie.drop()


async def test_a_late_endtxn_ends_the_next_transaction(kafka: SimulatedKafka) -> None:
    """aiokafka's repetition of a commit leaves a copy behind, which commits what was begun since."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, transactional_id=LANE, request_timeout_ms=300)
    await producer.start()
    kafka.fault(Fault(Api.END_TXN, Effect.DELAY_REQUEST, delay_ms=1_200.0))
    await producer.begin_transaction()
    await producer.send_and_wait(LEDGER, b"first", partition=0)
    await producer.commit_transaction()  # repeated by aiokafka after its time-out
    await producer.begin_transaction()
    await producer.send_and_wait(LEDGER, b"second", partition=0)
    await until(lambda: ledger(kafka) == [b"first", b"second"])
    assert kafka.counts["DELAY_REQUEST END_TXN"] == 1
    await producer.client.close()


async def test_a_coordinator_that_loads_says_none_in_its_own_error(kafka: SimulatedKafka, lane: LaneProducer) -> None:
    """aiokafka's committed() takes it for `nothing is committed`; a reader of all errors waits for the truth."""
    await settle(lane, 7)
    kafka.surroundings.loading = (600.0, 600.0)
    kafka.surroundings.reverted_share = 0.0
    node = kafka.state.coordinators.find(Kind.GROUP, GROUP)
    kafka.move_coordinator(Kind.GROUP, GROUP, 1 + node % 3)
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap, group_id=GROUP)
    consumer.assign([TopicPartition(TOPIC, 0)])
    await consumer.start()
    assert await consumer.committed(TopicPartition(TOPIC, 0)) is None
    async with KafkaConnection(kafka.bootstrap, "test").client() as client:
        assert await fetch_committed(client, GROUP, TOPIC, 0) == Committed(7, "metadata 7")
    await consumer.stop()


async def test_members_go_on_when_their_coordinator_moves(kafka: SimulatedKafka) -> None:
    """Generation and assignment are in the coordinator's log."""
    consumers = [_member(kafka), _member(kafka)]
    for consumer in consumers:
        await consumer.start()
    await until(lambda: all(len(consumer.assignment()) == 1 for consumer in consumers))
    group = kafka.state.groups.groups[GROUP]
    generation, rebalances = group.generation, kafka.counts["rebalance"]
    node = kafka.state.coordinators.find(Kind.GROUP, GROUP)
    kafka.move_coordinator(Kind.GROUP, GROUP, 1 + node % 3)
    heard = kafka.counts["HEARTBEAT"]
    await until(lambda: kafka.counts["HEARTBEAT"] > heard + 15)
    assert (group.generation, kafka.counts["rebalance"]) == (generation, rebalances)
    for consumer in consumers:
        await consumer.stop()


async def test_a_node_stops_and_starts(kafka: SimulatedKafka, lane: LaneProducer) -> None:
    """Others lead and coordinate meanwhile; what was acknowledged stays, and the readers go on."""
    kafka.surroundings.election = (20.0, 60.0)
    consumer = _member(kafka, LEDGER)
    await consumer.start()
    await settle(lane, 1)
    expected = [b"1"]
    owner = lane
    for node in (1, 2, 3):
        kafka.stop_node(node)
        await until(lambda: all(part.leader != -1 for part in kafka.state.topics[LEDGER].partitions))
        try:
            await settle(owner, node + 1)
        except Doubtful:
            await owner.drop()
            owner = LaneProducer(KafkaConnection(kafka.bootstrap, "test"), LANE, GROUP)
            await owner.take_over()
            if kafka.committed(GROUP, TOPIC, 0)[0] != node + 1:
                await settle(owner, node + 1)
        expected.append(b"%d" % (node + 1))
        kafka.start_node(node)
    read: list[bytes | None] = []
    async with asyncio.timeout(BOUND_S):
        while len(read) < len(expected):
            read += [
                record.value for record in (await consumer.getmany(timeout_ms=100)).get(TopicPartition(LEDGER, 0), ())
            ]
    assert read == ledger(kafka) == expected
    assert kafka.counts["node stopped"] == kafka.counts["node started"] == 3
    await owner.drop()
    await consumer.stop()


async def test_a_consumer_is_stopped_while_its_fetches_fail(kafka: SimulatedKafka) -> None:
    """aiokafka's own stop() ends half-way, as if it were cancelled; ours ends, and leaves no connection."""
    kafka.surroundings.election = (60_000.0, 60_000.0)
    consumers = []
    for _ in range(2):
        consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap, retry_backoff_ms=5_000)
        consumer.assign([TopicPartition(TOPIC, 0)])
        await consumer.start()
        consumers.append(consumer)
    node = kafka.state.partition(TOPIC, 0).leader
    await until(lambda: kafka.counts["FETCH"] == 2)
    kafka.stop_node(node)
    await until(lambda: all(not _connected(consumer, node) for consumer in consumers))
    theirs, ours = consumers
    with pytest.raises(asyncio.CancelledError):
        await theirs.stop()
    await theirs._client.close()
    await stop_consumer(ours)
    assert not any(connection.connected() for connection in ours._client._conns.values())


def _connected(consumer: AIOKafkaConsumer, node: int) -> bool:
    return any(to == node and connection.connected() for (to, _), connection in consumer._client._conns.items())


async def test_without_enough_replicas_nothing_is_acknowledged(kafka: SimulatedKafka) -> None:
    """With one node of three a producer waits until there are two."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all", enable_idempotence=True)
    await producer.start()
    kafka.surroundings.election = (5.0, 5.0)
    kafka.stop_node(2)
    kafka.stop_node(3)
    sent = await producer.send(TOPIC, b"value", partition=0)
    await until(lambda: kafka.counts["PRODUCE"] > 1)
    assert not sent.done()
    kafka.start_node(3)
    assert (await sent).offset == 0
    await producer.stop()


async def test_markers_wait_for_a_leader(kafka: SimulatedKafka, lane: LaneProducer) -> None:
    """A committed transaction stays undecided for readers until its markers are written; so does the take-over."""
    kafka.slow_markers(400.0, 500.0)
    await settle(lane, 1)
    assert ledger(kafka) == []
    assert kafka.state.partition(LEDGER, 0).log.last_stable_offset == 0
    async with KafkaConnection(kafka.bootstrap, "test").client() as client:
        place = TopicPartition(TOPIC, 0)
        assert (await fetch_all(client, GROUP, [place], stable=False))[place] is None
        assert await fetch_committed(client, GROUP, TOPIC, 0) == Committed(1, "metadata 1")
    await until(lambda: ledger(kafka) == [b"1"])


async def test_direct_records_of_transactions(kafka: SimulatedKafka) -> None:
    """Committed ones are read, aborted ones not, and an open one holds back what follows it."""
    for ending in (None, Ending.COMMIT, Ending.ABORT):
        kafka.append(TOPIC, 0, [Record(b"key", str(ending).encode(), (("name", b"value"),))], ending)
    _, left = kafka.append(TOPIC, 0, [Record(b"key", b"open")], Ending.OPEN)
    kafka.append(TOPIC, 0, [Record(b"key", b"behind")])
    partition = kafka.state.partition(TOPIC, 0)
    await until(lambda: partition.log.high_watermark == partition.log.end)
    assert [record.value for record in kafka.records(TOPIC)] == [b"None", b"Ending.COMMIT"]
    assert kafka.records(TOPIC)[0].headers == (("name", b"value"),)
    assert left is not None
    left.end(commit=True)
    await until(lambda: len(kafka.records(TOPIC)) == 4)
    assert [record.offset for record in kafka.records(TOPIC)] == [0, 1, 5, 6]


async def test_compaction_and_deletion(kafka: SimulatedKafka) -> None:
    """The last record of a key stays at its offset; clients read over the gaps, and not before the start."""
    kafka.create_topic("compacted", 1, compact=True)
    for number in range(12):
        kafka.append("compacted", 0, [Record(b"%d" % (number % 3), b"%d" % number)] * 2, Ending.COMMIT)
    kafka.append("compacted", 0, [Record(b"last", b"last")])
    partition = kafka.state.partition("compacted", 0)
    await until(lambda: partition.log.high_watermark == partition.log.end)
    assert kafka.compact("compacted") == 12
    consumer = AIOKafkaConsumer("compacted", bootstrap_servers=kafka.bootstrap, isolation_level="read_committed")
    await consumer.start()
    place = TopicPartition("compacted", 0)

    async def read(start: int) -> list[tuple[int, bytes | None]]:
        consumer.seek(place, start)
        found: list[tuple[int, bytes | None]] = []
        async with asyncio.timeout(BOUND_S):
            while not found or found[-1][1] != b"last":
                found += [
                    (record.offset, record.value)
                    for record in (await consumer.getmany(place, timeout_ms=50)).get(place, ())
                ]
        return found

    left = [(28, b"9"), (31, b"10"), (34, b"11"), (36, b"last")]
    assert await read(0) == left == [(record.offset, record.value) for record in kafka.records("compacted")]
    kafka.delete_records("compacted", 0, 30)
    assert await read(30) == left[1:] == [(record.offset, record.value) for record in kafka.records("compacted")]
    await consumer.stop()


def _member(kafka: SimulatedKafka, topic: str = TOPIC) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        topic,
        bootstrap_servers=kafka.bootstrap,
        group_id=GROUP,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        heartbeat_interval_ms=100,
        session_timeout_ms=6_000,
        enable_auto_commit=False,
    )
