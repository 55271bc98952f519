"""Where lanes start: the offset and metadata of each input partition, written on purpose while no gateway runs.

Knows which lanes have a committed offset and which would be rewound, and the order that makes it safe: every older
owner of the lanes is fenced first, so that none can settle anything afterwards; then it is found out where they start,
which may take long; and what was found is committed by the very producers that fenced, so that a gateway that took
over in between is not overwritten, whether it still runs or not. Must not know what a lane does from there, or how
lost offsets are found again (lane_recovery.py).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from aiokafka.client import AIOKafkaClient
from aiokafka.structs import TopicPartition

from gateway.core.metadata import CommitMetadata, NotOurMetadataError
from gateway.kafka.cluster import LATEST, NO_OFFSET, TopicMissingError, describe, list_offsets
from gateway.kafka.connection import KafkaConnection, KafkaUnavailableError
from gateway.kafka.group import refuse_live_group
from gateway.kafka.names import TopicNames
from gateway.kafka.offsets_log import Committed, read_offsets
from gateway.kafka.opening import LaneName
from gateway.kafka.transactions import Doubtful, Fenced, LaneProducer


class Started(StrEnum):
    """What became of a lane's start."""

    SET = "set"  # it had none
    KEPT = "kept"  # it has one of ours
    REPLACED = "replaced"  # by force
    LEFT = "left"  # it has none, and it is not known where it starts


@dataclass(frozen=True, slots=True)
class Start:
    """Where a lane is to go on, with what is settled and may have been sent beyond that offset."""

    offset: int
    metadata: CommitMetadata = field(default_factory=CommitMetadata)
    gone: int = 0  # offsets that have left the log unsettled
    unrecorded: int = 0  # offsets far before it of which it is not known that they are settled
    ignored: int = 0  # traces of an earlier log of the topic


@dataclass(frozen=True, slots=True)
class LaneStart:
    """Where a lane starts from now on."""

    topic: str
    partition: int
    offset: int | None
    started: Started
    before: int | None = None  # the offset that was replaced
    settled_beyond: int = 0
    live_intents: int = 0
    gone: int = 0
    unrecorded: int = 0
    ignored: int = 0


# Finds where these lanes start; a lane that it leaves out is left as it is.
Find = Callable[[AIOKafkaClient, list[TopicPartition]], Awaitable[Mapping[TopicPartition, Start]]]
# Writes down that the starts of these lanes are about to be set; if it raises, none is.
Note = Callable[[Collection[TopicPartition]], Awaitable[None]]


class ForeignOffsetsError(Exception):
    """Offsets of the group were not written by a gateway; nothing was changed."""

    def __init__(self, group: str, lanes: list[TopicPartition]) -> None:
        places = ", ".join(map(lane_name, lanes))
        super().__init__(
            f"group {group}: the offsets of {places} were not committed by a gateway. Find out what wrote them; "
            "then use --from ledger --force --reason ... --ticket ..., with --lane for each of them. (Any other start "
            "loses or repeats records.)"
        )


class LaneTakenError(Exception):
    """A gateway took a lane over before its start was committed; this lane was left as the gateway left it."""

    def __init__(self, lane: TopicPartition, done: Collection[TopicPartition]) -> None:
        so_far = f" What is set already: {', '.join(map(lane_name, done))}." if done else ""
        super().__init__(
            f"lane {lane_name(lane)}: a gateway took it over meanwhile, so what was found is out of date; its offset "
            f"was left as it is.{so_far} Stop every gateway of the group, then run this again."
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
    start: int | Find,
    *,
    force: bool,
    only: Collection[str] = (),
    dry_run: bool = False,
    note: Note | None = None,
) -> list[LaneStart]:
    """Give every lane without an offset one: EARLIEST, LATEST, the first at or after a time in ms, or as found.

    A lane that has one keeps it, unless forced. `only` names lanes (topic:partition); none means all. `dry_run`
    fences nobody and commits nothing. `note` hears what is about to be set, if anything is. Raises GroupInUseError,
    ForeignOffsetsError, LaneTakenError, NoSuchLaneError, TopicMissingError, KafkaUnavailableError.
    """
    find = _at(start) if isinstance(start, int) else start
    async with connection.client() as client:
        lanes = _chosen(await _lanes(client, names), only)
        before = await read_offsets(client, group, lanes)
        foreign = [lane for lane, committed in before.items() if committed and not _is_ours(committed)]
        if foreign and not force:
            raise ForeignOffsetsError(group, foreign)
        wanted = [lane for lane in lanes if force or before[lane] is None]
        starts: Mapping[TopicPartition, Start] = {}
        if wanted:
            await refuse_live_group(client, group)
            async with _fenced(connection, group, [] if dry_run else wanted) as producers:
                # The last of an older owner may count only now.
                before |= await read_offsets(client, group, producers) if producers else {}
                wanted = [lane for lane in wanted if force or before[lane] is None]
                starts = await find(client, wanted) if wanted else {}
                if starts and not dry_run:
                    if note is not None:
                        await note(starts.keys())
                    await _commit(producers, starts)
    return [_outcome(lane, before[lane], starts.get(lane)) for lane in lanes]


