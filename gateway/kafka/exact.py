"""Reads records at exactly known offsets, near ones together, whatever else is open on their partitions.

Knows Fetch, and what a committed reader does not see. Usually it reads uncommitted: another lane's open transaction
holds the last stable offset back, and a committed record behind it would stay unseen until that transaction ends.
Whoever asks so knows the offsets from a committed place.
Must not know what the records are.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import CorruptRecordException, OffsetOutOfRangeError, UnknownTopicOrPartitionError
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.control_record import ABORT_MARKER, ControlRecord
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from gateway.kafka.cluster import EARLIEST, LATEST, Cluster, describe_once, list_offsets_once
from gateway.kafka.connection import KAFKA_CALL_TIMEOUT_S, retried
from gateway.kafka.troubles import PassingError, raise_for

NEAR = 64  # offsets between two records up to which reading what lies between is cheaper than another request
RUN_BYTES = 256 * 1024  # of a log that several are wanted of: short beside the requests that share its connection
RANGE_BYTES = 1024 * 1024  # where all is wanted
ONE_BYTES = 1024  # where one is wanted; a batch is delivered whole, however large
PARTITIONS_AT_ONCE = 8
_AT_ONCE_MS = 0
_ANY_BYTES = 1
_UNCOMMITTED, _COMMITTED = 0, 1
_NO_MORE = 1 << 63  # behind every offset

Place = tuple[str, int, int]  # topic, partition, offset


@dataclass(slots=True)  # a frozen one takes thrice as long to make, and a plan makes a hundred thousand
class ExactRecord:
    """A record as it lies in the log."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


async def read_exact(client: AIOKafkaClient, places: Sequence[Place]) -> list[ExactRecord | None]:
    """The record at each place, in the same order; None where the log has none. All of them are in memory at once."""
    slots = asyncio.Semaphore(PARTITIONS_AT_ONCE)
    found: dict[Place, ExactRecord] = {}

    async def read(partition: TopicPartition, offsets: Sequence[int]) -> None:
        async with slots, aclosing(_read_log(client, partition, offsets, _UNCOMMITTED)) as reading:
            async for some in reading:
                found.update({(each.topic, each.partition, each.offset): each for each in some})

    await asyncio.gather(*(read(*log) for log in _by_log(places).items()))
    return [found.get(place) for place in places]


async def read_many(
    client: AIOKafkaClient, places: Iterable[Place], *, committed: bool = False
) -> AsyncGenerator[list[ExactRecord], None]:
    """The records at these places, some of one partition at a time, each once; where there is none, none is given.

    If `committed`, there is none either where committed readers see none yet, or never will. Close it if it is left
    before its end. Raises KafkaUnavailableError.
    """
    for partition, offsets in sorted(_by_log(places).items()):
        async with aclosing(_read_log(client, partition, offsets, _COMMITTED if committed else _UNCOMMITTED)) as found:
            async for some in found:
                yield some


async def read_batches(
    client: AIOKafkaClient, partition: TopicPartition, start: int, end: int
) -> AsyncGenerator[Any, None]:
    """Every batch from one offset to before another, which the log reaches, markers of transactions too, whether
    committed or not. Close it if it is left before its end.

    Raises KafkaUnavailableError, and PassingError if the log's leader shows less of it than was there before.
    """
    there = _Log(client, partition, _UNCOMMITTED, markers=True)
    while start < end:
        part = await there.read(start, RANGE_BYTES)
        if not part.batches:
            raise PassingError
        for batch in part.batches:
            if batch.base_offset < end:
                yield batch
        start = part.end


def is_abort(marker: Any) -> bool:
    """Whether a batch that ends a transaction undoes it."""
    return bool(ControlRecord.parse(next(marker).key) == ABORT_MARKER)


def _by_log(places: Iterable[Place]) -> Mapping[TopicPartition, Sequence[int]]:
    wanted: dict[TopicPartition, list[int]] = defaultdict(list)
    for topic, number, offset in sorted(set(places)):
        wanted[TopicPartition(topic, number)].append(offset)
    return wanted


async def _read_log(
    client: AIOKafkaClient, partition: TopicPartition, offsets: Sequence[int], isolation: int
) -> AsyncGenerator[list[ExactRecord], None]:
    there = _Log(client, partition, isolation)
    at = 0
    while at < len(offsets):
        near = at + 1 < len(offsets) and offsets[at + 1] - offsets[at] <= NEAR
        part = await there.read(offsets[at], RUN_BYTES if near else ONE_BYTES)
        after = bisect_left(offsets, part.end)
        asked = frozenset(offsets[at:after])
        at = after
        if some := list(part.records(partition, asked)):
            yield some


