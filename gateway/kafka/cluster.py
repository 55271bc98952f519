"""What the brokers say about topics right now: partitions, leaders, ids, and where logs begin and end.

Knows metadata and ListOffsets. Must not know whose topics they are.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import LeaderNotAvailableError, UnknownTopicOrPartitionError
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.structs import TopicPartition

from gateway.kafka.connection import KAFKA_CALL_TIMEOUT_S, retried
from gateway.kafka.requests import TopicsRequest
from gateway.kafka.troubles import PassingError, raise_for

LATEST = -1
EARLIEST = -2
NO_OFFSET = -1  # what ListOffsets answers for a time after the last record
_ANY_TIME = 0
_NO_LEADER = -1
_READ_UNCOMMITTED, _READ_COMMITTED = 0, 1
_CONSUMER = -1  # replica id of a client


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic as the brokers see it."""

    name: str
    id: UUID
    leaders: Mapping[int, int]  # partition -> broker
    replicas: int  # of the partition that has fewest

    @property
    def partitions(self) -> tuple[TopicPartition, ...]:
        """All partitions, in order."""
        return tuple(TopicPartition(self.name, number) for number in sorted(self.leaders))


@dataclass(frozen=True, slots=True)
class Cluster:
    """The cluster's id and the topics asked about, those that exist."""

    id: str
    brokers: tuple[int, ...]
    topics: Mapping[str, Topic]


@dataclass(frozen=True, slots=True)
class LogBounds:
    """A partition's log: the first offset it holds and the one after its last."""

    start: int
    end: int


class TopicMissingError(Exception):
    """A topic does not exist."""

    def __init__(self, topics: Iterable[str]) -> None:
        self.topics = tuple(sorted(topics))
        super().__init__(f"no such topic: {', '.join(self.topics)}. Create them with `gateway topics create`.")


async def describe(client: AIOKafkaClient, topics: Iterable[str]) -> Cluster:
    """Fresh metadata of these topics; one that does not exist is left out."""
    names = sorted(topics)

    async def attempt() -> Cluster:
        return await describe_once(client, names)

    return await retried(KAFKA_CALL_TIMEOUT_S, "reading topic metadata", attempt)


async def describe_once(client: AIOKafkaClient, names: list[str]) -> Cluster:
    """One metadata request, without retry."""
    answer: Any = await client.send(client.get_random_node(), TopicsRequest(names))
    topics = {}
    for code, name, topic_id, _internal, partitions, *_more in answer.topics:
        if code == UnknownTopicOrPartitionError.errno:
            continue
        raise_for(code)
        leaders = {}
        for _code, number, leader, _epoch, replicas, *_rest in partitions:
            if leader == _NO_LEADER:
                raise LeaderNotAvailableError
            leaders[number] = (leader, len(replicas))
        topics[name] = Topic(
            name,
            topic_id,
            {number: leader for number, (leader, _) in leaders.items()},
            min((count for _, count in leaders.values()), default=0),
        )
    return Cluster(answer.cluster_id or "", tuple(broker[0] for broker in answer.brokers), topics)


async def log_bounds(client: AIOKafkaClient, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, LogBounds]:
    """Where these logs begin and end now, open transactions included."""
    wanted = list(partitions)
    starts = await list_offsets(client, dict.fromkeys(wanted, EARLIEST))
    ends = await list_offsets(client, dict.fromkeys(wanted, LATEST))
    return {partition: LogBounds(starts[partition], ends[partition]) for partition in wanted}


async def list_offsets(client: AIOKafkaClient, times: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
    """For each partition the first offset at or after a time in ms, or at EARLIEST or LATEST; else NO_OFFSET."""
    return {partition: offset for partition, (offset, _) in (await _listed(client, times)).items()}


async def began_at(client: AIOKafkaClient, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
    """When the first record of each log was appended, ms; a log that holds none is left out."""
    listed = await _listed(client, dict.fromkeys(partitions, _ANY_TIME))
    return {partition: time for partition, (offset, time) in listed.items() if offset != NO_OFFSET}


async def _listed(client: AIOKafkaClient, times: Mapping[TopicPartition, int]) -> dict[TopicPartition, tuple[int, int]]:
    names = {partition.topic for partition in times}

    async def attempt() -> dict[TopicPartition, tuple[int, int]]:
        cluster = await describe_once(client, sorted(names))
        if missing := names - set(cluster.topics):
            raise TopicMissingError(missing)
        return await _listed_once(client, cluster, times)

    return await retried(KAFKA_CALL_TIMEOUT_S, "reading log offsets", attempt)


async def list_offsets_once(
    client: AIOKafkaClient, cluster: Cluster, times: Mapping[TopicPartition, int], *, committed: bool = False
) -> dict[TopicPartition, int]:
    """One ListOffsets request to each leader, without retry; for LATEST where readers of this kind are at the end."""
    listed = await _listed_once(client, cluster, times, _READ_COMMITTED if committed else _READ_UNCOMMITTED)
    return {partition: offset for partition, (offset, _) in listed.items()}


async def _listed_once(
    client: AIOKafkaClient,
    cluster: Cluster,
    times: Mapping[TopicPartition, int],
    isolation: int = _READ_UNCOMMITTED,
) -> dict[TopicPartition, tuple[int, int]]:
    """For each partition the offset, and the time of the record there if a time was asked for."""
    by_leader: dict[int, dict[str, list[tuple[int, int]]]] = defaultdict(lambda: defaultdict(list))
    for partition, time in times.items():
        leader = cluster.topics[partition.topic].leaders.get(partition.partition)
        if leader is None:
            raise UnknownTopicOrPartitionError
        by_leader[leader][partition.topic].append((partition.partition, time))
    answers = await asyncio.gather(
        *(
            client.send(leader, OffsetRequest(_CONSUMER, isolation, list(topics.items())))
            for leader, topics in by_leader.items()
        )
    )
    found = {}
    for answer in answers:
        for topic, rows in answer.topics:
            for number, code, time, offset in rows:
                raise_for(code)
                found[TopicPartition(topic, number)] = (offset, time)
    if found.keys() != times.keys():
        raise PassingError  # an answer that leaves partitions out is no answer
    return found
