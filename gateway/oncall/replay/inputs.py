"""Fetches many input records at known offsets, near ones together.

Knows Fetch. Reads uncommitted, as kafka/exact.py does and for the same reason: every offset asked for has a ledger
record, so a committed reader got the record that lies there. Must not know what the records say.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import OffsetOutOfRangeError, UnknownTopicOrPartitionError
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from gateway.kafka.cluster import LATEST, Cluster, describe, describe_once, list_offsets_once, log_bounds
from gateway.kafka.connection import KAFKA_CALL_TIMEOUT_S, retried
from gateway.kafka.troubles import PassingError, raise_for
from gateway.oncall.replay.selection import Place

NEAR = 64  # offsets between two records up to which reading what lies between is cheaper than another request
RUN_BYTES = 1 << 20
ONE_BYTES = 1 << 10  # a batch is delivered whole, however large
_AT_ONCE_MS = 0
_ANY_BYTES = 1
_READ_UNCOMMITTED = 0


@dataclass(slots=True)
class Raw:
    """An input record as it lies in the log."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


async def fetch(client: AIOKafkaClient, places: Iterable[Place]) -> AsyncIterator[list[Raw]]:
    """The records that lie there, some at a time; one that the log no longer holds is left out."""
    wanted: dict[TopicPartition, list[int]] = defaultdict(list)
    for topic, number, offset in sorted(places):
        wanted[TopicPartition(topic, number)].append(offset)
    if not wanted:
        return
    there = (await describe(client, {partition.topic for partition in wanted})).topics
    known = [each for each in wanted if each.topic in there and each.partition in there[each.topic].leaders]
    bounds = await log_bounds(client, known)
    for partition in known:
        part = _Log(client, partition)
        offsets = [each for each in wanted[partition] if bounds[partition].start <= each < bounds[partition].end]
        at = 0
        while at < len(offsets):
            near = at + 1 < len(offsets) and offsets[at + 1] - offsets[at] <= NEAR
            read = await part.fetch(offsets[at], RUN_BYTES if near else ONE_BYTES)
            after = read[-1].offset if read else offsets[at]
            here = at
            while at < len(offsets) and offsets[at] <= after:
                at += 1
            asked = set(offsets[here:at])
            yield [raw for raw in read if raw.offset in asked]


class _Log:
    """One partition's log; who leads it is asked again only where a request failed."""

    def __init__(self, client: AIOKafkaClient, partition: TopicPartition) -> None:
        self._client = client
        self._partition = partition
        self._cluster: Cluster | None = None

    async def fetch(self, offset: int, most: int) -> list[Raw]:
        """Records from this offset on; none if the log has none at it or later. Raises KafkaUnavailableError."""

        async def attempt() -> list[Raw]:
            cluster, self._cluster = self._cluster, None
            if cluster is None:
                cluster = await describe_once(self._client, [self._partition.topic])
            read = await self._fetch(cluster, offset, most)
            self._cluster = cluster
            return read

        topic, number = self._partition
        return await retried(KAFKA_CALL_TIMEOUT_S, f"reading {topic}:{number} at {offset}", attempt)

    async def _fetch(self, cluster: Cluster, offset: int, most: int) -> list[Raw]:
        topic, number = self._partition
        if topic not in cluster.topics or number not in cluster.topics[topic].leaders:
            return []
        answer: Any = await self._client.send(
            cluster.topics[topic].leaders[number],
            FetchRequest(_AT_ONCE_MS, _ANY_BYTES, most, _READ_UNCOMMITTED, [(topic, [(number, offset, most)])]),
        )
        for _, partitions in answer.topics:
            for _, code, high_watermark, *_, records in partitions:
                if code == OffsetOutOfRangeError.errno:
                    return []
                raise_for(code)
                if high_watermark <= offset:
                    ends = await list_offsets_once(self._client, cluster, {self._partition: LATEST})
                    if ends[self._partition] > offset:
                        raise PassingError  # a leader that has just begun to lead shows nothing yet
                return list(_records(topic, number, offset, records))
        raise UnknownTopicOrPartitionError


def _records(topic: str, partition: int, offset: int, fetched: bytes) -> Iterable[Raw]:
    batches = MemoryRecords(fetched)
    while batches.has_next():
        batch: Any = batches.next_batch()
        if not batch.is_control_batch:
            for each in batch:
                if each.offset >= offset:
                    headers = tuple(each.headers)
                    yield Raw(topic, partition, each.offset, each.timestamp, each.key, each.value, headers)