@dataclass(frozen=True, slots=True)
class _Part:
    """What a log holds from one offset to before `end`."""

    end: int
    batches: Sequence[Any] = ()

    def records(self, partition: TopicPartition, offsets: Collection[int]) -> Iterator[ExactRecord]:
        """Those at these offsets."""
        for batch in self.batches:
            for each in batch:
                if each.offset in offsets:
                    headers = tuple(each.headers)
                    yield ExactRecord(*partition, each.offset, each.timestamp, each.key, each.value, headers)


class _Log:
    """One partition's log; who leads it is asked again only where a request failed."""

    def __init__(
        self, client: AIOKafkaClient, partition: TopicPartition, isolation: int, *, markers: bool = False
    ) -> None:
        self._client = client
        self._partition = partition
        self._isolation = isolation
        self._markers = markers  # whether those of transactions are given too
        self._cluster: Cluster | None = None

    async def read(self, offset: int, most: int) -> _Part:
        """What lies from this offset on, about `most` bytes of it. Raises KafkaUnavailableError."""

        async def attempt() -> _Part:
            cluster, self._cluster = self._cluster, None
            if cluster is None:
                cluster = await describe_once(self._client, [self._partition.topic])
            part = await self._read(cluster, offset, most)
            self._cluster = cluster
            return part

        topic, number = self._partition
        return await retried(KAFKA_CALL_TIMEOUT_S, f"reading {topic}:{number} at {offset}", attempt)

    async def _read(self, cluster: Cluster, offset: int, most: int) -> _Part:
        topic, number = self._partition
        if topic not in cluster.topics or number not in cluster.topics[topic].leaders:
            return _Part(_NO_MORE)
        wanted = [(topic, [(number, offset, most)])]
        answer: Any = await self._client.send(
            cluster.topics[topic].leaders[number],
            FetchRequest(_AT_ONCE_MS, _ANY_BYTES, most, self._isolation, wanted),
        )
        for _, partitions in answer.topics:
            for _, code, high_watermark, last_stable, _, aborted, _, fetched in partitions:
                if code == OffsetOutOfRangeError.errno:
                    start = await self._bound(cluster, EARLIEST)
                    return _Part(start if start > offset else _NO_MORE)
                raise_for(code)
                if (last_stable if self._isolation == _COMMITTED else high_watermark) <= offset:
                    await self._refuse_hidden(cluster, offset)
                    return _Part(_NO_MORE)
                hidden = _Aborted(aborted).has if self._isolation == _COMMITTED else _is_marker
                return _part(offset, fetched, _nothing if self._markers else hidden)
        raise UnknownTopicOrPartitionError

    async def _refuse_hidden(self, cluster: Cluster, offset: int) -> None:
        """Raise a passing error if there may be a record that the leader does not show: one that has just begun to
        lead answers a Fetch with nothing until it knows what followers have, and only ListOffsets says that it can't
        tell."""
        if await self._bound(cluster, LATEST) > offset:
            raise PassingError

    async def _bound(self, cluster: Cluster, time: int) -> int:
        committed = self._isolation == _COMMITTED
        bounds = await list_offsets_once(self._client, cluster, {self._partition: time}, committed=committed)
        return bounds[self._partition]


class _Aborted:
    """Whose batches are of transactions that were aborted. Asked about each batch, in the order of the log."""

    def __init__(self, aborted: Iterable[tuple[int, int]] | None) -> None:
        self._coming = sorted(aborted or (), key=lambda each: each[1], reverse=True)  # (producer, first offset)
        self._producers: set[int] = set()

    def has(self, batch: Any) -> bool:
        """Whether no committed reader sees its records."""
        while self._coming and self._coming[-1][1] <= batch.base_offset:
            self._producers.add(self._coming.pop()[0])
        if batch.is_control_batch:
            if is_abort(batch):
                self._producers.discard(batch.producer_id)
            return True
        return batch.is_transactional and batch.producer_id in self._producers


def _is_marker(batch: Any) -> bool:
    return bool(batch.is_control_batch)


def _nothing(_: Any) -> bool:
    return False


def _part(offset: int, fetched: bytes, hidden: Callable[[Any], bool]) -> _Part:
    raw = MemoryRecords(fetched)
    end, batches = offset + 1, []
    while raw.has_next():
        batch: Any = raw.next_batch()
        if not batch.validate_crc():
            raise CorruptRecordException
        if not hidden(batch):
            batches.append(batch)
        end = max(end, batch.next_offset)
    return _Part(end, batches)
