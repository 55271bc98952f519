"""Asks the brokers what this login may do, without doing any of it.

Knows the requests whose answers tell, and that a broker without an authorizer allows everything.
Must not know what the operations are needed for (acls.py).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.admin import DescribeConfigsRequest

from gateway.kafka.acls import Acl, Kind
from gateway.kafka.connection import KAFKA_CALL_TIMEOUT_S, retried
from gateway.kafka.requests import GroupRequest, TopicsRequest

_PROBE = "check"  # makes a transactional id of a prefix; nothing is ever begun under it
_NOTHING, _EVERYTHING = 0, -1  # bit masks of operations
_BROKER = 4  # DescribeConfigs' kind of resource
_ANY_SETTING = "node.id"


async def lacking(client: AIOKafkaClient, acls: Iterable[Acl]) -> list[Acl]:
    """Those of the operations that are refused. A topic that does not exist refuses nothing."""
    wanted = list(acls)
    allowed = await _topics(client, sorted({acl.name for acl in wanted if acl.kind is Kind.TOPIC}))
    for acl in wanted:
        if (acl.kind, acl.name) not in allowed:
            allowed[acl.kind, acl.name] = await _asked(acl.kind, _PROBES[acl.kind], client, acl.name)
    return [acl for acl in wanted if not allowed[acl.kind, acl.name] >> acl.operation.value & 1]


async def _topics(client: AIOKafkaClient, topics: list[str]) -> dict[tuple[Kind, str], int]:
    async def attempt() -> dict[tuple[Kind, str], int]:
        answer: Any = await client.send(client.get_random_node(), TopicsRequest(topics, operations=True))
        known = {_code(TopicAuthorizationFailedError): _NOTHING, _code(UnknownTopicOrPartitionError): _EVERYTHING}
        allowed = {}
        for code, name, _, _, _, operations, _ in answer.topics:
            if code not in known:
                _raise(code)
            allowed[Kind.TOPIC, name] = known.get(code, operations)
        return allowed

    return await retried(KAFKA_CALL_TIMEOUT_S, "asking what this user may do with topics", attempt)


async def _asked(kind: Kind, probe: Callable[[AIOKafkaClient, str], Awaitable[int]], client: Any, name: str) -> int:
    async def attempt() -> int:
        try:
            return await probe(client, name)
        except _REFUSALS:
            return _NOTHING

    about = kind.name.lower().replace("_", " ")
    return await retried(KAFKA_CALL_TIMEOUT_S, f"asking what this user may do with {about} {name}", attempt)


async def _cluster(client: AIOKafkaClient, _: str) -> int:
    """DescribeCluster keeps silent to who may not Describe, so the one thing that is needed is tried."""
    broker = client.get_random_node()
    request = DescribeConfigsRequest([(_BROKER, str(broker), [_ANY_SETTING])], False)
    answer: Any = await client.send(broker, request)
    for code, *_more in answer.resources:
        _raise(code)
    return _EVERYTHING


async def _group(client: AIOKafkaClient, group: str) -> int:
    coordinator = await client.coordinator_lookup(CoordinationType.GROUP, group)
    answer: Any = await client.send(coordinator, GroupRequest(group))
    ((code, *_, operations),) = answer.groups
    _raise(code)
    return int(operations)


async def _transactional_ids(client: AIOKafkaClient, prefix: str) -> int:
    """No request tells more than whether an id may be described, which Write implies."""
    await client.coordinator_lookup(CoordinationType.TRANSACTION, f"{prefix}{_PROBE}")
    return _EVERYTHING


_PROBES = {Kind.CLUSTER: _cluster, Kind.GROUP: _group, Kind.TRANSACTIONAL_ID: _transactional_ids}
_REFUSALS = (ClusterAuthorizationFailedError, GroupAuthorizationFailedError, TransactionalIdAuthorizationFailed)


def _code(error: Any) -> int:
    return int(error.errno)


def _raise(code: int) -> None:
    if code:
        raise for_code(code)
