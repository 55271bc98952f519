"""One lane's transactional producer: a transaction surely committed, or it is doubtful.

Knows how a transaction is built from records, an offset and its metadata, and the bound of each step. Must not
know what records say, or what a lane does about doubt.
"""

# aiokafka's producer is untyped:
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from enum import Enum
from typing import Any

from aiokafka.structs import OffsetAndMetadata, TopicPartition

from gateway.core.values import value
from gateway.kafka.connection import KafkaConnection
from gateway.kafka.partitioner import partition_of
from gateway.kafka.strict_producer import AnswerLostError, StrictProducer
from gateway.kafka.troubles import Trouble, trouble_of

TRANSACTION_TIMEOUT_MS = 20_000  # a killed lane's open transaction holds readers back for as long
TAKE_OVER_TIMEOUT_S = 20.0
PRODUCE_TIMEOUT_S = 8.0  # with COMMIT_TIMEOUT_S it stays below TRANSACTION_TIMEOUT_MS
COMMIT_TIMEOUT_S = 8.0
MAX_BATCH_BYTES = 900_000  # below max.message.bytes of every topic that is written to (kafka/topics.py)
_NO_EPOCH = -1
_NO_OFFSET = -1  # what the broker answers for a batch that it had already, too long ago to know where


@value(frozen=True, slots=True)
class Outgoing:
    """A record to produce; without a partition its key decides."""

    topic: str
    partition: int | None
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]] | None = None  # aiokafka takes nothing but a list


@value(frozen=True, slots=True)
class Produced:
    """Where a record came to lie."""

    partition: int
    offset: int


class Doubt(Enum):
    """Why it is not known to have committed."""

    TIMEOUT = "no answer in time"
    FAILED = "an error"
    ANSWER_LOST = "the answer to the commit was lost, or was not a clear yes"
    NOT_WRITTEN = "a record was not surely written"
    CANCELLED = "the call was cancelled"
    ALREADY = "an earlier call of this producer was doubtful"
    NEWER_OWNER = "a newer owner has taken over, or the transaction was open too long"


class Doubtful(Exception):  # noqa: N818 - a state of knowledge that the caller acts on, not a mishap
    """Not a clear success: it may or may not have happened. Drop the producer and take over anew."""

    def __init__(self, doubt: Doubt, step: str, cause: str = "") -> None:
        super().__init__(f"Kafka transaction: {step}: {doubt.value}{f' ({cause})' if cause else ''}")
        self.doubt = doubt
        self.step = step


class Fenced(Doubtful):
    """The brokers refuse this producer: another one took over, or its transaction timed out."""


