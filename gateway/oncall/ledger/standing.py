"""Where lanes stand: what they have settled, by what they committed last.

Knows the committed offset and its metadata. Must not know what follows for a record.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gateway.core.metadata import CommitMetadata, NotOurMetadataError
from gateway.kafka.cluster import describe
from gateway.kafka.group import describe_group, list_groups
from gateway.kafka.offsets import fetch_committed
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


async def standing(desk: Desk, group: str, topic: str, partition: int) -> Standing:
    """Where this lane stands now. Raises KafkaUnavailableError."""
    committed = await fetch_committed(desk.client, group, topic, partition)
    if committed is None:
        return UNKNOWN
    try:
        metadata = CommitMetadata.decode(committed.metadata, committed.offset)
    except NotOurMetadataError:
        return UNKNOWN
    return Standing(committed.offset, frozenset(metadata.settled))


async def stand(desk: Desk, group: str, topics: Iterable[str]) -> Mapping[str, Standing]:
    """The same of every lane of these topics, by its name."""
    cluster = await describe(desk.client, topics)
    return {
        f"{partition.topic}:{partition.partition}": await standing(desk, group, *partition)
        for topic in cluster.topics.values()
        for partition in topic.partitions
    }
