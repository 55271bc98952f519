"""The largest record that we write: Kafka takes it, and a lane that opens reads it."""

from collections.abc import Awaitable, Callable
from uuid import UUID

from aiokafka import AIOKafkaProducer

from gateway import schemas
from gateway.core.decide import Scope
from gateway.core.entry import Announcement, Entry, Held, InputRecord
from gateway.core.events import Item
from gateway.core.holds import Holds
from gateway.core.metadata import CommitMetadata, IntentRef
from gateway.core.policy import CODES_BYTES_MAX, NUMBER_MAX
from gateway.core.records import Origin, Recipient, intent
from gateway.kafka.codec import MAX_OWN_RECORD_BYTES, Codec
from gateway.kafka.connection import KafkaConnection
from gateway.kafka.names import TopicNames
from gateway.kafka.opening import LaneName, open_lane
from gateway.kafka.registry import FileRegistry
from gateway.kafka.strict_producer import MAX_BATCH_BYTES
from gateway.kafka.transactions import LaneProducer, Outgoing
from gateway.sections import GenieSettings

MOST = 1 << 62
BATCH_MAX = next(bound.le for bound in GenieSettings.model_fields["batch"].metadata if hasattr(bound, "le"))
PURPOSES = tuple(f"purpose-{number:02}" for number in range(CODES_BYTES_MAX // 10))


def largest_intent(topic: str) -> bytes:
    """Every entry with all items, as many purposes as a policy may name, and the largest numbers."""
    origin = Origin(
        "c" * 249, topic, 0, MOST, Recipient("g", "n", "a", "r"), NUMBER_MAX, "1.0.0", "g" * 249, frozenset()
    )
    announcement = Announcement(f"{topic}:0/{MOST}/{MOST}/{MOST}", MOST, MOST)
    scope = Scope(tuple(sorted(item.value for item in Item)), PURPOSES, 1 << 30, MOST)
    entries = []
    for number in range(BATCH_MAX):
        entry = Entry(InputRecord(MOST + number, MOST, 1, bytes(32), idempotency_key="A" * 43))
        entry.announce(Held(scope, bytes(32), str(UUID(int=number)), MOST, announcement))
        entries.append(entry)
    return schemas.encode("ProvisionIntent", intent(origin, announcement, entries, 1))


async def test_the_largest_intent_is_produced_and_read_back(
    kafka: str, prefix: str, make_topic: Callable[..., Awaitable[str]]
) -> None:
    """Else a batch that was sent could never be found out about: no lane would open over its intent."""
    names = TopicNames(prefix)
    for topic in (names.payments, names.intents):
        await make_topic(topic.removeprefix(prefix), 1)
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        await producer.send_and_wait(names.payments, b"x", partition=0)
    value = largest_intent(names.payments)
    assert len(value) < MAX_BATCH_BYTES < MAX_OWN_RECORD_BYTES
    connection, name = KafkaConnection(kafka, "test"), LaneName(f"{prefix}g", names.payments, 0)
    one = LaneProducer(connection, name.transactional_id, name.group)
    await one.take_over()
    (at,) = await one.begin_and_produce([Outgoing(names.intents, 0, b"k", value)])
    live = CommitMetadata((), (IntentRef(0, at.offset),)).encode(0)
    await one.commit(name.topic, 0, 0, live)
    await one.drop()
    codec = Codec(FileRegistry(), names.record_kinds())
    async with connection.client() as client:
        another, opened = await open_lane(connection, client, codec, name, names.intents, Holds())
        await another.drop()
    (read,) = opened.intents
    assert len(read["entries"]) == BATCH_MAX
