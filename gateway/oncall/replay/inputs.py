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

from gateway.kafka.cluster import LATEST, describe, describe_once, list_offsets_once, log_bounds
from gateway.kafka.connection import KAFKA_CALL_TIMEOUT_S, retried
from gateway.kafka.troubles import PassingError, raise_for
from gateway.oncall.replay.selection import Place

NEAR = 1_000  # offsets between two records that are fetched together rather than each by itself
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
    there = (await describe(client, {partition.topic for partition in wanted})).topics if wanted else {}
    known = [each for each in wanted if each.topic in there and each.partition in there[each.topic].leaders]
    bounds = await log_bounds(client, known) if known else {}
    for partition in known:
        offsets = [each for each in wanted[partition] if bounds[partition].start <= each < bounds[partition].end]
        at = 0
        while at < len(offsets):
            near = at + 1 < len(offsets) and offsets[at + 1] - offsets[at] <= NEAR
            read = await _fetch(client, partition, offsets[at], RUN_BYTES if near else ONE_BYTES)
            after = read[-1].offset if read else offsets[at]
            here = at
            while at < len(offsets) and offsets[at] <= after:
                at += 1
            asked = set(offsets[here:at])
            yield [raw for raw in read if raw.offset in asked]


async def _fetch(client: AIOKafkaClient, partition: TopicPartition, offset: int, most: int) -> list[Raw]:
    """Records from this offset on; none if the log has none at it or later."""

    async def attempt() -> list[Raw]:
        return await _fetch_once(client, partition, offset, most)

    return await retried(KAFKA_CALL_TIMEOUT_S, f"reading {partition.topic}:{partition.partition} at {offset}", attempt)


async def _fetch_once(client: AIOKafkaClient, partition: TopicPartition, offset: int, most: int) -> list[Raw]:
    topic, number = partition
    cluster = await describe_once(client, [topic])
    if topic not in cluster.topics or number not in cluster.topics[topic].leaders:
        return []
    answer: Any = await client.send(
        cluster.topics[topic].leaders[number],
        FetchRequest(_AT_ONCE_MS, _ANY_BYTES, most, _READ_UNCOMMITTED, [(topic, [(number, offset, most)])]),
    )
    for _, partitions in answer.topics:
        for _, code, high_watermark, *_, records in partitions:
            if code == OffsetOutOfRangeError.errno:
                return []
            raise_for(code)
            if (
                high_watermark <= offset
                and (await list_offsets_once(client, cluster, {partition: LATEST}))[partition] > offset
            ):
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
