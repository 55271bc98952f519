"""Committed offsets of groups: in the log of their topic for good, and in a coordinator's memory, which may go back.

One that has read its partition may answer from what it knew somewhere in the midst of that, without an error and until
it reads it anew; it takes new commits on top. Apache Kafka 4.3.0 did after crashes under load.
As in Kafka an offset of a transaction counts from its marker on, unless a later one has been committed beside it.
Knows offsets alone. Must not know members, or who may commit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from tests.simulation.broker.batches import NO_PRODUCER, Batch, Record, marker, written
from tests.simulation.broker.errors import Error
from tests.simulation.broker.offsets_topic import group_key, offset_key, offset_value, partition_of
from tests.simulation.broker.partition import NO_LEADER, Partition
from tests.simulation.broker.surroundings import Surroundings

MAX_METADATA_BYTES = 4096  # offset.metadata.max.bytes, unless the world says otherwise
_COORDINATOR_EPOCH = 0
_NO_EPOCH, _NO_SEQUENCE, _FIRST_SEQUENCE = -1, -1, 0
Place = tuple[str, int]
Key = tuple[str, str, int]  # group, topic, partition


@dataclass(frozen=True, slots=True)
class Committed:
    """A position of a group."""

    offset: int
    metadata: str


NOTHING = Committed(-1, "")
Laid = tuple[int, Committed]  # at which offset of the log it lies


@dataclass(frozen=True, slots=True)
class _Entry:
    """What a batch says: offsets, of a producer's transaction or of none; or whether such a transaction commits."""

    at: int
    producer_id: int
    offsets: Mapping[Key, Committed]
    commits: bool | None = None


@dataclass(slots=True)
class _Memory:
    """What somebody knows who has read entries in turn."""

    committed: dict[Key, Laid] = field(default_factory=dict)
    pending: dict[int, dict[Key, Laid]] = field(default_factory=dict)  # producer -> its transaction's

    def learn(self, entry: _Entry) -> None:
        """Read one more."""
        if entry.commits is None:
            plain = entry.producer_id == NO_PRODUCER
            into = self.committed if plain else self.pending.setdefault(entry.producer_id, {})
            into.update((key, (entry.at, committed)) for key, committed in entry.offsets.items())
            return
        held = self.pending.pop(entry.producer_id, {})
        if entry.commits:
            self.committed.update(
                (key, laid) for key, laid in held.items() if laid[0] > self.committed.get(key, (-1, NOTHING))[0]
            )


class _Log:
    """One partition of the topic, and what its coordinator remembers of it."""

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        self.entries: list[_Entry] = []
        self.whole = self.remembered = _Memory()

    def write(self, batch: Batch, offsets: Mapping[Key, Committed]) -> None:
        """Lay it down for good, and remember it."""
        laid = self.partition.append_everywhere(batch)
        entry = _Entry(laid.base_offset, laid.producer_id, offsets, laid.marker)
        self.entries.append(entry)
        self.whole.learn(entry)
        if self.remembered is not self.whole:
            self.remembered.learn(entry)

    def read(self, entries: int | None) -> None:
        """Remember all of it, or only so many entries from the beginning."""
        self.remembered = self.whole
        if entries is not None:
            self.remembered = _Memory()
            for entry in self.entries[:entries]:
                self.remembered.learn(entry)


class CommittedOffsets:
    """Of all groups of the cluster; `partitions` are those of the topic."""

    def __init__(
        self,
        surroundings: Surroundings,
        partitions: Sequence[Partition],
        topic_id: Callable[[str], UUID],
        is_served: Callable[[str], bool],
    ) -> None:
        self.is_served = is_served
        self._topic_id = topic_id
        self.max_metadata_bytes = MAX_METADATA_BYTES
        self._surroundings = surroundings
        self._logs = [_Log(partition) for partition in partitions]

    def load(self, number: int) -> None:
        """A coordinator has read this partition."""
        around, log = self._surroundings, self._logs[number]
        if log.entries and around.reverted_share and around.rng.random() < around.reverted_share:
            around.counts["coordinator reverted"] += 1
            log.read(around.rng.randrange(len(log.entries)))
        else:
            log.read(None)

    def commit(self, group: str, offsets: Mapping[Place, Committed]) -> dict[Place, Error]:
        """Commit at once."""
        return self._write(group, offsets, NO_PRODUCER, _NO_EPOCH)

    def hold(self, group: str, producer_id: int, epoch: int, offsets: Mapping[Place, Committed]) -> dict[Place, Error]:
        """Commit when the producer's transaction does."""
        return self._write(group, offsets, producer_id, epoch)

    def decide(self, group: str, producer_id: int, epoch: int, *, commit: bool) -> None:
        """The producer's transaction is decided."""
        now = self._surroundings.now_ms()
        end = marker(producer_id, epoch, commit=commit, coordinator_epoch=_COORDINATOR_EPOCH, now=now)
        self._of(group).write(end, {})

    def fetch(self, group: str, place: Place, *, stable: bool) -> tuple[Error, Committed]:
        """What the coordinator remembers; if `stable`, not while a transaction that would change it is undecided."""
        key, memory = (group, *place), self._of(group).remembered
        if stable and any(key in held for held in memory.pending.values()):
            return Error.UNSTABLE_OFFSET_COMMIT, NOTHING
        return Error.NONE, memory.committed.get(key, (-1, NOTHING))[1]

    def truth(self, group: str, place: Place) -> Committed:
        """What is committed, as the log has it."""
        return self._of(group).whole.committed.get((group, *place), (-1, NOTHING))[1]

    def places(self, group: str) -> list[Place]:
        """Where the group has committed anything that its coordinator remembers."""
        return sorted((topic, number) for of, topic, number in self._of(group).remembered.committed if of == group)

    def keep_group(self, group: str, kept: bytes) -> None:
        """What a successor needs of its members lies in the same log."""
        partition = self._of(group).partition
        if partition.leader != NO_LEADER:
            now = self._surroundings.now_ms()
            partition.append_everywhere(written([Record(group_key(group), kept)], now=now))

    def _write(
        self, group: str, offsets: Mapping[Place, Committed], producer_id: int, epoch: int
    ) -> dict[Place, Error]:
        now, plain = self._surroundings.now_ms(), producer_id == NO_PRODUCER
        fit = {
            (group, *place): committed
            for place, committed in offsets.items()
            if len(committed.metadata.encode()) <= self.max_metadata_bytes
        }
        if fit:
            records = []
            for key, committed in fit.items():
                topic_id = self._topic_id(key[1]) if plain else None
                value = offset_value(committed.offset, committed.metadata, now, topic_id)
                records.append(Record(offset_key(*key), value))
            sequence = _NO_SEQUENCE if plain else _FIRST_SEQUENCE
            batch = written(records, producer_id=producer_id, epoch=epoch, sequence=sequence, now=now)
            self._of(group).write(batch, fit)
        return {place: Error.NONE if (group, *place) in fit else Error.OFFSET_METADATA_TOO_LARGE for place in offsets}

    def _of(self, group: str) -> _Log:
        return self._logs[partition_of(group, len(self._logs))]
