"""Where lanes stand: what they have settled, by what they committed last.

Knows the committed offset and its metadata. Must not know what follows for a record.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from aiokafka.structs import TopicPartition

from gateway.core.metadata import CommitMetadata, NotOurMetadataError
from gateway.kafka.cluster import describe
from gateway.kafka.group import describe_group, list_groups
from gateway.kafka.offsets_log import Committed, read_offsets
from gateway.oncall.desk import Desk
from gateway.oncall.groups import missing


@dataclass(frozen=True, slots=True)
class Standing:
    """What one lane has settled; nothing is known of one whose offset is not there, or no gateway's."""

    watermark: int | None = None
    beyond: frozenset[int] = frozenset()

    def has_settled(self, offset: int) -> bool:
        """Whether the lane has passed this offset, if it is known where it stands."""
        return self.watermark is not None and (offset < self.watermark or offset in self.beyond)


UNKNOWN = Standing()


class NoSuchGroupError(Exception):
    """Nobody knows where its lanes stand; the text says which groups there are."""


async def refuse_unknown(desk: Desk, group: str) -> None:
    """Raise NoSuchGroupError if Kafka has no such group: what its lanes had settled would never be missed then."""
    if (await describe_group(desk.client, group)).is_there:
        return
    so = "what its lanes have settled is not known"
    raise NoSuchGroupError(missing(group, await list_groups(desk.client), so))


async def standings(desk: Desk, group: str, lanes: Collection[TopicPartition]) -> dict[TopicPartition, Standing]:
    """Where these lanes stand now. Raises KafkaUnavailableError."""
    committed = await read_offsets(desk.client, group, lanes)
    return {lane: _standing(committed[lane]) for lane in lanes}


async def stand(desk: Desk, group: str, topics: Iterable[str]) -> dict[str, Standing]:
    """The same of every lane of these topics, by its name."""
    cluster = await describe(desk.client, topics)
    lanes = [lane for topic in cluster.topics.values() for lane in topic.partitions]
    found = await standings(desk, group, lanes)
    return {f"{lane.topic}:{lane.partition}": standing for lane, standing in found.items()}


def _standing(committed: Committed | None) -> Standing:
    if committed is None:
        return UNKNOWN
    try:
        metadata = CommitMetadata.decode(committed.metadata, committed.offset)
    except NotOurMetadataError:
        return UNKNOWN
    return Standing(committed.offset, frozenset(metadata.settled))
