"""Topics and permissions as data for the chart, from what the gateway itself checks them by."""

from itertools import groupby
from typing import Any

from gateway.kafka.acls import Acl, Kind, Role, least
from gateway.kafka.names import TopicNames
from gateway.kafka.topics import REPLICATION, needs, shared_out

# templates put the values' own in their place
PREFIX, GROUP = "{prefix}", "{group}"


def topics() -> list[dict[str, Any]]:
    names = TopicNames()
    return [
        {
            "name": topic,
            "busy": topic in shared_out(names),
            "replicas": REPLICATION,
            "config": {need.setting: need.value for need in needed},
        }
        for topic, needed in needs(names, relaxed=False).items()
    ]


def acls() -> dict[str, list[dict[str, Any]]]:
    """Role -> what Strimzi calls its ACL rules; operations on the same resource share one."""
    return {role.value: _rules(least(role, TopicNames(PREFIX), GROUP)) for role in Role}


def _rules(allowed: tuple[Acl, ...]) -> list[dict[str, Any]]:
    def resource(acl: Acl) -> tuple[int, str, bool]:
        return acl.kind.value, acl.name, acl.prefixed

    return [
        {
            "type": "transactionalId" if Kind(kind) is Kind.TRANSACTIONAL_ID else Kind(kind).name.lower(),
            "name": name,
            "pattern": "prefix" if prefixed else "literal",
            "operations": [acl.operation.word for acl in same],
        }
        for (kind, name, prefixed), same in groupby(sorted(allowed, key=resource), resource)
    ]
