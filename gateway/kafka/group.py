"""The consumer group as its coordinator sees it: who its members are, where they are, which lanes each has.

Knows DescribeGroups and ListGroups. Must not know what a member does with its lanes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.protocol.admin import ListGroupsRequest
from aiokafka.structs import TopicPartition

from gateway.kafka.cluster import describe_once
from gateway.kafka.connection import KAFKA_CALL_TIMEOUT_S, retried
from gateway.kafka.requests import GroupRequest
from gateway.kafka.troubles import raise_for

_UUID_PART = 37  # what a member's id has behind its name
DEAD = "Dead"
_IDLE = frozenset({"Empty", DEAD, ""})
_GROUP_ID_NOT_FOUND = 69  # a group without members and offsets, in newer brokers


class GroupInUseError(Exception):
    """The group has live members, so its offsets are theirs."""

    def __init__(self, group: str, state: str) -> None:
        super().__init__(
            f"group {group} is in state {state}: stop every gateway of this group first. (One that has just ended "
            "counts as a member until kafka.session_timeout_ms is over.)"
        )


@dataclass(frozen=True, slots=True)
class Member:
    """One process in the group; `host` is where the brokers see it come from."""

    member_id: str
    host: str
    lanes: frozenset[TopicPartition]

    @property
    def name(self) -> str:
        """Its group.instance.id, else its client id."""
        return self.member_id[:-_UUID_PART] or self.member_id


@dataclass(frozen=True, slots=True)
class Group:
    """The group; its state is the coordinator's word: Stable, Empty, PreparingRebalance, ..."""

    name: str
    state: str
    members: tuple[Member, ...]

    @property
    def is_there(self) -> bool:
        """Whether Kafka knows it: it has members, or offsets that it committed once."""
        return self.state != DEAD

    def owners(self) -> dict[TopicPartition, Member]:
        """Lane -> who has it; while the group rebalances nobody has any."""
        return {lane: member for member in self.members for lane in member.lanes}


async def describe_group(client: AIOKafkaClient, group: str) -> Group:
    """Who is in it; raises KafkaUnavailableError."""

    async def attempt() -> Group:
        answer: Any = await client.send(await ask_for_coordinator(client, group), GroupRequest(group))
        for code, _, state, _, _, members, _ in answer.groups:
            if code == _GROUP_ID_NOT_FOUND:
                break
            raise_for(code)
            return Group(group, state, tuple(sorted(map(_member, members), key=lambda member: member.member_id)))
        return Group(group, DEAD, ())

    return await retried(KAFKA_CALL_TIMEOUT_S, f"asking who is in group {group}", attempt)


async def refuse_live_group(client: AIOKafkaClient, group: str) -> None:
    """Raise GroupInUseError if the group has members; KafkaUnavailableError."""
    state = (await describe_group(client, group)).state
    if state not in _IDLE:
        raise GroupInUseError(group, state)


async def list_groups(client: AIOKafkaClient) -> tuple[str, ...]:
    """The names of all groups that this login may see; raises KafkaUnavailableError."""

    async def attempt() -> tuple[str, ...]:
        names: set[str] = set()
        for broker in (await describe_once(client, [])).brokers:  # each knows those that it coordinates
            answer: Any = await client.send(broker, ListGroupsRequest())
            raise_for(answer.error_code)
            names.update(group for group, *_ in answer.groups)
        return tuple(sorted(names))

    return await retried(KAFKA_CALL_TIMEOUT_S, "asking which groups there are", attempt)


async def ask_for_coordinator(client: AIOKafkaClient, group: str) -> int:
    """Which broker knows this group; the first time this makes the topic in which offsets are kept."""
    node: int = await client.coordinator_lookup(CoordinationType.GROUP, group)
    return node


def _member(row: Any) -> Member:
    member_id, _client_id, host, _metadata, assignment = row
    return Member(member_id, host.lstrip("/"), _lanes(assignment))


def _lanes(assignment: bytes) -> frozenset[TopicPartition]:
    """None, of a member that has none yet or is no consumer of ours."""
    if not assignment:
        return frozenset()
    try:
        return frozenset(ConsumerProtocolMemberAssignment.decode(assignment).partitions())
    except Exception:  # whatever another program put there
        return frozenset()
