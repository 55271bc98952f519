"""Answers about the cluster: versions, metadata, coordinators, settings, new topics.

Knows the layouts of these requests. Must not know logs, groups or transactions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from tests.simulation.broker.api import VERSIONS, Header
from tests.simulation.broker.cluster_state import CLUSTER_ID, ClusterState, Topic
from tests.simulation.broker.coordinators import Kind
from tests.simulation.broker.errors import Error
from tests.simulation.broker.node import Answer, Node
from tests.simulation.broker.partition import NO_LEADER

_FLEXIBLE_METADATA = 12
_NOT_ASKED = -(1 << 31)
_EVERYTHING = (1 << 16) - 8  # all operations, as a bit field
_TOPIC = 2
_DYNAMIC_TOPIC_CONFIG, _DEFAULT_CONFIG = 1, 5
_TAGS: dict[int, bytes] = {}


def api_versions(_state: ClusterState, _node: Node, _header: Header, _request: Any, answer: Answer) -> None:
    """What is spoken here."""
    answer((Error.NONE, VERSIONS))


def metadata(state: ClusterState, node: Node, header: Header, request: Any, answer: Answer) -> None:
    """Nodes that run, and the topics that were asked about."""
    if header.version < _FLEXIBLE_METADATA:
        answer(_plain_metadata(state, node, request))
    else:
        answer(_flexible_metadata(state, node, request))


def refuse_metadata(request: Any, error: Error) -> Sequence[Any]:
    """The same error for every topic; no node is named."""
    if hasattr(request, "include_authorized_operations"):
        topics = [(error, name, UUID(int=0), False, [], _NOT_ASKED, _TAGS) for _, name, _ in request.topics or ()]
        return 0, [], CLUSTER_ID, NO_LEADER, topics, _TAGS
    return 0, [], CLUSTER_ID, NO_LEADER, [(error, name, False, []) for name in request.topics or ()]


def _controller(state: ClusterState) -> int:
    return next(iter(state.alive()), NO_LEADER)


def _plain_metadata(state: ClusterState, node: Node, request: Any) -> Sequence[Any]:
    brokers = [(each.node_id, each.host, each.port, None) for each in state.nodes.values() if each.alive]
    topics = []
    for name in request.topics if request.topics is not None else list(state.topics):
        topic = state.topics.get(name)
        if topic is None:
            topics.append((Error.UNKNOWN_TOPIC_OR_PARTITION, name, False, []))
            continue
        offline = _offline(state, topic)
        isr = [replica for replica in topic.replicas if replica not in offline]
        rows = [
            (_led(leader), number, leader, topic.replicas, isr, offline)
            for number, leader in enumerate(each.leader_known_to(node.node_id) for each in topic.partitions)
        ]
        topics.append((Error.NONE, name, topic.is_internal, rows))
    return 0, brokers, CLUSTER_ID, _controller(state), topics


def _flexible_metadata(state: ClusterState, node: Node, request: Any) -> Sequence[Any]:
    brokers = [(each.node_id, each.host, each.port, None, _TAGS) for each in state.nodes.values() if each.alive]
    allowed = _EVERYTHING if request.include_authorized_operations else _NOT_ASKED
    asked = [name for _, name, _ in request.topics] if request.topics is not None else list(state.topics)
    topics = []
    for name in asked:
        topic = state.topics.get(name)
        if topic is None:
            missing = Error.UNKNOWN_TOPIC_OR_PARTITION
            topics.append((missing, name, UUID(int=0), False, [], allowed, _TAGS))
            continue
        offline = _offline(state, topic)
        isr = [replica for replica in topic.replicas if replica not in offline]
        rows = []
        for each in topic.partitions:
            leader = each.leader_known_to(node.node_id)
            rows.append((_led(leader), each.number, leader, each.leader_epoch, topic.replicas, isr, offline, _TAGS))
        topics.append((Error.NONE, name, topic.topic_id, topic.is_internal, rows, allowed, _TAGS))
    return 0, brokers, CLUSTER_ID, _controller(state), topics, _TAGS


def _offline(state: ClusterState, topic: Topic) -> list[int]:
    return [replica for replica in topic.replicas if not state.nodes[replica].alive]


def _led(leader: int) -> Error:
    return Error.LEADER_NOT_AVAILABLE if leader == NO_LEADER else Error.NONE


def find_coordinator(state: ClusterState, _node: Node, _header: Header, request: Any, answer: Answer) -> None:
    """The node that coordinates a group or a transactional id."""
    node_id = state.coordinators.find(Kind(request.coordinator_type), request.coordinator_key)
    if node_id == NO_LEADER:
        answer(refuse_find_coordinator(request, Error.COORDINATOR_NOT_AVAILABLE))
        return
    node = state.nodes[node_id]
    answer((0, Error.NONE, "NONE", node.node_id, node.host, node.port))


def refuse_find_coordinator(_request: Any, error: Error) -> Sequence[Any]:
    """No node."""
    return 0, error, error.name, NO_LEADER, "", -1


def describe_configs(state: ClusterState, _node: Node, _header: Header, request: Any, answer: Answer) -> None:
    """Settings of topics and brokers."""
    resources = []
    for kind, name, wanted in request.resources:
        topic = state.topics.get(name)
        if kind == _TOPIC and topic is None:
            resources.append((Error.UNKNOWN_TOPIC_OR_PARTITION, "no such topic", kind, name, []))
            continue
        config = topic.config if kind == _TOPIC and topic is not None else state.broker_config
        source = _DYNAMIC_TOPIC_CONFIG if kind == _TOPIC else _DEFAULT_CONFIG
        entries = [
            (setting, value, False, source, False, [])
            for setting, value in config.items()
            if wanted is None or setting in wanted
        ]
        resources.append((Error.NONE, None, kind, name, entries))
    answer((0, resources))


def refuse_describe_configs(request: Any, error: Error) -> Sequence[Any]:
    """The same error for every resource."""
    return 0, [(error, error.name, kind, name, []) for kind, name, _ in request.resources]


def create_topics(state: ClusterState, _node: Node, _header: Header, request: Any, answer: Answer) -> None:
    """New topics."""
    errors = []
    for name, partitions, _replication, _assignment, config in request.create_topic_requests:
        if name in state.topics:
            errors.append((name, Error.TOPIC_ALREADY_EXISTS, "it exists"))
        else:
            state.create_topic(name, partitions, dict(config))
            errors.append((name, Error.NONE, None))
    answer((0, errors))


def refuse_create_topics(request: Any, error: Error) -> Sequence[Any]:
    """The same error for every topic."""
    return 0, [(name, error, error.name) for name, *_ in request.create_topic_requests]
