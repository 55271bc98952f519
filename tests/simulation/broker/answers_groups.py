"""Answers to the requests of group members, and to those about a group's offsets.

Knows their layouts. Must not know how groups work.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.simulation.broker.api import Header
from tests.simulation.broker.cluster_state import ClusterState
from tests.simulation.broker.coordinators import Kind
from tests.simulation.broker.errors import Error
from tests.simulation.broker.groups import as_protocols
from tests.simulation.broker.members import Joined, Member
from tests.simulation.broker.node import Answer, Node
from tests.simulation.broker.offsets import Committed

_INSTANCE_SINCE = 3
_FLEXIBLE_OFFSETS = 7
_EVERYTHING = (1 << 16) - 8
_NOT_ASKED = -(1 << 31)
_TAGS: dict[int, bytes] = {}


def _trouble(state: ClusterState, node: Node, group: str) -> Error:
    return state.coordinators.trouble(Kind.GROUP, group, node.node_id)


def join_group(state: ClusterState, node: Node, header: Header, request: Any, answer: Answer) -> None:
    """Answered when the group has waited for everybody."""
    if error := _trouble(state, node, request.group):
        answer(refuse_join_group(request, error))
        return
    member = Member(
        request.member_id,
        request.group_instance_id,
        header.client_id,
        request.session_timeout,
        request.rebalance_timeout,
        as_protocols(request.group_protocols),
    )

    def joined(how: Joined) -> None:
        answer((0, how.error, how.generation, how.protocol, how.leader, how.member_id, how.members))

    state.groups.join(request.group, member, request.protocol_type, joined)


def refuse_join_group(request: Any, error: Error) -> Sequence[Any]:
    """No generation."""
    return 0, error, -1, "", "", request.member_id, []


def sync_group(state: ClusterState, node: Node, _header: Header, request: Any, answer: Answer) -> None:
    """Answered when the leader has assigned."""
    if error := _trouble(state, node, request.group):
        # Members know no better word than this one for a group that is still being read.
        loading = error is Error.COORDINATOR_LOAD_IN_PROGRESS
        answer(refuse_sync_group(request, Error.REBALANCE_IN_PROGRESS if loading else error))
        return
    state.groups.sync(
        request.group,
        request.generation_id,
        request.member_id,
        request.group_instance_id,
        dict(request.group_assignment),
        lambda error, assignment: answer((0, error, assignment)),
    )


def refuse_sync_group(_request: Any, error: Error) -> Sequence[Any]:
    """No assignment."""
    return 0, error, b""


def heartbeat(state: ClusterState, node: Node, header: Header, request: Any, answer: Answer) -> None:
    """Whether the member is one, and must join again."""
    instance_id = request.group_instance_id if header.version >= _INSTANCE_SINCE else None
    generation = request[1]  # the two versions name it differently
    error = _trouble(state, node, request.group)
    if error is Error.COORDINATOR_LOAD_IN_PROGRESS:
        error = Error.NONE  # blindly, as Kafka does while it reads the group
    elif not error:
        error = state.groups.heartbeat(request.group, generation, request.member_id, instance_id)
    answer((0, error))


def leave_group(state: ClusterState, node: Node, _header: Header, request: Any, answer: Answer) -> None:
    """The member is none any more."""
    answer((0, _trouble(state, node, request.group) or state.groups.leave(request.group, request.member_id)))


def describe_groups(state: ClusterState, node: Node, _header: Header, request: Any, answer: Answer) -> None:
    """State and members."""
    allowed = _EVERYTHING if request.include_authorized_operations else _NOT_ASKED
    rows = []
    for name in request.groups:
        error, group = _trouble(state, node, name), state.groups.groups.get(name)
        if error or group is None:
            there = not error and state.offsets.places(name)
            rows.append((error, name, "Empty" if there else "Dead" if not error else "", "", "", [], allowed))
            continue
        members = [
            (each.member_id, each.client_id, "/simulated", each.metadata(group.protocol), each.assignment)
            for each in group.members.values()
        ]
        rows.append((Error.NONE, name, group.state.value, group.protocol_type, group.protocol, members, allowed))
    answer((0, rows))


def refuse_describe_groups(request: Any, error: Error) -> Sequence[Any]:
    """The same error for every group."""
    return 0, [(error, name, "", "", "", [], _NOT_ASKED) for name in request.groups]


def offset_commit(state: ClusterState, node: Node, _header: Header, request: Any, answer: Answer) -> None:
    """Commit at once."""
    group = request.consumer_group
    error = _trouble(state, node, group) or state.groups.may_commit(
        group, request.consumer_group_generation_id, request.consumer_id
    )
    if error:
        answer(refuse_offset_commit(request, error))
        return
    offsets, errors = committed_in(state, request)
    errors |= state.offsets.commit(group, offsets)
    answer((0, [(topic, [(row[0], errors[topic, row[0]]) for row in rows]) for topic, rows in request.topics]))


def committed_in(
    state: ClusterState, request: Any
) -> tuple[dict[tuple[str, int], Committed], dict[tuple[str, int], Error]]:
    """The offsets that a request commits, and those of partitions that do not exist."""
    offsets, errors = {}, {}
    for topic, rows in request.topics:
        for number, offset, metadata in rows:
            if state.partition(topic, number) is None:
                errors[topic, number] = Error.UNKNOWN_TOPIC_OR_PARTITION
            else:
                offsets[topic, number] = Committed(offset, metadata or "")
    return offsets, errors


def refuse_offset_commit(request: Any, error: Error) -> Sequence[Any]:
    """The same error for every partition."""
    return 0, [(topic, [(number, error) for number, *_ in rows]) for topic, rows in request.topics]


def offset_fetch(state: ClusterState, node: Node, header: Header, request: Any, answer: Answer) -> None:
    """What it remembers; a coordinator's trouble is told in the answer's own error, which names no partition."""
    group = request[0]
    if error := _trouble(state, node, group):
        answer(refuse_offset_fetch(request, error))
        return
    flexible = header.version >= _FLEXIBLE_OFFSETS
    asked: dict[str, list[int]] = {}
    if request.topics is None:
        for topic, number in state.offsets.places(group):
            asked.setdefault(topic, []).append(number)
    else:
        asked = {topic: numbers for topic, numbers, *_ in request.topics}
    topics: list[tuple[Any, ...]] = []
    for topic, numbers in asked.items():
        rows: list[tuple[Any, ...]] = []
        for number in numbers:
            stable = flexible and request.require_stable
            error, found = state.offsets.fetch(group, (topic, number), stable=stable)
            if flexible:
                rows.append((number, found.offset, -1, found.metadata, error, _TAGS))
            else:
                rows.append((number, found.offset, found.metadata, error))
        topics.append((topic, rows, _TAGS) if flexible else (topic, rows))
    answer((0, topics, Error.NONE, _TAGS) if flexible else (0, topics, Error.NONE))


def refuse_offset_fetch(request: Any, error: Error) -> Sequence[Any]:
    """No topics: only the answer's own error says that this is not `none`."""
    return (0, [], error, _TAGS) if hasattr(request, "require_stable") else (0, [], error)
