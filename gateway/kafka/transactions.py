"""One lane's transactional producer: a transaction surely committed, or it is doubtful.

Knows how a transaction is built from records, an offset and its metadata, and the bound of each step. Must not
know what records say, or what a lane does about doubt.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum

from aiokafka.structs import TopicPartition

from gateway.core.values import value
from gateway.kafka.connection import KafkaConnection
from gateway.kafka.partitioner import partition_of
from gateway.kafka.strict_producer import NO_EPOCH, AnswerLostError, Batch, NotWrittenError, StrictProducer
from gateway.kafka.troubles import Trouble, trouble_of

TRANSACTION_TIMEOUT_MS = 20_000  # a killed lane's open transaction holds readers back for as long
TAKE_OVER_TIMEOUT_S = 20.0
PRODUCE_TIMEOUT_S = 8.0  # with COMMIT_TIMEOUT_S it stays below TRANSACTION_TIMEOUT_MS
COMMIT_TIMEOUT_S = 8.0


@value(frozen=True, slots=True)
class Outgoing:
    """A record to produce; without a partition its key decides."""

    topic: str
    partition: int | None
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


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


@dataclass(slots=True)
class _Part:
    """A batch, and which of the records are in it."""

    batch: Batch = field(default_factory=Batch)
    indexes: list[int] = field(default_factory=list)


class LaneProducer:
    """The transactional producer of one lane: one transaction at a time; after a Doubtful only `drop` is left.

    Without a `group` its transactions move no offset."""

    def __init__(self, connection: KafkaConnection, transactional_id: str, group: str = "") -> None:
        self._connection = connection
        self._transactional_id = transactional_id
        self._group = group
        self._producer: StrictProducer | None = None
        self._doubtful = False
        self._keyless = 0  # records without a key take partitions in turn

    async def take_over(self) -> None:
        """Fence every earlier owner of the lane and wait until its last transaction is ended."""
        self._producer = StrictProducer(self._connection, self._transactional_id, self._group, TRANSACTION_TIMEOUT_MS)
        async with self._clear(TAKE_OVER_TIMEOUT_S, "take over") as producer:
            await producer.start()

    @property
    def epoch(self) -> int:
        """Which owner of the lane this is, by the brokers' count."""
        return self._producer.epoch if self._producer else NO_EPOCH

    async def begin_and_produce(self, records: Sequence[Outgoing]) -> tuple[Produced, ...]:
        """Begin a transaction and write all records into it; where each lies, in the same order."""
        async with self._clear(PRODUCE_TIMEOUT_S, "produce") as producer:
            parts = _parts(records, await self._places(producer, records))
            offsets = await producer.write({place: [part.batch for part in some] for place, some in parts.items()})
            return tuple(place for _, place in sorted(_produced(parts, offsets)))

    async def commit(self, topic: str, partition: int, offset: int, metadata: str) -> None:
        """Commit the transaction with this offset and metadata of the group in it."""
        async with self._clear(COMMIT_TIMEOUT_S, "commit") as producer:
            await producer.move(TopicPartition(topic, partition), offset, metadata)
            await producer.commit()

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
        except TimeoutError:
            raise Doubtful(Doubt.TIMEOUT, step) from None
        except AnswerLostError as error:
            raise Doubtful(Doubt.ANSWER_LOST, step, str(error)) from error
        except Exception as error:  # aiokafka also raises AssertionError here
            root = _root(error)
            if trouble_of(root) is Trouble.FENCED:
                raise Fenced(Doubt.NEWER_OWNER, step) from error
            doubt = Doubt.NOT_WRITTEN if isinstance(error, NotWrittenError) else Doubt.FAILED
            raise Doubtful(doubt, step, type(root).__name__) from error
        self._doubtful = False

    async def _places(
        self, producer: StrictProducer, records: Sequence[Outgoing]
    ) -> Mapping[TopicPartition, list[int]]:
        """The records of each partition, by their indexes."""
        counts: dict[str, int] = {}
        places: dict[tuple[str, int], list[int]] = defaultdict(list)
        for index, record in enumerate(records):
            partition = record.partition
            if partition is None:
                if record.topic not in counts:
                    counts[record.topic] = await producer.partitions_of(record.topic)
                if record.key is None:
                    self._keyless += 1
                    partition = self._keyless % counts[record.topic]
                else:
                    partition = partition_of(record.key, counts[record.topic])
            places[record.topic, partition].append(index)
        return {TopicPartition(*place): indexes for place, indexes in places.items()}


def _parts(
    records: Sequence[Outgoing], places: Mapping[TopicPartition, Sequence[int]]
) -> Mapping[TopicPartition, Sequence[_Part]]:
    """All records in batches; a partition has several of them where one would be too large."""
    now = int(time.time() * 1000)
    parts: dict[TopicPartition, list[_Part]] = {}
    for place, indexes in places.items():
        some = parts[place] = [_Part()]
        for index in indexes:
            record = records[index]
            content = now, record.key, record.value, record.headers
            if not some[-1].batch.append(*content):
                some.append(_Part())
                some[-1].batch.append(*content)
            some[-1].indexes.append(index)
    return parts


def _produced(
    parts: Mapping[TopicPartition, Sequence[_Part]], offsets: Mapping[TopicPartition, Sequence[int]]
) -> Iterator[tuple[int, Produced]]:
    """(index, where it lies) of each record."""
    for place, some in parts.items():
        for part, first in zip(some, offsets[place], strict=True):
            for offset, index in enumerate(part.indexes, start=first):
                yield index, Produced(place.partition, offset)


def _root(error: BaseException) -> BaseException:
    """What came first: a refusal may be wrapped more than once."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error
