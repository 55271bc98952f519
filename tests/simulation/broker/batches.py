"""Record batches as they lie in a log: opaque bytes with a head, of which a broker rewrites a few fields.

Knows Kafka's record batch (magic 2). Must not know logs, or what records say.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka.record._crecords import crc32c_cython
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

NO_PRODUCER = -1
_MAGIC = 2
_HEAD = struct.Struct(">qiibIhiqqqhii")
_LENGTH_COUNTED_FROM = 12
_CRC_AT = 17
_CRC_FROM = 21
_TRANSACTIONAL = 0x10
_CONTROL = 0x20
_LOG_APPEND_TIME = 0x08
_CODEC = 0x07
_UNBOUNDED = 1 << 30
_MARKER_KEY = struct.Struct(">hh")
_MARKER_VALUE = struct.Struct(">hi")
_SEQUENCES = 1 << 31


@dataclass(slots=True, eq=False)
class Batch:
    """One batch; `data` is what a reader is given."""

    data: bytes
    base_offset: int
    last_offset: int
    timestamp: int
    producer_id: int
    epoch: int
    first_sequence: int
    transactional: bool
    marker: bool | None  # of a control batch: whether it commits

    @property
    def last_sequence(self) -> int:
        """The sequence number of its last record."""
        return (self.first_sequence + self.last_offset - self.base_offset) % _SEQUENCES

    @property
    def next_offset(self) -> int:
        """The offset behind it."""
        return self.last_offset + 1


@dataclass(frozen=True, slots=True)
class Record:
    """One record to be written, or as a reader is given it."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    timestamp: int = 0
    partition: int = 0
    offset: int = -1


def parse(data: bytes) -> Batch:
    """A batch as a producer sends it."""
    head = _HEAD.unpack_from(data)
    base, _, _, magic, _, attributes, delta, _, timestamp, producer_id, epoch, sequence, _ = head
    if magic != _MAGIC or attributes & _CONTROL:
        raise ValueError("producers send batches of magic 2 that are not control batches")
    transactional = bool(attributes & _TRANSACTIONAL)
    return Batch(data, base, base + delta, timestamp, producer_id, epoch, sequence, transactional, None)


def placed(batch: Batch, base_offset: int, leader_epoch: int, now: int | None) -> Batch:
    """The batch at its place in a log; `now` is the time of appending if the topic wants that one."""
    head = list(_HEAD.unpack_from(batch.data))
    head[0], head[2] = base_offset, leader_epoch
    timestamp = batch.timestamp
    if now is not None:
        timestamp = head[8] = now
        head[5] |= _LOG_APPEND_TIME
    data = _sealed(head, batch.data[_HEAD.size :], resum=now is not None)
    last = base_offset + head[6]
    return Batch(
        data,
        base_offset,
        last,
        timestamp,
        batch.producer_id,
        batch.epoch,
        batch.first_sequence,
        batch.transactional,
        batch.marker,
    )


def written(
    records: Sequence[Record], *, producer_id: int = NO_PRODUCER, epoch: int = -1, sequence: int = -1, now: int
) -> Batch:
    """A batch of these records; with a producer's id it is transactional."""
    transactional = producer_id != NO_PRODUCER
    builder = DefaultRecordBatchBuilder(_MAGIC, 0, int(transactional), producer_id, epoch, sequence, _UNBOUNDED)
    for offset, record in enumerate(records):
        builder.append(offset, record.timestamp or now, record.key, record.value, list(record.headers))
    return parse(bytes(builder.build()))


def marker(producer_id: int, epoch: int, *, commit: bool, coordinator_epoch: int, now: int) -> Batch:
    """The control batch that ends a producer's transaction in one partition."""
    builder = DefaultRecordBatchBuilder(_MAGIC, 0, 1, producer_id, epoch, -1, _UNBOUNDED)
    value = _MARKER_VALUE.pack(0, coordinator_epoch)
    builder.append(0, now, _MARKER_KEY.pack(0, int(commit)), value, [])
    data = bytes(builder.build())
    head = list(_HEAD.unpack_from(data))
    head[5] |= _CONTROL
    return Batch(_sealed(head, data[_HEAD.size :], resum=True), 0, 0, now, producer_id, epoch, -1, True, commit)


def records_of(batch: Batch, partition: int) -> list[Record]:
    """Its records, parsed."""
    return [
        Record(record.key, record.value, tuple(record.headers), record.timestamp, partition, record.offset)
        for record in _parsed(batch)
    ]


def keeping(batch: Batch, offsets: Iterable[int]) -> Batch | None:
    """The batch with only the records at these offsets, each at its place; None if none is left."""
    wanted = set(offsets)
    kept = [record for record in _parsed(batch) if record.offset in wanted]
    if not kept:
        return None
    head = list(_HEAD.unpack_from(batch.data))
    builder = DefaultRecordBatchBuilder(_MAGIC, 0, int(batch.transactional), *head[9:12], _UNBOUNDED)
    for record in kept:
        place = record.offset - batch.base_offset
        builder.append(place, record.timestamp, record.key, record.value, list(record.headers))
    rebuilt = bytes(builder.build())
    fresh = list(_HEAD.unpack_from(rebuilt))
    fresh[0], fresh[2], fresh[5], fresh[6], fresh[8] = head[0], head[2], head[5] & ~_CODEC, head[6], head[8]
    data = _sealed(fresh, rebuilt[_HEAD.size :], resum=True)
    return Batch(
        data,
        batch.base_offset,
        batch.last_offset,
        batch.timestamp,
        batch.producer_id,
        batch.epoch,
        batch.first_sequence,
        batch.transactional,
        None,
    )


def _parsed(batch: Batch) -> list[Any]:
    parsed: Any = MemoryRecords(batch.data).next_batch()
    return list(parsed)


def _sealed(head: list[Any], body: bytes, *, resum: bool) -> bytes:
    data = bytearray(_HEAD.pack(*head)) + body
    if resum:
        struct.pack_into(">I", data, _CRC_AT, crc32c_cython(memoryview(data)[_CRC_FROM:]))
    return bytes(data)
