"""Reads a topic, or a part of it, to where it ends now, as committed readers see it.

Knows positions and how far there is to go. Must not know what the records are. What it has read it forgets: memory
stays bounded however long the topic is.
"""

# aiokafka's consumer is untyped:
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.client import AIOKafkaClient
from aiokafka.structs import TopicPartition

from gateway.kafka.cluster import NO_OFFSET, LogBounds, TopicMissingError, describe, list_offsets, log_bounds
from gateway.kafka.connection import (
    KAFKA_CALL_TIMEOUT_S,
    KafkaConnection,
    KafkaUnavailableError,
    stop_consumer,
    within,
)

POLL_MS = 500
POLL_RECORDS = 2_000
STALLED_S = 60.0  # without a step forward: a transaction stays open, or a broker is away
TELL_EVERY_S = 2.0

Tell = Callable[[str, int, int], None]  # topic, offsets read, offsets in all


@dataclass(frozen=True, slots=True)
class Span:
    """Which part of a topic is read; by default all of it."""

    since: int | None = None  # ms: from the first record that Kafka appended then or later
    until: int | None = None  # ms: up to the first record that Kafka appended then or later
    starts: Mapping[int, int] | None = None  # partition -> offset to start at; of no other partition anything is read


EVERYTHING = Span()


async def scan(
    connection: KafkaConnection,
    client: AIOKafkaClient,
    topic: str,
    take: Callable[[Sequence[Any]], Awaitable[None]],
    tell: Tell,
    span: Span = EVERYTHING,
) -> dict[int, int]:
    """Hand the records to `take`, some at a time; the offset after what was read, for each partition.

    Raises TopicMissingError or KafkaUnavailableError.
    """
    bounds = await _bounds(client, topic, span)
    left = {partition: found.end for partition, found in bounds.items() if found.start < found.end}
    at = {partition: bounds[partition].start for partition in left}
    ends = {partition.partition: found.end for partition, found in bounds.items()}
    if not left:
        return ends
    first, whole = sum(at.values()), sum(left.values()) - sum(at.values())
    consumer = AIOKafkaConsumer(
        **connection.kwargs(), isolation_level="read_committed", enable_auto_commit=False, auto_offset_reset="none"
    )
    await connection.start(consumer.start())
    try:
        consumer.assign(sorted(left))
        for partition, offset in at.items():
            consumer.seek(partition, offset)
        moved_at = told_at = time.monotonic()
        while any(at[partition] < end for partition, end in left.items()):
            polling = consumer.getmany(timeout_ms=POLL_MS, max_records=POLL_RECORDS)
            polled = await within(KAFKA_CALL_TIMEOUT_S, f"reading {topic}", polling)
            for partition, records in polled.items():
                await take([record for record in records if record.offset < left[partition]])
            positions = {partition: await consumer.position(partition) for partition in left}
            now = time.monotonic()
            if positions != at:
                at, moved_at = positions, now
            if now - moved_at > STALLED_S:
                raise KafkaUnavailableError(f"reading {topic}", f"no step forward within {STALLED_S:g} s")
            if now - told_at > TELL_EVERY_S:
                tell(topic, min(whole, sum(at.values()) - first), whole)
                told_at = now
    finally:
        await asyncio.shield(stop_consumer(consumer))
    tell(topic, whole, whole)
    return ends


async def _bounds(client: AIOKafkaClient, topic: str, span: Span) -> dict[TopicPartition, LogBounds]:
    """From where to where each partition is read."""
    cluster = await describe(client, [topic])
    if topic not in cluster.topics:
        raise TopicMissingError([topic])
    wanted = [
        partition
        for partition in cluster.topics[topic].partitions
        if span.starts is None or partition.partition in span.starts
    ]
    bounds = await log_bounds(client, wanted)
    first = await _at_time(client, bounds, span.since, {partition: found.start for partition, found in bounds.items()})
    last = await _at_time(client, bounds, span.until, {partition: found.end for partition, found in bounds.items()})
    if span.since is not None:  # nothing is as young
        first = {partition: bounds[partition].end if at == NO_OFFSET else at for partition, at in first.items()}
    for partition in wanted:
        start = max(first[partition], (span.starts or {}).get(partition.partition, 0))
        end = bounds[partition].end if last[partition] == NO_OFFSET else last[partition]
        bounds[partition] = LogBounds(start, end)
    return bounds


async def _at_time(
    client: AIOKafkaClient,
    bounds: Mapping[TopicPartition, LogBounds],
    time_ms: int | None,
    otherwise: dict[TopicPartition, int],
) -> dict[TopicPartition, int]:
    if time_ms is None or not bounds:
        return otherwise
    # Below 0 are no times, but words of the protocol, such as -1 for the end.
    return await list_offsets(client, dict.fromkeys(bounds, max(time_ms, 0)))
