"""What each lane of the running processes is doing, and which lanes nobody has.

Knows what processes, group and logs say of a lane. Must not know whose fault it is, or how it is shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from aiokafka.client import AIOKafkaClient
from aiokafka.structs import TopicPartition

from gateway.kafka.cluster import LATEST, TopicMissingError, describe, list_offsets
from gateway.kafka.group import Member
from gateway.kafka.names import TopicNames
from gateway.kafka.offsets_log import Committed, OffsetsLog
from gateway.oncall import times
from gateway.oncall.processes import Fleet, LaneSeen, Process, Status


@dataclass(frozen=True, slots=True)
class Lane:
    """One lane in one process, or one that no process which answered has. Times in ms; what is not known is None."""

    name: str  # topic:partition
    owner: str | None  # the process's instance, else the group's name of the member; None: nobody
    process: Process | None  # where it was asked
    seen: LaneSeen | None
    watermark: int | None  # of the process, else what is committed
    lag: int | None  # offsets from there to the end of the partition
    oldest_ms: int | None  # age of the oldest unsettled record
    committed_ms: int | None  # since the last commit by this process
    breaker_open: bool | None

    @property
    def state(self) -> str:
        """In a word."""
        if self.owner is None:
            return "nobody's"
        if self.seen is None:
            return "not asked"
        words = {"opening": self.seen.opening, "stopped": self.seen.stopped, "closing": self.seen.closing}
        words["no registry"] = self.seen.awaits_registry
        return next((word for word, is_so in words.items() if is_so), "open")


@dataclass(frozen=True, slots=True)
class Picture:
    """All lanes at one moment (ms)."""

    at: int
    fleet: Fleet
    lanes: tuple[Lane, ...]

    @property
    def unowned(self) -> tuple[Lane, ...]:
        """Lanes that nobody has."""
        return tuple(lane for lane in self.lanes if lane.owner is None)


async def look(client: AIOKafkaClient, names: TopicNames, offsets: OffsetsLog, fleet: Fleet) -> Picture:
    """Every lane of the input topics. `offsets` are the group's. Raises KafkaUnavailableError or TopicMissingError."""
    topics = (names.payments, names.scores, names.replays)
    cluster = await describe(client, topics)
    if missing := set(topics) - set(cluster.topics):
        raise TopicMissingError(missing)
    partitions = [partition for topic in topics for partition in cluster.topics[topic].partitions]
    ends = await list_offsets(client, dict.fromkeys(partitions, LATEST))
    committed = await offsets.read(partitions, decided=False)
    members = fleet.group.owners() if fleet.group else {}
    now = times.now_ms()
    lanes = [
        lane
        for partition in partitions
        for lane in _lanes(partition, fleet, members, ends[partition], _offset(committed[partition]), now)
    ]
    return Picture(now, fleet, tuple(lanes))


def _lanes(
    partition: TopicPartition,
    fleet: Fleet,
    members: Mapping[TopicPartition, Member],
    end: int,
    committed: int | None,
    now: int,
) -> Iterator[Lane]:
    """One for each process that says it has it; two may, for a moment, while it moves."""
    name = f"{partition.topic}:{partition.partition}"
    claims = [(process, status) for process, status in fleet.answering if name in status.lanes]
    for process, status in claims:
        yield _claimed(name, process, status, end, committed, now)
    if not claims:
        member = members.get(partition)
        lag = None if committed is None else max(0, end - committed)
        yield Lane(name, member.name if member else None, None, None, committed, lag, None, None, None)


def _claimed(name: str, process: Process, status: Status, end: int, committed: int | None, now: int) -> Lane:
    seen = status.lanes[name]
    watermark = committed if seen.watermark is None else seen.watermark
    return Lane(
        name=name,
        owner=process.name,
        process=process,
        seen=seen,
        watermark=watermark,
        lag=None if watermark is None else max(0, end - watermark),
        oldest_ms=_since(seen.oldest_at, now),
        committed_ms=_since(seen.committed_at, now),
        breaker_open=status.genie.breaker_open,
    )


def _since(moment: int | None, now: int) -> int | None:
    return None if moment is None else max(0, now - moment)


def _offset(committed: Committed | None) -> int | None:
    return None if committed is None else committed.offset
