"""The simulated Kafka in virtual time: a seed is a history."""

import asyncio
from hashlib import sha256
from random import Random

from aiokafka import AIOKafkaConsumer

from gateway.kafka.connection import KafkaConnection
from gateway.kafka.transactions import Doubtful, LaneProducer, Outgoing
from tests.simulation.broker import Api, Effect, Ending, Fault, Kind, Record, SimulatedKafka
from tests.simulation.clocks import taken_over, wall_ms
from tests.simulation.loop import VirtualLoop
from tests.simulation.network import Network

NODES = [(number, f"kafka-{number}", 9092) for number in (1, 2, 3)]
TRANSACTIONS = 40
READ_S = 60.0


async def _story(loop: VirtualLoop, seed: int) -> tuple[str, dict[str, int]]:
    """Transactions while everything moves; a digest of the logs, and what was counted."""
    kafka = SimulatedKafka(Random(seed), NODES, lambda: wall_ms(loop))
    network = Network(loop, Random(seed))
    for node, host, port in NODES:
        network.listen(host, port, lambda node=node: kafka.protocol(node))
    kafka.create_topic("ledger", 3)
    kafka.append("ledger", 1, [Record(b"key", b"open")], Ending.OPEN, open_ms=5_000.0)
    kafka.fault(Fault(Api.END_TXN, Effect.LOSE_ANSWER, skip=5))
    reading = asyncio.create_task(_read(kafka))
    chaos, at = Random(seed), 0
    producer = await _owner(kafka)
    while at < TRANSACTIONS:
        kafka.move_leader("ledger", chaos.randrange(3), chaos.choice(NODES)[0])
        kafka.move_coordinator(chaos.choice(list(Kind)), "lane", chaos.choice(NODES)[0])
        try:
            await producer.begin_and_produce([Outgoing("ledger", n, None, b"%d" % at) for n in range(3)])
            await producer.commit("ledger", 0, at + 1, "")
        except Doubtful:
            await producer.drop()
            producer = await _owner(kafka)
            at = max(0, kafka.committed("group", "ledger", 0)[0])
        else:
            at += 1
    read = await reading
    assert sorted(read) == sorted(b"%d" % number for number in range(TRANSACTIONS) for _ in range(3))
    logs = [batch.data for part in kafka.state.topics["ledger"].partitions for batch in part.log.batches]
    return sha256(b"".join(logs)).hexdigest(), dict(kafka.counts)


async def _owner(kafka: SimulatedKafka) -> LaneProducer:
    producer = LaneProducer(KafkaConnection(kafka.bootstrap, "test"), "lane", "group")
    while True:
        try:
            await producer.take_over()
        except Doubtful:
            await producer.drop()
        else:
            return producer


async def _read(kafka: SimulatedKafka) -> list[bytes]:
    """What a reader of committed records is given."""
    consumer = AIOKafkaConsumer(
        "ledger", bootstrap_servers=kafka.bootstrap, isolation_level="read_committed", auto_offset_reset="earliest"
    )
    await consumer.start()
    found: list[bytes] = []
    async with asyncio.timeout(READ_S):
        while len(found) < 3 * TRANSACTIONS:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found += [record.value for record in records]
    await consumer.stop()
    return found


def _played(seed: int) -> tuple[str, dict[str, int]]:
    loop = VirtualLoop()
    with taken_over(loop, seed):
        return loop.run(_story(loop, seed))


def test_a_seed_is_a_history() -> None:
    """The same seed gives the same logs and counts, another one others; each transaction is read once all the same."""
    first, again, other = _played(1), _played(1), _played(2)
    assert first == again
    assert first[0] != other[0]
    assert min(first[1][name] for name in ("leader moved", "coordinator moved", "LOSE_ANSWER END_TXN")) > 0
