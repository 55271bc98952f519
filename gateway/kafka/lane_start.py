"""Where new lanes start: the first offset and metadata of each input partition, written once and on purpose.

Knows which lanes have a committed offset and which would be rewound. Must not know what a lane does from there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

from aiokafka.client import AIOKafkaClient
from aiokafka.structs import TopicPartition

from gateway.core.metadata import CommitMetadata, NotOurMetadataError
from gateway.kafka.cluster import LATEST, NO_OFFSET, TopicMissingError, describe, list_offsets
from gateway.kafka.connection import KafkaConnection
from gateway.kafka.names import TopicNames
from gateway.kafka.offsets import Committed, commit_offsets, fetch_committed


class Started(StrEnum):
    """What became of a lane's start."""

    SET = "set"  # it had none
    KEPT = "kept"  # it has one of ours
    REPLACED = "replaced"  # by force


@dataclass(frozen=True, slots=True)
class LaneStart:
    """Where a lane starts from now on."""

    topic: str
    partition: int
    offset: int
    started: Started
    before: int | None  # the offset that was replaced


class ForeignOffsetsError(Exception):
    """Offsets of the group were not written by a gateway; nothing was changed."""

    def __init__(self, group: str, lanes: list[TopicPartition]) -> None:
        places = ", ".join(map(_name, lanes))
        super().__init__(
            f"group {group}: the offsets of {places} were not committed by a gateway. Find out what wrote them; "
            "to replace them, whatever is lost or provided twice by it, use --force, with --lane for each of them."
        )


class NoSuchLaneError(Exception):
    """A lane was named that is none; nothing was changed."""

    def __init__(self, named: Iterable[str], topics: Iterable[str]) -> None:
        some = ", ".join(f"{topic}:0" for topic in topics)
        super().__init__(f"no such lane: {', '.join(sorted(named))}. Lanes are called {some} and so on.")


async def start_lanes(
    connection: KafkaConnection,
    names: TopicNames,
    group: str,
    time: int,
    *,
    force: bool,
    only: Collection[str] = (),
) -> list[LaneStart]:
    """Give every lane without an offset one: EARLIEST, LATEST, or the first at or after a time in ms.

    A lane that has one keeps it, unless forced. `only` names lanes (topic:partition); none means all.
    Raises GroupInUseError, ForeignOffsetsError, NoSuchLaneError, TopicMissingError.
    """
    async with connection.client() as client:
        lanes = _chosen(await _lanes(client, names), only)
        before = {lane: await fetch_committed(client, group, lane.topic, lane.partition) for lane in lanes}
        foreign = [lane for lane, committed in before.items() if committed and not _is_ours(committed)]
        if foreign and not force:
            raise ForeignOffsetsError(group, foreign)
        wanted = [lane for lane in lanes if force or before[lane] is None]
        starts = await _starts(client, wanted, time)
        if starts:
            first = {lane: Committed(at, CommitMetadata().encode(at)) for lane, at in starts.items()}
            await commit_offsets(client, group, first)
    return [_outcome(lane, before[lane], starts.get(lane)) for lane in lanes]


async def _lanes(client: AIOKafkaClient, names: TopicNames) -> list[TopicPartition]:
    topics = (names.payments, names.scores, names.replays)
    cluster = await describe(client, topics)
    if missing := set(topics) - set(cluster.topics):
        raise TopicMissingError(missing)
    return [lane for topic in topics for lane in cluster.topics[topic].partitions]


def _chosen(lanes: list[TopicPartition], only: Collection[str]) -> list[TopicPartition]:
    if unknown := set(only) - set(map(_name, lanes)):
        raise NoSuchLaneError(unknown, dict.fromkeys(lane.topic for lane in lanes))
    return [lane for lane in lanes if not only or _name(lane) in only]


def _name(lane: TopicPartition) -> str:
    return f"{lane.topic}:{lane.partition}"


async def _starts(client: AIOKafkaClient, lanes: list[TopicPartition], time: int) -> dict[TopicPartition, int]:
    if not lanes:
        return {}
    found = await list_offsets(client, dict.fromkeys(lanes, time))
    beyond = [lane for lane, offset in found.items() if offset == NO_OFFSET]
    ends = await list_offsets(client, dict.fromkeys(beyond, LATEST)) if beyond else {}
    return {**found, **ends}


def _is_ours(committed: Committed) -> bool:
    try:
        CommitMetadata.decode(committed.metadata, committed.offset)
    except NotOurMetadataError:
        return False
    return True


def _outcome(lane: TopicPartition, before: Committed | None, start: int | None) -> LaneStart:
    if start is not None:
        started = Started.SET if before is None else Started.REPLACED
        return LaneStart(lane.topic, lane.partition, start, started, before.offset if before else None)
    if before is None:
        raise AssertionError("a lane without an offset gets one")
    return LaneStart(lane.topic, lane.partition, before.offset, Started.KEPT, None)
