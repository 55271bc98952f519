"""Committed offsets with their metadata, read so that "none" surely means none.

Knows the group coordinator. aiokafka's own committed() answers None while a coordinator moves, which would
seek a lane to the wrong place; so the request is ours and each error code is read.
Must not know what the metadata says or what a lane does with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.protocol.admin import DescribeGroupsRequest
from aiokafka.structs import TopicPartition

from gateway.kafka.connection import KAFKA_CALL_TIMEOUT_S, retried
from gateway.kafka.requests import StableOffsetsRequest
from gateway.kafka.troubles import PassingError, raise_for

_NONE = -1  # the broker's word for: no offset is committed
GROUP_ID_NOT_FOUND = 69  # a group without members and offsets, in newer brokers
_IDLE = {"Empty", "Dead", ""}


@dataclass(frozen=True, slots=True)
class Committed:
    """What the group has committed for a partition."""

    offset: int
    metadata: str


class GroupInUseError(Exception):
    """The group has live members, so its offsets are theirs."""

    def __init__(self, group: str, state: str) -> None:
        super().__init__(
            f"group {group} is in state {state}: stop every gateway of this group first. (One that has just ended "
            "counts as a member until kafka.session_timeout_ms is over.)"
        )


async def fetch_committed(client: AIOKafkaClient, group: str, topic: str, partition: int) -> Committed | None:
    """The committed offset and metadata; None only when the coordinator says that there is none.

    Raises KafkaUnavailableError when it gives no clear answer within the bound.
    """

    place = TopicPartition(topic, partition)
    return (await fetch_all(client, group, [place]))[place]


async def fetch_all(
    client: AIOKafkaClient,
    group: str,
    places: Iterable[TopicPartition],
    *,
    stable: bool = True,
) -> dict[TopicPartition, Committed | None]:
    """What is committed for each, by one answer: they are of one moment. Raises as `fetch_committed`."""
    wanted = list(places)
    asked = [(place.topic, [place.partition]) for place in wanted]

    async def attempt() -> dict[TopicPartition, Committed | None]:
        answer = await ask_coordinator(client, group, StableOffsetsRequest(group, asked, stable=stable))
        return {place: committed_in(answer, *place) for place in wanted}

    what = f"reading the committed offset of {wanted[0].topic}:{wanted[0].partition}"
    return await retried(KAFKA_CALL_TIMEOUT_S, what, attempt)


def committed_in(answer: Any, topic: str, partition: int) -> Committed | None:
    """What one OffsetFetch answer says of a partition; raises the broker's error."""
    raise_for(answer.error_code)
    for name, partitions, _ in answer.topics:
        for number, offset, _, metadata, code, _ in partitions:
            if (name, number) == (topic, partition):
                raise_for(code)
                return None if offset == _NONE else Committed(offset, metadata or "")
    raise PassingError  # an answer that leaves the partition out does not say "none"


async def refuse_live_group(client: AIOKafkaClient, group: str) -> None:
    """Raise GroupInUseError if the group has members."""

    async def attempt() -> None:
        answer = await ask_coordinator(client, group, DescribeGroupsRequest([group]))
        for code, _, state, *_ in answer.groups:
            if code == GROUP_ID_NOT_FOUND:
                return
            raise_for(code)
            if state not in _IDLE:
                raise GroupInUseError(group, state)

    await retried(KAFKA_CALL_TIMEOUT_S, f"asking whether group {group} has members", attempt)


async def ask_coordinator(client: AIOKafkaClient, group: str, request: object) -> Any:
    """The answer of the broker that knows this group, to one request."""
    return await client.send(await ask_for_coordinator(client, group), request)


async def ask_for_coordinator(client: AIOKafkaClient, group: str) -> int:
    """Which broker knows this group; the first time this makes the topic in which offsets are kept."""
    node: int = await client.coordinator_lookup(CoordinationType.GROUP, group)
    return node