def lane_name(lane: TopicPartition) -> str:
    """As lanes are called everywhere."""
    return f"{lane.topic}:{lane.partition}"


async def _lanes(client: AIOKafkaClient, names: TopicNames) -> list[TopicPartition]:
    topics = (names.payments, names.scores, names.replays)
    cluster = await describe(client, topics)
    if missing := set(topics) - set(cluster.topics):
        raise TopicMissingError(missing)
    return [lane for topic in topics for lane in cluster.topics[topic].partitions]


def _chosen(lanes: list[TopicPartition], only: Collection[str]) -> list[TopicPartition]:
    if unknown := set(only) - set(map(lane_name, lanes)):
        raise NoSuchLaneError(unknown, dict.fromkeys(lane.topic for lane in lanes))
    return [lane for lane in lanes if not only or lane_name(lane) in only]


def _at(time: int) -> Find:
    """At EARLIEST, LATEST, or the first offset at or after a time in ms: else at the end."""

    async def find(client: AIOKafkaClient, lanes: list[TopicPartition]) -> dict[TopicPartition, Start]:
        found = await list_offsets(client, dict.fromkeys(lanes, time))
        beyond = [lane for lane, offset in found.items() if offset == NO_OFFSET]
        ends = await list_offsets(client, dict.fromkeys(beyond, LATEST)) if beyond else {}
        return {lane: Start(offset) for lane, offset in {**found, **ends}.items()}

    return find


@asynccontextmanager
async def _fenced(
    connection: KafkaConnection, group: str, lanes: Iterable[TopicPartition]
) -> AsyncIterator[Mapping[TopicPartition, LaneProducer]]:
    """The lanes taken over: older owners can write nothing more, and their last transaction is ended."""
    producers: dict[TopicPartition, LaneProducer] = {}
    try:
        for lane in lanes:
            name = LaneName(group, lane.topic, lane.partition)
            producers[lane] = LaneProducer(connection, name.transactional_id, group)
            try:
                await producers[lane].take_over()
            except Doubtful as doubt:
                raise KafkaUnavailableError(f"taking over lane {name}", str(doubt)) from doubt
        yield producers
    finally:
        for producer in producers.values():
            await producer.drop()


async def _commit(producers: Mapping[TopicPartition, LaneProducer], starts: Mapping[TopicPartition, Start]) -> None:
    done: list[TopicPartition] = []
    for lane, start in starts.items():
        metadata = start.metadata.encode(start.offset)
        try:
            await producers[lane].begin_and_produce([])
            await producers[lane].commit(lane.topic, lane.partition, start.offset, metadata)
        except Fenced:
            raise LaneTakenError(lane, done) from None
        except Doubtful as doubt:
            raise KafkaUnavailableError(f"setting the offset of lane {lane_name(lane)}", str(doubt)) from doubt
        done.append(lane)


def _is_ours(committed: Committed) -> bool:
    try:
        CommitMetadata.decode(committed.metadata, committed.offset)
    except NotOurMetadataError:
        return False
    return True


def _outcome(lane: TopicPartition, before: Committed | None, start: Start | None) -> LaneStart:
    if start is None:
        kept = Started.LEFT if before is None else Started.KEPT
        return LaneStart(lane.topic, lane.partition, before.offset if before else None, kept)
    return LaneStart(
        lane.topic,
        lane.partition,
        start.offset,
        Started.SET if before is None else Started.REPLACED,
        before.offset if before else None,
        len(start.metadata.settled),
        len(start.metadata.intents),
        start.gone,
        start.unrecorded,
        start.ignored,
    )