class LaneProducer:
    """The transactional producer of one lane: one transaction at a time; after a Doubtful only `drop` is left."""

    def __init__(self, connection: KafkaConnection, transactional_id: str) -> None:
        self._connection = connection
        self._transactional_id = transactional_id
        self._producer: StrictProducer | None = None
        self._doubtful = False
        self._keyless = 0  # records without a key take partitions in turn

    async def take_over(self) -> None:
        """Fence every earlier owner of the lane and wait until its last transaction is ended."""
        self._producer = StrictProducer(
            **self._connection.kwargs(),
            transactional_id=self._transactional_id,
            transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
            acks="all",
            enable_idempotence=True,
            linger_ms=0,
            compression_type=None,
            max_batch_size=MAX_BATCH_BYTES,
        )
        async with self._clear(TAKE_OVER_TIMEOUT_S, "take over") as producer:
            await producer.start()

    @property
    def epoch(self) -> int:
        """Which owner of the lane this is, by the brokers' count."""
        return self._producer.epoch if self._producer else _NO_EPOCH

    async def begin_and_produce(self, records: Sequence[Outgoing]) -> tuple[Produced, ...]:
        """Begin a transaction and write all records into it; where each lies, in the same order."""
        async with self._clear(PRODUCE_TIMEOUT_S, "produce") as producer:
            await producer.begin_transaction()
            return await self._produce(producer, records)

    async def commit(self, group: str, topic: str, partition: int, offset: int, metadata: str) -> None:
        """Commit the transaction with this offset and metadata in it."""
        offsets = {TopicPartition(topic, partition): OffsetAndMetadata(offset, metadata)}
        async with self._clear(COMMIT_TIMEOUT_S, "commit") as producer:
            await producer.send_offsets_to_transaction(offsets, group)
            await producer.commit_transaction()

    async def drop(self) -> None:
        """Let go whatever state it is in: nothing more is sent or flushed, and nothing is waited for long."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.let_go()

    @asynccontextmanager
    async def _clear(self, seconds: float, step: str) -> AsyncIterator[StrictProducer]:
        producer = self._producer
        if producer is None or self._doubtful:
            raise Doubtful(Doubt.ALREADY, step)
        self._doubtful = True  # until proven otherwise, so that a cancellation leaves it so
        try:
            async with asyncio.timeout(seconds):
                yield producer
        except Doubtful:
            raise
        except TimeoutError:
            raise Doubtful(Doubt.TIMEOUT, step) from None
        except AnswerLostError as error:
            raise Doubtful(Doubt.ANSWER_LOST, step, str(error)) from error
        except Exception as error:  # aiokafka also raises AssertionError and bare KafkaError here
            if trouble_of(error) is Trouble.FENCED:
                raise Fenced(Doubt.NEWER_OWNER, step) from error
            raise Doubtful(Doubt.FAILED, step, _root(error)) from error
        self._doubtful = False

    async def _produce(self, producer: StrictProducer, records: Sequence[Outgoing]) -> tuple[Produced, ...]:
        places = await self._places(producer, records)
        written = await _write(producer, records, places)
        produced: list[Produced | None] = [None] * len(records)
        for (_, partition), batches in written.items():
            for indexes, outcome in batches:
                if isinstance(outcome, BaseException):
                    if trouble_of(outcome) is Trouble.FENCED:
                        raise outcome
                    raise Doubtful(Doubt.NOT_WRITTEN, "produce", _root(outcome))
                if outcome.offset == _NO_OFFSET:
                    raise Doubtful(Doubt.NOT_WRITTEN, "produce", "the broker had it already")
                for offset, index in enumerate(indexes, start=outcome.offset):
                    produced[index] = Produced(partition, offset)
        return tuple(place for place in produced if place is not None)

    async def _places(self, producer: StrictProducer, records: Sequence[Outgoing]) -> dict[tuple[str, int], list[int]]:
        counts: dict[str, int] = {}
        places: dict[tuple[str, int], list[int]] = defaultdict(list)
        for index, record in enumerate(records):
            partition = record.partition
            if partition is None:
                if record.topic not in counts:
                    counts[record.topic] = len(await producer.partitions_for(record.topic))
                if record.key is None:
                    self._keyless += 1
                    partition = self._keyless % counts[record.topic]
                else:
                    partition = partition_of(record.key, counts[record.topic])
            places[record.topic, partition].append(index)
        return places


def _root(error: BaseException) -> str:
    """The name of what came first: aiokafka wraps a broker's refusal more than once."""
    while error.__cause__ is not None:
        error = error.__cause__
    return type(error).__name__


async def _write(
    producer: StrictProducer, records: Sequence[Outgoing], places: dict[tuple[str, int], list[int]]
) -> dict[tuple[str, int], list[tuple[list[int], Any]]]:
    """Send all batches, wait for every one; for each partition its batches: (indexes of records, outcome)."""
    now = int(time.time() * 1000)
    written: dict[tuple[str, int], list[tuple[list[int], Any]]] = defaultdict(list)
    for place, indexes in places.items():
        topic, partition = place
        batch = producer.create_batch()
        inside: list[int] = []
        for index in indexes:
            record = records[index]
            if batch.append(timestamp=now, key=record.key, value=record.value, headers=record.headers) is None:
                written[place].append((inside, await producer.send_batch(batch, topic, partition=partition)))
                batch, inside = producer.create_batch(), []
                batch.append(timestamp=now, key=record.key, value=record.value, headers=record.headers)
            inside.append(index)
        written[place].append((inside, await producer.send_batch(batch, topic, partition=partition)))
    futures = [future for batches in written.values() for _, future in batches]
    outcomes = iter(await asyncio.gather(*futures, return_exceptions=True))
    return {place: [(inside, next(outcomes)) for inside, _ in batches] for place, batches in written.items()}
