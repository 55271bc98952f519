"""The topics as a person's commands read and write them.

Knows how records are found, decoded and written. Must not know what a command makes of them. What can't be decoded is
handed on with its reason: a bad record in a topic stops no command.
"""

# aiokafka's producer is untyped:
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from inspect import isawaitable
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.structs import RecordMetadata

from gateway import schemas
from gateway.core.reasons import Reason
from gateway.core.values import value
from gateway.kafka.cluster import describe
from gateway.kafka.codec import Codec, Undecodable
from gateway.kafka.connection import KAFKA_CALL_TIMEOUT_S, KafkaConnection, close_quietly, within
from gateway.kafka.exact import read_exact
from gateway.kafka.http_registry import NOBODY, RegistryLogin, registry_at
from gateway.kafka.names import TopicNames
from gateway.kafka.registry import Registry
from gateway.kafka.scan import EVERYTHING, Span, Tell, scan
from gateway.kafka.transactions import TRANSACTION_TIMEOUT_MS

Headers = Sequence[tuple[str, bytes | None]]


@value(frozen=True, slots=True)
class Found:
    """One record of a topic; `record` is None for a tombstone, or for what can't be read: `why` tells then."""

    topic: str
    partition: int
    offset: int
    timestamp: int  # ms, Kafka's
    key: str | None
    headers: Headers
    value: bytes | None
    record: Mapping[str, Any] | None
    why: Reason | None

    @property
    def place(self) -> str:
        """topic:partition:offset"""
        return f"{self.topic}:{self.partition}:{self.offset}"


Take = Callable[[Sequence[Found]], Awaitable[None] | None]


class Desk:
    """What every command has in its hands."""

    def __init__(
        self,
        connection: KafkaConnection,
        client: AIOKafkaClient,
        registry: Registry,
        names: TopicNames,
        cluster_id: str,
        tell: Tell,
        directory: Path | None = None,
    ) -> None:
        self.connection = connection
        self.client = client
        self.codec = Codec(registry, names.record_kinds())
        self.names = names
        self.cluster_id = cluster_id
        self.tell = tell
        self.directory = directory
        self._registry = registry

    async def read(self, topic: str, take: Take, span: Span = EVERYTHING, *, decoded: bool = True) -> dict[int, int]:
        """Hand the records of a topic to `take`, some at a time, in the order of each partition, up to its end now.

        If not `decoded`, they have no record, and no reason why. Answers the offset after what was read, for each
        partition. Raises TopicMissingError, KafkaUnavailableError or RegistryAway.
        """

        async def taking(raws: Sequence[Any]) -> None:
            found = [_bare(raw) for raw in raws]
            taken = take(await self.decoded(found) if decoded else found)
            if isawaitable(taken):
                await taken

        return await scan(self.connection, self.client, topic, taking, self.tell, span)

    async def at(self, places: Sequence[tuple[str, int, int]], *, decoded: bool = True) -> list[Found | None]:
        """The record at each (topic, partition, offset); None where the log has none (any more); as `read`."""
        raws = await read_exact(self.client, places)
        found = [_bare(raw) for raw in raws if raw is not None]
        there = iter(await self.decoded(found) if decoded else found)
        return [None if raw is None else next(there) for raw in raws]

    async def decoded(self, found: Sequence[Found]) -> list[Found]:
        """The same, with their records, or why there are none. Raises RegistryAway."""
        await self.codec.prepare([each.value for each in found])
        return [self._with_record(each) for each in found]

    async def write(self, topic: str, records: Sequence[tuple[str, Mapping[str, Any]]]) -> list[RecordMetadata]:
        """Write (key, record) pairs, acks=all; where each lies. Raises KafkaUnavailableError."""
        async with self.producer() as producer:
            return [
                await within(
                    KAFKA_CALL_TIMEOUT_S,
                    f"writing to {topic}",
                    producer.send_and_wait(topic, await self.encoded(topic, record), key.encode()),
                )
                for key, record in records
            ]

    async def encoded(self, topic: str, record: Mapping[str, Any]) -> bytes:
        """The value of a record for this topic."""
        kind = self.codec.kind(topic)
        return schemas.encode(kind, record, await self._registry.id_of(kind))

    @asynccontextmanager
    async def producer(self, transactional_id: str | None = None) -> AsyncIterator[AIOKafkaProducer]:
        """A started producer, idempotent, acks=all; one that is transactional fences those with the same id."""
        producer = AIOKafkaProducer(
            **self.connection.kwargs(),
            acks="all",
            enable_idempotence=True,
            transactional_id=transactional_id,
            transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
        )
        try:
            await self.connection.start(producer.start())
            yield producer
        finally:
            await close_quietly(producer.stop())

    def _with_record(self, found: Found) -> Found:
        if found.value is None:
            return found
        decoded = self.codec.decode(found.topic, found.value)
        record, why = (None, decoded.reason) if isinstance(decoded, Undecodable) else (decoded.record, None)
        place = (found.topic, found.partition, found.offset)
        return Found(*place, found.timestamp, found.key, found.headers, found.value, record, why)


def _bare(raw: Any) -> Found:
    key = None if raw.key is None else raw.key.decode("utf-8", "replace")
    return Found(
        raw.topic, raw.partition, raw.offset, raw.timestamp, key, tuple(raw.headers), raw.value, record=None, why=None
    )


@asynccontextmanager
async def open_desk(
    connection: KafkaConnection,
    names: TopicNames,
    registry_url: str | None,
    tell: Tell,
    directory: Path | None = None,
    login: RegistryLogin = NOBODY,
) -> AsyncIterator[Desk]:
    """Connect; `tell` hears how far a long reading is. `directory`: where files of this user are, unless named.

    Raises KafkaUnavailableError.
    """
    registry = registry_at(registry_url, names, login)
    try:
        async with connection.client() as client:
            cluster = await describe(client, [names.ledger])
            yield Desk(connection, client, registry, names, cluster.id, tell, directory)
    finally:
        await registry.close()
