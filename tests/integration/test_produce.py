"""Producers against Apache Kafka: what a reader of committed records finds is what they say they wrote."""

import asyncio
import json
import sys
from collections import Counter, defaultdict

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.partitioner import DefaultPartitioner

from gateway import schemas
from gateway.kafka import subjects
from gateway.kafka.http_registry import HttpRegistry
from gateway.kafka.names import TopicNames
from gateway.sandbox.producers import faults
from gateway.sandbox.producers.run import ProduceError, Progress, UnreachableError, produce
from gateway.sandbox.producers.shares import made_uuid
from gateway.sandbox.producers.stream import CONSENTS, PAYMENTS, SCORES
from tests.integration.conftest import MakeTopic
from tests.integration.schema_registry import SchemaRegistry

PARTITIONS = 3
READ_SECONDS = 30


@pytest.fixture
async def topics(make_topic: MakeTopic) -> None:
    for name in (PAYMENTS, SCORES, CONSENTS):
        await make_topic(name, PARTITIONS)


async def read(kafka: str, topic: str) -> tuple[list[ConsumerRecord], int]:
    """All committed records of a topic, each partition in order, and the sum of its end offsets."""
    places = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, isolation_level="read_committed", auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        found: list[ConsumerRecord] = []
        async with asyncio.timeout(READ_SECONDS):
            while any([await consumer.position(place) < ends[place] for place in places]):
                for records in (await consumer.getmany(timeout_ms=100)).values():
                    found += records
        return found, sum(ends.values())
    finally:
        await consumer.stop()


async def test_readers_find_what_was_produced(kafka: str, prefix: str, topics: None) -> None:
    """Each record is delivered once, aborted transactions leave gaps, consents stand before events begin."""
    seen: list[Progress] = []
    done = await produce(
        kafka, prefix, subjects=150, events=6_000, rate=3_000, seed=4, withdrawals_per_second=30, progress=seen.append
    )
    found = {name: await read(kafka, prefix + name) for name in (PAYMENTS, SCORES, CONSENTS)}
    assert done.produced == {prefix + name: len(records) for name, (records, _) in found.items()}
    assert sum(done.kinds.values()) == sum(done.produced.values())
    assert len(found[PAYMENTS][0]) + len(found[SCORES][0]) == 6_000
    assert done.aborted > 0
    assert sum(end for _, end in found.values()) > sum(done.produced.values()) + done.aborted
    assert sum(count for kind, count in done.kinds.items() if kind.startswith("change.")) > 0
    first_event = min(record.timestamp for record in found[PAYMENTS][0] + found[SCORES][0])
    at_first = sum(count for kind, count in done.kinds.items() if kind.startswith("consent."))
    assert sum(record.timestamp <= first_event for record in found[CONSENTS][0]) >= at_first
    assert seen
    assert {record.headers for record in found[CONSENTS][0]} == {(("producer", b"consent-desk"),)}


async def test_a_customers_events_keep_their_order(kafka: str, prefix: str, topics: None) -> None:
    """The events of a key lie in the partition of the Java client's choice, in the order in which they were made."""
    await produce(kafka, prefix, subjects=40, events=3_000, rate=2_000, seed=9, withdrawals_per_second=50, poison=False)
    number_of = {made_uuid(9, "payment", who, n): (who, n) for who in range(40) for n in range(200)}
    last: dict[int, int] = defaultdict(lambda: -1)
    ids: Counter[str] = Counter()
    for record in (await read(kafka, prefix + PAYMENTS))[0]:
        assert record.partition == DefaultPartitioner()(record.key, list(range(PARTITIONS)), [])
        event_id = schemas.decode(record.value)[1]["event_id"]
        ids[event_id] += 1
        if ids[event_id] == 1:
            who, n = number_of[event_id]
            assert n > last[who]
            last[who] = n
    assert len(last) == 40
    assert max(ids.values()) > 1
    versions: dict[bytes, list[int]] = defaultdict(list)
    for record in (await read(kafka, prefix + CONSENTS))[0]:
        versions[record.key].append(schemas.decode(record.value)[1]["consent_version"])
    assert sum(len(history) > 2 for history in versions.values()) > 0
    assert all(history == sorted(history) or history[0] == 3 for history in versions.values())


async def test_missing_topics_and_brokers_are_named(kafka: str, prefix: str) -> None:
    """Without topics, or without Kafka, one message says what is missing."""
    with pytest.raises(ProduceError, match=f"{prefix}{PAYMENTS}.*gateway topics create"):
        await produce(kafka, prefix, subjects=1, events=1)
    with pytest.raises(UnreachableError, match="localhost:1"):
        await produce("localhost:1", prefix, subjects=1, events=1)


async def test_the_command_writes_by_the_ids_that_a_registry_has(kafka: str, prefix: str, topics: None) -> None:
    """They are not those of the files; what goes wrong on purpose goes wrong in the same ways."""
    command = ["-m", "gateway", "dev", "produce", "--prefix", prefix, "--events", "200", "--subjects", "20"]
    async with SchemaRegistry(empty=True) as registry:

        async def run() -> tuple[int | None, str]:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, *command, "--registry", registry.url),
                env={"GATEWAY_KAFKA__BOOTSTRAP_SERVERS": kafka},
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )
            async with asyncio.timeout(READ_SECONDS):
                _, said = await process.communicate()
            return process.returncode, said.decode()

        status, said = await run()
        assert (status, "gateway schemas register" in said) == (1, True), said
        there = HttpRegistry.of(registry.url, TopicNames(prefix))
        ids = {done.kind: done.ids[-1] for done in await subjects.register(there)}
        await there.close()
        assert await run() == (0, "")
    for topic, kind in ((PAYMENTS, "LeasePaymentEvent"), (SCORES, "NorelScoreUpdate"), (CONSENTS, "ConsentRecord")):
        framed = [raw.value for raw in (await read(kafka, prefix + topic))[0] if raw.value and raw.value[0] == 0]
        found = {schemas.unframe(value)[0] for value in framed}
        assert found - {faults.UNKNOWN_SCHEMA_ID} == {ids[kind]} != {schemas.schema_id(kind)}


async def test_the_command_prints_counts(kafka: str, prefix: str, topics: None) -> None:
    """`gateway dev produce --json` ends with one line of counts by topic and kind."""
    command = ["-m", "gateway", "dev", "produce", "--prefix", prefix, "--events", "300", "--subjects", "30", "--json"]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        env={"GATEWAY_KAFKA__BOOTSTRAP_SERVERS": kafka},
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(READ_SECONDS):
        out, _ = await process.communicate()
    assert process.returncode == 0
    printed = json.loads(out)
    assert printed["produced"][prefix + PAYMENTS] + printed["produced"][prefix + SCORES] == 300
    assert printed["kinds"]["payment.paid"] > 100
