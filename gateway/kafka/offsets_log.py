"""The committed offset of a lane, as it stands in the log of committed offsets and not as a coordinator remembers it.

A group coordinator may answer from a memory that lacks what its log has, without an error and until it reads that log
anew: Apache Kafka 4.3.0 did after crashes under load, with offsets of ten minutes before (seen: it went back to where
16,384 records were read). It takes new commits meanwhile, so that none of them proves anything. A lane that goes on
there provides and records all since then twice. The log itself was whole each time.

Knows how Kafka writes offsets down: __consumer_offsets, its keys and values (Kafka's OffsetCommitKey and
OffsetCommitValue), which of them count. Must not know what the offset means to a lane.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import aclosing
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.types import CompactString, Int16, Int32, Int64, String
from aiokafka.structs import TopicPartition

from gateway.kafka.cluster import describe, log_bounds
from gateway.kafka.connection import KAFKA_CALL_TIMEOUT_S, KafkaUnavailableError, retried
from gateway.kafka.exact import is_abort, read_batches
from gateway.kafka.offsets import Committed, ask_for_coordinator
from gateway.kafka.transactions import TRANSACTION_TIMEOUT_MS
from gateway.kafka.troubles import PassingError

TOPIC = "__consumer_offsets"
# A lane that lives has committed within the last few of these; for one that has slept for long all are read.
FIRST_WINDOW, GROWTH = 4_096, 8  # offsets
DECIDED_WITHIN_S = TRANSACTION_TIMEOUT_MS / 1000 + KAFKA_CALL_TIMEOUT_S
_OFFSET_KEYS = (0, 1)  # versions of keys; others are of groups
_FLEXIBLE = 4  # the first version of values with compact strings
_WITH_LEADER_EPOCH = 3
_NEWEST = 4
_TEXT, _COMPACT_TEXT = String(), CompactString()


class NewerOffsetsError(KafkaUnavailableError):
    """The brokers write offsets down in a way that this release can't read."""

    def __init__(self, place: TopicPartition, version: int) -> None:
        super().__init__(
            f"reading {place.topic}:{place.partition}",
            f"offsets are written in version {version}, this release reads up to {_NEWEST}: take a later release",
        )


async def read_offset(client: AIOKafkaClient, group: str, lane: TopicPartition) -> Committed | None:
    """What is committed for a lane, by whoever has taken it over: it stays so. Raises KafkaUnavailableError."""
    return (await read_offsets(client, group, [lane]))[lane]


async def read_offsets(
    client: AIOKafkaClient, group: str, lanes: Collection[TopicPartition], *, decided: bool = True
) -> dict[TopicPartition, Committed | None]:
    """What is committed for each lane; None where nothing is.

    If `decided`, a transaction that may still change that is waited for. Raises KafkaUnavailableError.
    """

    async def attempt() -> dict[TopicPartition, Committed | None]:
        await ask_for_coordinator(client, group)  # the first time it makes the topic
        place = await _place(client, group)
        bounds = (await log_bounds(client, [place]))[place]
        window = FIRST_WINDOW
        while True:
            start = max(bounds.start, bounds.end - window)
            history = _History(group, frozenset(lanes), place)
            async with aclosing(read_batches(client, place, start, bounds.end)) as batches:
                await history.follow(batches)
            if decided and history.undecided:
                raise PassingError
            if start == bounds.start or len(history.committed) == len(history.lanes):
                return {lane: history.committed.get(lane, (0, None))[1] for lane in lanes}
            window *= GROWTH

    return await retried(DECIDED_WITHIN_S, f"reading the committed offsets of group {group}", attempt)


@dataclass(slots=True)
class _History:
    """What a stretch of the log says of some lanes, by where it lies there. Offsets of a transaction count from its
    marker on, but do not replace what was written behind them: so Kafka's coordinators have it."""

    group: str
    lanes: frozenset[TopicPartition]
    place: TopicPartition
    committed: dict[TopicPartition, tuple[int, Committed | None]] = field(default_factory=dict)
    # By producer.
    undecided: dict[int, dict[TopicPartition, tuple[int, Committed | None]]] = field(default_factory=dict)

    async def follow(self, batches: AsyncIterator[Any]) -> None:
        """Read on, batch by batch."""
        async for batch in batches:
            if batch.is_control_batch:
                self._decide(batch)
            else:
                self._note(batch)

    def _note(self, batch: Any) -> None:
        for record in batch:
            of = None if record.key is None else _lane_in(record.key)
            if of is None or of[0] != self.group or of[1] not in self.lanes:
                continue
            into = self.undecided.setdefault(batch.producer_id, {}) if batch.is_transactional else self.committed
            into[of[1]] = record.offset, _committed_in(record.value, self.place)

    def _decide(self, batch: Any) -> None:
        decided = self.undecided.pop(batch.producer_id, {})
        if decided and not is_abort(batch):
            for lane, (offset, committed) in decided.items():
                if lane not in self.committed or self.committed[lane][0] < offset:
                    self.committed[lane] = offset, committed


async def _place(client: AIOKafkaClient, group: str) -> TopicPartition:
    """The partition in which this group's offsets lie."""
    topic = (await describe(client, [TOPIC])).topics.get(TOPIC)
    if topic is None:
        raise PassingError  # it is being made
    return TopicPartition(TOPIC, partition_of_group(group, len(topic.partitions)))


def partition_of_group(group: str, partitions: int) -> int:
    """As Kafka's brokers choose it: by Java's hash of the name."""
    number = 0
    units = group.encode("utf-16-be")
    for high, low in zip(units[::2], units[1::2], strict=True):
        number = (31 * number + (high << 8 | low)) & 0xFFFFFFFF
    signed = number - (1 << 32) if number >> 31 else number
    return 0 if signed == -(1 << 31) else abs(signed) % partitions


def _lane_in(key: bytes) -> tuple[str, TopicPartition] | None:
    """The group and the partition that an offset is of; None for other records."""
    data = BytesIO(key)
    if Int16.decode(data) not in _OFFSET_KEYS:
        return None
    return _TEXT.decode(data) or "", TopicPartition(_TEXT.decode(data) or "", Int32.decode(data))


def _committed_in(value: bytes | None, place: TopicPartition) -> Committed | None:
    if value is None:
        return None  # it was deleted
    data = BytesIO(value)
    version = Int16.decode(data)
    if not 0 <= version <= _NEWEST:
        raise NewerOffsetsError(place, version)
    offset = Int64.decode(data)
    if version >= _WITH_LEADER_EPOCH:
        Int32.decode(data)
    return Committed(offset, (_COMPACT_TEXT if version >= _FLEXIBLE else _TEXT).decode(data) or "")
