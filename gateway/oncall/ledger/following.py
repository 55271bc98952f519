"""Follows the ledger topic: what is in it from given offsets on, then what comes, until cancelled.

Knows how records arrive. Must not know who wants them.
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
from aiokafka.structs import TopicPartition

from gateway.core.reasons import Reason
from gateway.kafka.cluster import LATEST, NO_OFFSET, Topic, TopicMissingError, describe, list_offsets, log_bounds
from gateway.kafka.codec import Undecodable
from gateway.kafka.connection import KAFKA_CALL_TIMEOUT_S, stop_consumer, within
from gateway.oncall.desk import Desk, Found

POLL_MS = 500
POLL_RECORDS = 2_000
LOOK_AGAIN_S = 30.0  # for partitions that were added, and whether it is still the same topic


@dataclass(frozen=True, slots=True)
class Arrived:
    """A record of the ledger topic; what can't be read has a reason in place of the record."""

    offset: int
    appended_at: int
    value: bytes
    record: Mapping[str, Any] | None
    why: str = ""


Take = Callable[[int, Sequence[Arrived]], Awaitable[None]]  # a partition, and what came there
NowAndThen = Callable[[], Awaitable[None]]


class TopicMadeAnewError(Exception):
    """The ledger topic was deleted and made anew while it was followed."""


async def ledger_topic(desk: Desk) -> Topic:
    """The ledger topic as the brokers see it now; raises TopicMissingError or KafkaUnavailableError."""
    name = desk.names.ledger
    cluster = await describe(desk.client, [name])
    if name not in cluster.topics:
        raise TopicMissingError([name])
    return cluster.topics[name]


async def offsets_at(desk: Desk, since: int | None) -> dict[int, int]:
    """Where each partition stands for those who follow from a time in ms; None: from its end now."""
    partitions = (await ledger_topic(desk)).partitions
    times = dict.fromkeys(partitions, LATEST if since is None else since)
    found = await list_offsets(desk.client, times)
    if NO_OFFSET in found.values():  # nothing is as young
        ends = await list_offsets(desk.client, dict.fromkeys(partitions, LATEST))
        found = {partition: ends[partition] if at == NO_OFFSET else at for partition, at in found.items()}
    return {partition.partition: at for partition, at in found.items()}


async def follow(desk: Desk, starts: Mapping[int, int], take: Take, now_and_then: NowAndThen | None = None) -> None:
    """Hand on what comes from these offsets on, and from the first record of every partition not named.

    `now_and_then` is called every LOOK_AGAIN_S, whether anything comes or not. It ends by being cancelled.
    Raises TopicMadeAnewError, TopicMissingError, KafkaUnavailableError, RegistryAway.
    """
    topic = await ledger_topic(desk)
    consumer = AIOKafkaConsumer(
        **desk.connection.kwargs(), isolation_level="read_committed", enable_auto_commit=False, auto_offset_reset="none"
    )
    await desk.connection.start(consumer.start())
    try:
        await _assign(desk, consumer, topic, starts)
        looked_at = time.monotonic()
        while True:
            polling = consumer.getmany(timeout_ms=POLL_MS, max_records=POLL_RECORDS)
            for partition, raws in (await within(KAFKA_CALL_TIMEOUT_S, f"reading {topic.name}", polling)).items():
                await take(partition.partition, await _arrived(desk, raws))
            if time.monotonic() - looked_at > LOOK_AGAIN_S:
                looked_at = time.monotonic()
                now = await ledger_topic(desk)
                if now.id != topic.id:
                    raise TopicMadeAnewError(f"{topic.name} was made anew while it was followed: start again")
                if now.leaders.keys() != topic.leaders.keys():
                    topic = now
                    await _assign(desk, consumer, topic, starts)
                if now_and_then is not None:
                    await now_and_then()
    finally:
        await asyncio.shield(stop_consumer(consumer))


async def _assign(desk: Desk, consumer: AIOKafkaConsumer, topic: Topic, starts: Mapping[int, int]) -> None:
    held: set[TopicPartition] = consumer.assignment()
    positions = {partition: await consumer.position(partition) for partition in held}
    bounds = await log_bounds(desk.client, topic.partitions)
    consumer.assign(topic.partitions)
    for partition in topic.partitions:
        start = max(bounds[partition].start, starts.get(partition.partition, 0))
        consumer.seek(partition, positions.get(partition, start))


async def _arrived(desk: Desk, raws: Sequence[Any]) -> list[Arrived]:
    await desk.codec.prepare([raw.value for raw in raws])
    arrived = []
    for raw in raws:
        decoded = desk.codec.decode(raw.topic, raw.value)
        if isinstance(decoded, Undecodable):
            arrived.append(Arrived(raw.offset, raw.timestamp, b"", None, decoded.reason.code))
        else:
            arrived.append(Arrived(raw.offset, raw.timestamp, raw.value, decoded.record))
    return arrived


def arrived_of(found: Found) -> Arrived:
    """A record that was read to the end of the topic, as one that is followed."""
    if found.record is None or found.value is None:
        return Arrived(found.offset, found.timestamp, b"", None, (found.why or Reason.NULL_VALUE).code)
    return Arrived(found.offset, found.timestamp, found.value, found.record)
