"""Reads a topic from its first record to where it ends now, as committed readers see it.

Knows positions and how far there is to go. Must not know what the records are. What it has read it forgets: memory
stays bounded however long the topic is.
"""

# aiokafka's consumer is untyped:
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.client import AIOKafkaClient

from gateway.kafka.cluster import TopicMissingError, describe, log_bounds
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


async def scan(
    connection: KafkaConnection,
    client: AIOKafkaClient,
    topic: str,
    take: Callable[[Sequence[Any]], Awaitable[None]],
    tell: Tell,
) -> None:
    """Hand all records to `take`, some at a time; raises TopicMissingError or KafkaUnavailableError."""
    cluster = await describe(client, [topic])
    if topic not in cluster.topics:
        raise TopicMissingError([topic])
    bounds = await log_bounds(client, cluster.topics[topic].partitions)
    left = {partition: found.end for partition, found in bounds.items() if found.start < found.end}
    at = {partition: bounds[partition].start for partition in left}
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
            for records in polled.values():
                await take(records)
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
