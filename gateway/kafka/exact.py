"""Reads records at exactly known offsets, whatever else is open on their partitions.

Knows Fetch. Reads uncommitted: another lane's open transaction holds the last stable offset back, and a
committed record behind it would stay unseen until that transaction ends. Whoever asks knows the offsets from
a committed place.
Must not know what the records are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import OffsetOutOfRangeError, UnknownTopicOrPartitionError
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from gateway.kafka.cluster import LATEST, Cluster, describe_once, list_offsets_once
from gateway.kafka.connection import KAFKA_CALL_TIMEOUT_S, retried
from gateway.kafka.troubles import PassingError, raise_for

FETCH_BYTES = 1024 * 1024  # a batch larger than this is still delivered whole, alone
READS_AT_ONCE = 8
_AT_ONCE_MS = 0
_ANY_BYTES = 1
_READ_UNCOMMITTED = 0


@dataclass(frozen=True, slots=True)
class ExactRecord:
    """A record as it lies in the log."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


async def read_exact(client: AIOKafkaClient, positions: Sequence[tuple[str, int, int]]) -> list[ExactRecord | None]:
    """The record at each (topic, partition, offset), in the same order; None where the log has none."""
    slots = asyncio.Semaphore(READS_AT_ONCE)

    async def read(topic: str, partition: int, offset: int) -> ExactRecord | None:
        async def attempt() -> ExactRecord | None:
            return await _read_once(client, topic, partition, offset)

        async with slots:
            return await retried(KAFKA_CALL_TIMEOUT_S, f"reading {topic}:{partition} at {offset}", attempt)

    return list(await asyncio.gather(*(read(*position) for position in positions)))


async def _read_once(client: AIOKafkaClient, topic: str, partition: int, offset: int) -> ExactRecord | None:
    cluster = await describe_once(client, [topic])
    if topic not in cluster.topics or partition not in cluster.topics[topic].leaders:
        return None
    wanted = [(topic, [(partition, offset, FETCH_BYTES)])]
    answer: Any = await client.send(
        cluster.topics[topic].leaders[partition],
        FetchRequest(_AT_ONCE_MS, _ANY_BYTES, FETCH_BYTES, _READ_UNCOMMITTED, wanted),
    )
    for _, partitions in answer.topics:
        for _, code, high_watermark, *_, records in partitions:
            if code == OffsetOutOfRangeError.errno:
                return None
            raise_for(code)
            if high_watermark <= offset:
                await _refuse_hidden(client, cluster, TopicPartition(topic, partition), offset)
            return _pick(topic, partition, offset, records)
    raise UnknownTopicOrPartitionError


async def _refuse_hidden(client: AIOKafkaClient, cluster: Cluster, partition: TopicPartition, offset: int) -> None:
    """Raise a passing error if there may be a record that the leader does not show: one that has just begun to lead
    answers a Fetch with nothing until it knows what followers have, and only ListOffsets says that it can't tell."""
    ends = await list_offsets_once(client, cluster, {partition: LATEST})
    if ends[partition] > offset:
        raise PassingError


def _pick(topic: str, partition: int, offset: int, fetched: bytes) -> ExactRecord | None:
    batches = MemoryRecords(fetched)
    while batches.has_next():
        batch: Any = batches.next_batch()
        if batch.next_offset <= offset:
            continue
        if batch.is_control_batch:
            return None
        for record in batch:
            if record.offset == offset:
                headers = tuple(record.headers)
                return ExactRecord(topic, partition, offset, record.timestamp, record.key, record.value, headers)
        return None
    return None
