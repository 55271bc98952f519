"""Events to a real Kafka: under their key, in their order, with their producer's name, and read back as they were."""

import asyncio
import socket
import uuid
from typing import Any

import confluent_kafka
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from gateway import schemas
from gateway.kafka.names import TopicNames
from gateway.producer import Checked, InvalidEventError, Producer, SendError, UnreachableError, check
from tests.producer.conftest import PARTITIONS
from tests.producer.event_documents import NOW_MS, payment, score

BOUND_S = 20.0


def a_payment(subject: str, installment: int = 1) -> Checked:
    made = payment(event_id=str(uuid.uuid4()), subject_ref=subject, installment_no=installment)
    return check("LeasePaymentEvent", made, NOW_MS)


async def records(kafka: str, topic: str, count: int) -> list[Any]:
    """So many records of a topic, from its beginning."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest")
    consumer.assign([TopicPartition(topic, number) for number in range(PARTITIONS)])
    found: list[Any] = []
    async with consumer, asyncio.timeout(BOUND_S):
        while len(found) < count:
            for batch in (await consumer.getmany(timeout_ms=500)).values():
                found += batch
    return found


async def end(kafka: str, topic: str) -> int:
    """How many records a topic has."""
    async with AIOKafkaConsumer(bootstrap_servers=kafka) as consumer:
        return sum((await consumer.end_offsets([TopicPartition(topic, each) for each in range(PARTITIONS)])).values())


async def test_events_arrive_in_order_under_their_key_with_their_producer(kafka: str, topics: TopicNames) -> None:
    """A customer's events lie in one partition in the order of sending, and are what was checked."""
    sent = [a_payment(f"customer-{number % 7}", number) for number in range(70)]
    async with Producer(kafka, service="billing", prefix=topics.prefix) as producer:
        places = await producer.send_all(sent)
    found = {(each.partition, each.offset): each for each in await records(kafka, topics.payments, len(sent))}
    lie_at = [found[place.partition, place.offset] for place in places]
    assert [schemas.decode(each.value)[1] for each in lie_at] == [each.record for each in sent]
    assert {each.headers for each in lie_at} == {(("producer", b"billing"),)}
    for number in range(7):
        of_one = [each for each in lie_at if each.key == f"customer-{number}".encode()]
        assert len({each.partition for each in of_one}) == 1
        assert [each.offset for each in of_one] == sorted(each.offset for each in of_one)


async def test_other_clients_choose_the_same_partition(kafka: str, topics: TopicNames) -> None:
    """librdkafka does, once it is told to choose as Java's clients do by themselves."""
    other = confluent_kafka.Producer({"bootstrap.servers": kafka, "partitioner": "murmur2_random"})
    theirs: dict[str, int] = {}
    events = [check("NorelScoreUpdate", score(subject_ref=f"customer-{number}"), NOW_MS) for number in range(12)]
    for each in events:
        subject = each.key.decode()
        other.produce(
            topics.scores,
            each.value(),
            each.key,
            on_delivery=lambda error, message, subject=subject: theirs.update({subject: message.partition()}),
        )
    assert other.flush(BOUND_S) == 0
    async with Producer(kafka, service="scoring", prefix=topics.prefix) as producer:
        ours = await producer.send_all(events)
    assert theirs == {each.key.decode(): place.partition for each, place in zip(events, ours, strict=True)}
    assert len(set(theirs.values())) > 1


async def test_an_invalid_event_is_not_sent(kafka: str, topics: TopicNames) -> None:
    """It is refused where it was made, with all mistakes."""
    from tests.producer.test_check import a_payment as typed_payment

    before = await end(kafka, topics.payments)
    async with Producer(kafka, service="billing", prefix=topics.prefix) as producer:
        with pytest.raises(InvalidEventError):
            await producer.send(typed_payment(subject_ref="x"))
        place = await producer.send(typed_payment())
    assert place.topic == topics.payments
    assert await end(kafka, topics.payments) == before + 1


async def test_a_missing_topic_is_named_and_not_created(kafka: str, prefix: str) -> None:
    """Whoever mistypes the prefix makes no topic by it."""
    async with Producer(kafka, service="billing", prefix=prefix) as producer:
        with pytest.raises(SendError, match=f"no topic {prefix}lease.payments: run `gateway topics create`"):
            await producer.send_all([a_payment("customer-1")])
    async with AIOKafkaConsumer(bootstrap_servers=kafka) as consumer:
        assert f"{prefix}lease.payments" not in await consumer.topics()


async def test_a_kafka_that_is_away_is_told_with_its_address() -> None:
    """Nothing was sent, and the text says where was asked."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # bound and not listening: refused, and nobody else gets it
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        with pytest.raises(UnreachableError, match=f"no Kafka answers at {address}"):
            async with Producer(address, service="billing"):
                pass


async def test_more_than_one_call_takes_is_refused_whole(kafka: str, topics: TopicNames) -> None:
    """Before anything of it is sent."""
    before = await end(kafka, topics.payments)
    async with Producer(kafka, service="billing", prefix=topics.prefix) as producer:
        with pytest.raises(SendError, match="at most 10,000: nothing was sent"):
            await producer.send_all([a_payment("customer-1")] * 10_001)
    assert await end(kafka, topics.payments) == before


@pytest.mark.parametrize("service", ["", "090-1234", "taro@example", "x" * 65])
def test_a_service_that_would_be_no_label_is_refused(service: str) -> None:
    """The header becomes a metric's label: no address or number fits."""
    with pytest.raises(ValueError, match="service: 1 to 64"):
        Producer("localhost:9092", service=service)
