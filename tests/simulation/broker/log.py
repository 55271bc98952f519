"""One partition's log: batches, the high watermark, open transactions and the last stable offset, producers' numbers.

Knows what a leader's log knows. Must not know replicas, nodes, requests or time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, field
from operator import attrgetter

from tests.simulation.broker.batches import NO_PRODUCER, Batch, keeping, placed, records_of
from tests.simulation.broker.errors import Error

REMEMBERED_BATCHES = 5  # of one producer, by which its repetitions are known
_SEQUENCES = 1 << 31
_NONE = -1
_base_offset = attrgetter("base_offset")


@dataclass(slots=True)
class ProducerState:
    """What a partition knows of one producer."""

    epoch: int
    last_sequence: int = _NONE
    recent: deque[Batch] = field(default_factory=lambda: deque(maxlen=REMEMBERED_BATCHES))


@dataclass(frozen=True, slots=True)
class Aborted:
    """A transaction that was aborted in this partition: from its first record to its marker."""

    producer_id: int
    first_offset: int
    last_offset: int


class Refused(Exception):  # noqa: N818 - the broker's answer, not a mishap
    """A batch that this log does not take."""

    def __init__(self, error: Error) -> None:
        super().__init__(error.name)
        self.error = error


class PartitionLog:
    """The log as its leader has it."""

    def __init__(self, *, log_append_time: bool) -> None:
        self.log_append_time = log_append_time
        self.batches: list[Batch] = []
        self.start = 0
        self.end = 0
        self.high_watermark = 0
        self._producers: dict[int, ProducerState] = {}
        self.open: dict[int, int] = {}  # producer -> first offset of its transaction
        self._ended: list[tuple[int, int]] = []  # first offset, marker: of transactions whose marker may be above it
        self.aborted: list[Aborted] = []

    @property
    def last_stable_offset(self) -> int:
        """Below it every transaction is decided, and that is replicated."""
        first = min(self.open.values(), default=self.high_watermark)
        return min(first, self.high_watermark, *(begun for begun, _ in self._ended))

    def replicated(self, offset: int) -> None:
        """Everything below this offset is on all replicas in sync."""
        if offset > self.high_watermark:
            self.high_watermark = offset
            self._ended = [(begun, end) for begun, end in self._ended if end >= offset]

    def find_duplicate(self, batch: Batch) -> Batch | None:
        """This very batch, if it lies here already."""
        state = self._producers.get(batch.producer_id)
        if state is None or state.epoch != batch.epoch:
            return None
        numbers = (batch.first_sequence, batch.last_sequence)
        return next((laid for laid in state.recent if (laid.first_sequence, laid.last_sequence) == numbers), None)

    def check(self, batch: Batch) -> None:
        """Raise Refused unless the producer's epoch and numbers continue."""
        state = self._producers.get(batch.producer_id)
        if batch.producer_id == NO_PRODUCER or state is None:
            return
        if batch.epoch < state.epoch:
            raise Refused(Error.INVALID_PRODUCER_EPOCH)
        if batch.marker is not None:
            return
        if batch.epoch > state.epoch:
            if batch.first_sequence != 0:
                raise Refused(Error.OUT_OF_ORDER_SEQUENCE_NUMBER)
        elif state.last_sequence != _NONE and batch.first_sequence != (state.last_sequence + 1) % _SEQUENCES:
            raise Refused(Error.OUT_OF_ORDER_SEQUENCE_NUMBER)

    def has_open(self, producer_id: int, epoch: int) -> bool:
        """Whether a transaction of this producer is open here."""
        return producer_id in self.open and self._producers[producer_id].epoch == epoch

    def append(self, batch: Batch, leader_epoch: int, now: int) -> Batch:
        """Put a checked batch at the end; as it lies there."""
        laid = placed(batch, self.end, leader_epoch, now if self.log_append_time else None)
        self.batches.append(laid)
        self.end = laid.next_offset
        self._learn(laid)
        return laid

    def read(self, offset: int, below: int, most_bytes: int) -> list[Batch]:
        """Whole batches from the one that holds this offset, all below a bound; at least one if there is one."""
        taken: list[Batch] = []
        size = 0
        for index in range(self._index(offset), len(self.batches)):
            batch = self.batches[index]
            if batch.base_offset >= below or (taken and size + len(batch.data) > most_bytes):
                break
            taken.append(batch)
            size += len(batch.data)
        return taken

    def aborted_between(self, offset: int, end: int) -> list[tuple[int, int]]:
        """Aborted transactions that a reader of these offsets must leave out: (producer, first offset)."""
        found = [
            (aborted.first_offset, aborted.producer_id)
            for aborted in self.aborted
            if aborted.last_offset >= offset and aborted.first_offset < end
        ]
        return [(producer, first) for first, producer in sorted(found)]

    def offset_at(self, time: int, below: int) -> tuple[int, int] | None:
        """The first (offset, timestamp) not before this time, below a bound."""
        for batch in self.batches:
            if batch.timestamp < time or batch.last_offset < self.start:
                continue
            for record in records_of(batch, 0):
                if record.timestamp >= time and self.start <= record.offset < below:
                    return record.offset, record.timestamp
        return None

    def truncate(self, end: int) -> None:
        """Lose everything from this offset on, as a leader does that was deposed; batches are lost whole."""
        kept = [batch for batch in self.batches if batch.last_offset < end]
        self.batches, self.end = [], kept[-1].next_offset if kept else self.start
        self._producers, self.open, self._ended, self.aborted = {}, {}, [], []
        for batch in kept:
            self.batches.append(batch)
            self._learn(batch)
        self.set_back(min(self.high_watermark, self.end))

    def set_back(self, high_watermark: int) -> None:
        """A new leader knows less of what is replicated than the old one did."""
        self.high_watermark = high_watermark
        self._ended = [(begun, marker) for begun, marker in self._ended if marker >= high_watermark]

    def delete_before(self, offset: int) -> None:
        """Delete records, as retention or DeleteRecords does."""
        self.start = max(self.start, min(offset, self.high_watermark))

    def compact(self) -> int:
        """Keep the last record of each key below the last stable offset; how many were removed."""
        stable = self.last_stable_offset
        last = {
            record.key: record.offset
            for batch in self._committed(stable)
            for record in records_of(batch, 0)
            if record.key is not None
        }
        survivors = set(last.values())
        removed = 0
        compacted: list[Batch] = []
        for batch in self.batches:
            if batch.last_offset >= stable or batch.marker is not None or batch is self.batches[-1]:
                compacted.append(batch)
                continue
            left = keeping(batch, survivors)
            removed += left is None or left.data != batch.data
            if left is not None:
                compacted.append(left)
        self.batches = compacted
        return removed

    def committed(self) -> list[Batch]:
        """What a reader of committed records is given, from the beginning."""
        return [batch for batch in self._committed(self.last_stable_offset) if batch.next_offset > self.start]

    def _committed(self, below: int) -> list[Batch]:
        return [
            batch
            for batch in self.batches
            if batch.last_offset < below and batch.marker is None and not self._is_aborted(batch)
        ]

    def _is_aborted(self, batch: Batch) -> bool:
        return batch.transactional and any(
            aborted.producer_id == batch.producer_id
            and aborted.first_offset <= batch.base_offset <= aborted.last_offset
            for aborted in self.aborted
        )

    def _index(self, offset: int) -> int:
        """Of the first batch that ends at this offset or behind it."""
        at = bisect_right(self.batches, offset, key=_base_offset) - 1
        if at >= 0 and self.batches[at].last_offset >= offset:
            return at
        return at + 1

    def _learn(self, batch: Batch) -> None:
        """What a batch that was appended says of its producer."""
        if batch.producer_id == NO_PRODUCER:
            return
        state = self._producers.get(batch.producer_id)
        if state is None or state.epoch != batch.epoch:
            state = self._producers[batch.producer_id] = ProducerState(batch.epoch)
        if batch.marker is not None:
            self._end(batch, commit=batch.marker)
            return
        state.last_sequence = batch.last_sequence
        state.recent.append(batch)
        if batch.transactional:
            self.open.setdefault(batch.producer_id, batch.base_offset)

    def _end(self, marker: Batch, *, commit: bool) -> None:
        first = self.open.pop(marker.producer_id, None)
        if first is None:
            return
        self._ended.append((first, marker.base_offset))
        if not commit:
            self.aborted.append(Aborted(marker.producer_id, first, marker.base_offset))
