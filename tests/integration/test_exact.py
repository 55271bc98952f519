"""Reading intents at exactly their offsets."""

from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.client import AIOKafkaClient
from aiokafka.structs import TopicPartition

from gateway.kafka.connection import KafkaConnection
from gateway.kafka.exact import NEAR, ExactRecord, read_exact, read_many
from tests.integration.conftest import MakeTopic
from tests.integration.waiting import log_ends_at


def values(found: list[ExactRecord | None]) -> list[bytes | None]:
    return [record.value if record else None for record in found]


async def test_an_intent_is_read_behind_an_open_transaction(kafka: str, prefix: str, make_topic: MakeTopic) -> None:
    """A committed record is there although another lane's transaction on the partition is still open."""
    connection = KafkaConnection(kafka, f"{prefix}test")
    topic = await make_topic("intents", 2)
    async with (
        AIOKafkaProducer(**connection.kwargs(), transactional_id=f"{prefix}open") as other,
        AIOKafkaProducer(**connection.kwargs(), transactional_id=f"{prefix}lane") as lane,
        connection.client() as client,
    ):
        await other.begin_transaction()
        await other.send_and_wait(topic, b"of another lane", b"other", 0)
        async with lane.transaction():
            first = await lane.send_and_wait(topic, b"intent", b"lane", 0)
            second = await lane.send_and_wait(topic, b"intent 2", b"lane", 1)
        positions = [(topic, 1, second.offset), (topic, 0, first.offset)]
        found = await read_exact(client, positions)
        assert values(found) == [b"intent 2", b"intent"]
        assert [(r.topic, r.partition, r.offset, r.key) for r in found if r] == [
            (topic, 1, second.offset, b"lane"),
            (topic, 0, first.offset, b"lane"),
        ]
        await other.abort_transaction()


async def test_each_offset_of_a_batch_is_found(kafka: str, prefix: str, make_topic: MakeTopic) -> None:
    """Records in the middle of a batch are read as well as its first."""
    connection = KafkaConnection(kafka, f"{prefix}test")
    topic = await make_topic("intents")
    async with AIOKafkaProducer(**connection.kwargs(), linger_ms=20) as producer, connection.client() as client:
        sent = [await producer.send(topic, b"%d" % number) for number in range(20)]
        for one in sent:
            await one
        wanted = [19, 0, 7, 7]
        assert values(await read_exact(client, [(topic, 0, at) for at in wanted])) == [b"19", b"0", b"7", b"7"]


@pytest.mark.parametrize(
    ("where", "why"),
    [((0, 1), "a transaction's marker"), ((0, 2), "the end"), ((0, 99), "beyond"), ((5, 0), "no such partition")],
)
async def test_what_is_not_there_is_none(
    kafka: str, prefix: str, make_topic: MakeTopic, where: tuple[int, int], why: str
) -> None:
    """A marker, the end of the log, a place beyond it and a missing partition or topic hold no record."""
    connection = KafkaConnection(kafka, f"{prefix}test")
    topic = await make_topic("intents")
    async with AIOKafkaProducer(**connection.kwargs(), transactional_id=f"{prefix}x") as producer:
        async with producer.transaction():
            await producer.send_and_wait(topic, b"only", partition=0)
        async with connection.client() as client:
            missing, only, no_topic = await read_exact(client, [(topic, *where), (topic, 0, 0), (topic + "x", 0, 0)])
    assert only is not None
    assert (missing, no_topic) == (None, None), why


async def test_many_are_read_as_committed_readers_see_them(kafka: str, prefix: str, make_topic: MakeTopic) -> None:
    """Neither what was aborted, whoever wrote between, nor markers, nor what lies behind an open transaction; of a log
    whose beginning was deleted only the rest."""
    connection = KafkaConnection(kafka, f"{prefix}test")
    topic = await make_topic("inputs", 2)
    async with (
        AIOKafkaProducer(**connection.kwargs(), transactional_id=f"{prefix}one") as one,
        AIOKafkaProducer(**connection.kwargs(), transactional_id=f"{prefix}two") as two,
        AIOKafkaProducer(**connection.kwargs()) as plain,
        connection.client() as client,
    ):
        async with one.transaction():
            await one.send_and_wait(topic, b"deleted", partition=1)
            await one.send_and_wait(topic, b"kept", partition=1)
        await one.begin_transaction()
        await one.send_and_wait(topic, b"aborted", partition=0)
        async with two.transaction():
            await two.send_and_wait(topic, b"other", partition=0)
        await log_ends_at(kafka, topic, 0, 3)
        await plain.send_and_wait(topic, b"plain", partition=0)
        await one.abort_transaction()
        async with one.transaction():
            await one.send_and_wait(topic, b"again", partition=0)
        numbers = 7  # aborted, other, marker, plain, marker, again, marker come before them
        await log_ends_at(kafka, topic, 0, numbers)
        for number in range(2 * NEAR):
            await plain.send(topic, b"%d" % number, partition=0)
        await plain.flush()
        await two.begin_transaction()
        await two.send_and_wait(topic, b"open", partition=0)
        await plain.send_and_wait(topic, b"behind", partition=0)
        await delete_before(kafka, topic, 1, 1)

        opened = numbers + 2 * NEAR
        places = [(topic, 0, offset) for offset in (*range(numbers), opened - 1, opened, opened + 1, opened + 100)]
        places += [(topic, 1, offset) for offset in range(3)] + [(topic, 9, 0), (f"{topic}x", 0, 0)]
        assert await many(client, places, committed=True) == {
            (0, 1): b"other",
            (0, 3): b"plain",
            (0, 5): b"again",
            (0, opened - 1): b"%d" % (2 * NEAR - 1),
            (1, 1): b"kept",
        }
        everything = await many(client, places, committed=False)
        assert (everything[0, 0], everything[0, opened], everything[0, opened + 1]) == (b"aborted", b"open", b"behind")
        await two.abort_transaction()


async def many(client: AIOKafkaClient, places: list[tuple[str, int, int]], *, committed: bool) -> dict[Any, Any]:
    """Value by partition and offset."""
    reading = read_many(client, places, committed=committed)
    return {(each.partition, each.offset): each.value async for some in reading for each in some}


async def delete_before(kafka: str, topic: str, partition: int, offset: int) -> None:
    """As retention does."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.delete_records({TopicPartition(topic, partition): RecordsToDelete(before_offset=offset)})
    finally:
        await admin.close()
