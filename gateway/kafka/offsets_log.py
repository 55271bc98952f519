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
from aiokafka.errors import TopicAuthorizationFailedError
from aiokafka.protocol.types import CompactString, Int16, Int32, Int64, String
from aiokafka.structs import TopicPartition

from gateway.kafka.cluster import LogBounds, describe_once, log_bounds
from gateway.kafka.connection import KAFKA_CALL_TIMEOUT_S, KafkaUnavailableError, retried
from gateway.kafka.exact import is_abort, read_batches
from gateway.kafka.group import ask_for_coordinator
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
_NEVER = 1 << 63  # behind every offset
_TEXT, _COMPACT_TEXT = String(), CompactString()


@dataclass(frozen=True, slots=True)
class Committed:
    """What the group has committed for a partition."""

    offset: int
    metadata: str


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
    """As OffsetsLog.read, once."""
    return await OffsetsLog(client, group).read(lanes, decided=decided)


class OffsetsLog:
    """What a group has committed, for whoever looks again and again: only what has come in since is read then."""

    def __init__(self, client: AIOKafkaClient, group: str) -> None:
        self._client = client
        self._group = group
        self._history: _History | None = None

    async def read(
        self, lanes: Collection[TopicPartition], *, decided: bool = True
    ) -> dict[TopicPartition, Committed | None]:
        """What is committed for each lane, in their order; None where nothing is.

        If `decided`, transactions that may still change that are waited for, those that are open now: while a gateway
        works, some lane's always is. Raises KafkaUnavailableError.
        """
        wanted, now = frozenset(lanes), _NEVER

        async def attempt() -> dict[TopicPartition, Committed | None]:
            nonlocal now
            history, self._history = self._history, None  # one whose reading breaks off is no good
            self._history = history = await self._read(wanted, history)
            now = min(now, history.end)
            if decided and history.is_open_before(now):
                raise PassingError
            return {lane: history.said_of(lane) for lane in sorted(wanted)}

        return await retried(DECIDED_WITHIN_S, f"reading the committed offsets of group {self._group}", attempt)

    async def _read(self, wanted: frozenset[TopicPartition], history: _History | None) -> _History:
        if history is None or not wanted <= history.lanes:
            await ask_for_coordinator(self._client, self._group)  # the first time it makes the topic
            place = await _place(self._client, self._group)
            return await self._begun(wanted, place, (await log_bounds(self._client, [place]))[place])
        await self._follow(history, (await log_bounds(self._client, [history.place]))[history.place].end)
        return history

    async def _begun(self, wanted: frozenset[TopicPartition], place: TopicPartition, bounds: LogBounds) -> _History:
        window = FIRST_WINDOW
        while True:
            start = max(bounds.start, bounds.end - window)
            history = _History(self._group, wanted, place, start)
            await self._follow(history, bounds.end)
            if start == bounds.start or len(history.committed) == len(wanted):
                return history
            window *= GROWTH

    async def _follow(self, history: _History, end: int) -> None:
        if end < history.end:
            raise PassingError  # the topic was made anew
        async with aclosing(read_batches(self._client, history.place, history.end, end)) as batches:
            await history.follow(batches)
        history.end = end


# Where a record of a lane lies, and what it says: as Kafka wrote it.
_Said = tuple[int, bytes | None]


@dataclass(slots=True)
class _Open:
    """A transaction that has not ended: where its first offset lies, and the last of each lane."""

    start: int
    offsets: dict[TopicPartition, _Said] = field(default_factory=dict)


class _History:
    """What a stretch of the log says of some lanes. Offsets of a transaction count from its marker on, but do not
    replace what was written behind them: so Kafka's coordinators have it."""

    def __init__(self, group: str, lanes: frozenset[TopicPartition], place: TopicPartition, start: int) -> None:
        self.lanes = lanes
        self.place = place
        self.end = start
        self.committed: dict[TopicPartition, _Said] = {}
        self._open: dict[int, _Open] = {}  # by producer
        # A log may be long, and nearly all of it is about others: comparing keys is quicker than reading them.
        self._keys = {key: lane for lane in lanes for key in _keys_of(group, lane)}

    def said_of(self, lane: TopicPartition) -> Committed | None:
        """What is committed for it."""
        return _committed_in(self.committed.get(lane, (0, None))[1], self.place)

    def is_open_before(self, offset: int) -> bool:
        """Whether a transaction that began before it has not ended."""
        return any(each.start < offset for each in self._open.values())

    async def follow(self, batches: AsyncIterator[Any]) -> None:
        """Read on, batch by batch."""
        async for batch in batches:
            if batch.is_control_batch:
                self._decide(batch)
            else:
                self._note(batch)

    def _note(self, batch: Any) -> None:
        for record in batch:
            lane = self._keys.get(record.key)
            if lane is None:
                continue
            into = self.committed
            if batch.is_transactional:
                into = self._open.setdefault(batch.producer_id, _Open(record.offset)).offsets
            into[lane] = record.offset, record.value

    def _decide(self, batch: Any) -> None:
        decided = self._open.pop(batch.producer_id, None)
        if decided is not None and not is_abort(batch):
            for lane, said in decided.offsets.items():
                if lane not in self.committed or self.committed[lane][0] < said[0]:
                    self.committed[lane] = said


async def _place(client: AIOKafkaClient, group: str) -> TopicPartition:
    """The partition in which this group's offsets lie."""
    try:
        topic = (await describe_once(client, [TOPIC])).topics.get(TOPIC)
    except TopicAuthorizationFailedError:
        raise TopicAuthorizationFailedError(f"Read on topic {TOPIC}") from None
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


def _keys_of(group: str, lane: TopicPartition) -> list[bytes]:
    """The keys of a lane's offsets, in each version."""
    of = _TEXT.encode(group) + _TEXT.encode(lane.topic) + Int32.encode(lane.partition)
    return [Int16.encode(version) + of for version in _OFFSET_KEYS]


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
