"""The topics as an AsyncAPI 3 document, for people and programs that know Kafka and not us.

Knows where each fact about a topic stands in the code: its schema, its settings, and who may read and write it. Must
not know any fact itself but how keys look. `python -m gateway.docs` writes schemas/asyncapi.yaml.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from gateway import __version__, schemas
from gateway.kafka.acls import Acl, Kind, Operation, Role, least
from gateway.kafka.names import TopicNames
from gateway.kafka.topics import Need, needs

NAMES = TopicNames()
WIDTH = 120
_GROUP = "credit-gateway"
_REF = r"^(?=[0-9_-]*[A-Za-z])[A-Za-z0-9][A-Za-z0-9_-]{5,63}$"
_SUBJECT = {"type": "string", "pattern": _REF, "description": "subject_ref: it keeps a customer's records in order"}
_KEYS: Mapping[str, Mapping[str, Any]] = {
    "LeasePaymentEvent": _SUBJECT,
    "NorelScoreUpdate": _SUBJECT,
    "ConsentRecord": _SUBJECT,
    "ReplayRequest": _SUBJECT,
    "ProvisionRecord": {
        "type": ["string", "null"],
        "pattern": _REF,
        "description": "subject_ref; null if the record was INVALID: an unchecked key is never copied",
    },
    "ProvisionIntent": {"type": "string", "description": "The lane: topic:partition of its input"},
    "ParkedEvent": {"type": "string", "description": "topic:partition:offset of the input that was set aside"},
    "Control": {"type": "string", "description": "hold_id"},
    "AuditRecord": {"type": "string", "description": "The operator"},
}
_PRODUCER = {
    "type": "string",
    "pattern": "^(?=[0-9._-]*[A-Za-z])[A-Za-z0-9._-]{1,64}$",
    "description": "Name of the service that produced the record; a filter of `gateway parked`",
}
_TRACEPARENT = {"type": "string", "maxLength": 256, "description": "W3C Trace Context; read if producers are trusted"}
_INPUTS = frozenset({NAMES.payments, NAMES.scores})
_OURS = (Role.GATEWAY, Role.ON_CALL)  # whose programs this document is of
_HEAD = (
    "Consented credit data on its way to GeNiE株式会社: what the gateway and its commands read, and what they leave. "
    "Every value is Avro in Confluent's wire format (a zero byte, the schema's id in four bytes, the record). Leaves "
    "of a schema say by the attribute `item` which category of the privacy policy they belong to; only listed items "
    "leave."
)


def document() -> dict[str, Any]:
    """AsyncAPI 3, seen from the gateway: it receives what it reads and sends what it writes."""
    return {
        "asyncapi": "3.1.0",
        "info": {"title": "Credit-data sharing gateway", "version": __version__, "description": _HEAD},
        "defaultContentType": "application/vnd.apache.avro",
        "servers": {
            "kafka": {
                "host": "{bootstrap}",
                "protocol": "kafka-secure",
                "description": "Apache Kafka 3.5 or newer; TLS, and a password (SCRAM) or a certificate",
                "variables": {"bootstrap": {"default": "localhost:9092", "description": "Brokers to start from"}},
            }
        },
        "channels": {_id(topic): _channel(topic, kind) for topic, kind in NAMES.record_kinds().items()},
        "operations": dict(_operations()),
        "components": {"messages": {kind: _message(topic, kind) for topic, kind in NAMES.record_kinds().items()}},
    }


def text() -> str:
    """The document as YAML."""
    return yaml.safe_dump(document(), sort_keys=False, allow_unicode=True, width=WIDTH)


def writers(topic: str) -> list[Role]:
    """Who may write there, by the least permissions of each role."""
    return _allowed(Operation.WRITE, topic)


def readers(topic: str) -> list[Role]:
    """Who may read there."""
    return _allowed(Operation.READ, topic)


def settings(topic: str) -> tuple[Need, ...]:
    """What the topic must be set to in production."""
    return needs(NAMES, relaxed=False)[topic]


def key_of(kind: str) -> str:
    """What the key of a record is, in words."""
    return str(_KEYS[kind]["description"])


def _allowed(operation: Operation, topic: str) -> list[Role]:
    wanted = Acl(operation, Kind.TOPIC, topic)
    return [role for role in Role if wanted in least(role, NAMES, _GROUP)]


def _id(topic: str) -> str:
    """The name of a channel inside the document: some programs allow no dots."""
    return topic.replace(".", "-")


def _channel(topic: str, kind: str) -> dict[str, Any]:
    return {
        "address": topic,
        "title": kind,
        "summary": schemas.schema(kind).source["doc"],
        "description": "The setting `topics.prefix` comes before the address.",
        "servers": [{"$ref": "#/servers/kafka"}],
        "messages": {kind: {"$ref": f"#/components/messages/{kind}"}},
        "bindings": {"kafka": {"topic": topic, "topicConfiguration": _configuration(topic), "bindingVersion": "0.5.0"}},
    }


def _configuration(topic: str) -> dict[str, Any]:
    """The settings that AsyncAPI's binding has a name for; docs/reference/topics.md has all."""
    given = {need.setting: need.value for need in settings(topic)}
    numbers = ("retention.ms", "retention.bytes", "delete.retention.ms", "max.message.bytes")
    found: dict[str, Any] = {"cleanup.policy": [given["cleanup.policy"]]}
    return found | {name: int(given[name]) for name in numbers if name in given}


def _operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for topic, kind in NAMES.record_kinds().items():
        if Role.GATEWAY in readers(topic):
            yield f"receive{kind}", _operation("receive", topic, kind, "Written", writers(topic))
        if any(role in _OURS for role in writers(topic)):
            yield f"send{kind}", _operation("send", topic, kind, "Read", readers(topic))


def _operation(action: str, topic: str, kind: str, word: str, others: list[Role]) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{_id(topic)}"},
        "summary": f"{word} by {', '.join(role.value for role in others)}.",
        "messages": [{"$ref": f"#/channels/{_id(topic)}/messages/{kind}"}],
    }


def _message(topic: str, kind: str) -> dict[str, Any]:
    made: dict[str, Any] = {
        "name": f"{schemas.NAMESPACE}.{kind}",
        "title": kind,
        "summary": schemas.schema(kind).source["doc"],
        "contentType": "application/vnd.apache.avro",
    }
    if topic in _INPUTS:
        made["headers"] = {"type": "object", "properties": {"producer": _PRODUCER, "traceparent": _TRACEPARENT}}
    made["payload"] = {
        "schemaFormat": "application/vnd.apache.avro;version=1.9.0",
        "schema": {"$ref": f"./avro/{_files()[kind]}"},
    }
    binding = {"key": dict(_KEYS[kind]), "schemaIdLocation": "payload", "schemaIdPayloadEncoding": "confluent"}
    made["bindings"] = {"kafka": binding | {"schemaLookupStrategy": "TopicIdStrategy", "bindingVersion": "0.5.0"}}
    return made


def _files() -> dict[str, str]:
    """Record kind -> the file of its current schema."""
    ids: dict[str, str] = json.loads((schemas.directory() / "ids.json").read_text("utf-8"))
    return {schemas.own().by_id[int(number)].name: file for number, file in ids.items() if "/" not in file}
