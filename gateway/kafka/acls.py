"""Who may do what on Kafka: the least that each part needs, as data, and as commands for an administrator.

Knows operations on topics, group and transactional ids. Must not know how brokers are asked (authorized.py).
Read and Write imply Describe, so that is not listed beside them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import groupby
from shlex import quote

from gateway.kafka import offsets_log
from gateway.kafka.names import TopicNames

REPLAY_TRANSACTIONS = "replay-"  # what `gateway replay apply` begins its transactional ids with
CLUSTER_NAME = "kafka-cluster"  # the brokers' name for themselves as a resource


class Kind(Enum):
    """What an operation is on; the value is its code in Kafka's protocol."""

    TOPIC = 2
    GROUP = 3
    CLUSTER = 4
    TRANSACTIONAL_ID = 5

    @property
    def option(self) -> str:
        """How kafka-acls.sh calls it."""
        return "--" + self.name.lower().replace("_", "-")


class Operation(Enum):
    """What is done; the value is its code in Kafka's protocol."""

    READ = 3
    WRITE = 4
    DESCRIBE = 8
    DESCRIBE_CONFIGS = 10

    @property
    def word(self) -> str:
        """How kafka-acls.sh calls it."""
        return self.name.title().replace("_", "")


class Role(Enum):
    """Whoever logs in to Kafka around the gateway."""

    GATEWAY = "gateway"
    BILLING = "billing"
    SCORING = "scoring"
    CONSENTS = "consents"
    ON_CALL = "on-call"
    AUDITOR = "auditor"

    @property
    def sentence(self) -> str:
        """For people."""
        return _SENTENCES[self]


_SENTENCES = {
    Role.GATEWAY: "Runs `gateway serve`, `gateway check` and `gateway lanes init`.",
    Role.BILLING: "Produces lease payment events, with acks=all and idempotence.",
    Role.SCORING: "Produces NOREL score updates, with acks=all and idempotence.",
    Role.CONSENTS: "Produces consent records, with acks=all: it alone can withdraw.",
    Role.ON_CALL: "Runs `gateway parked`, `replay`, `hold`, `explain`, `status`.",
    Role.AUDITOR: "Reads what the gateway wrote and decided by, never the inputs: for privacy desk and auditor.",
}


@dataclass(frozen=True, slots=True)
class Acl:
    """One operation allowed on one resource, or on all whose name begins so."""

    operation: Operation
    kind: Kind
    name: str
    prefixed: bool = False

    def __str__(self) -> str:
        kind = self.kind.name.lower().replace("_", " ")
        return f"{self.operation.word} on {kind} {self.name}{'*' if self.prefixed else ''}"


def least(role: Role, names: TopicNames, group: str) -> tuple[Acl, ...]:
    """All that a role needs, and nothing else."""
    allowed = {
        Role.GATEWAY: _gateway,
        Role.BILLING: lambda names, _: _topics(Operation.WRITE, names.payments),
        Role.SCORING: lambda names, _: _topics(Operation.WRITE, names.scores),
        Role.CONSENTS: lambda names, _: _topics(Operation.WRITE, names.consents),
        Role.ON_CALL: _on_call,
        Role.AUDITOR: _auditor,
    }
    return tuple(allowed[role](names, group))


def commands(acls: Iterable[Acl], principal: str, bootstrap: str) -> list[str]:
    """What an administrator runs; resources that get the same operation share a command."""
    start = f"kafka-acls.sh --bootstrap-server {bootstrap} --command-config admin.properties --add"
    return [
        f"{start} --allow-principal {quote(f'User:{principal}')} {scope}--operation {operation.word} "
        + " ".join(resources)
        for scope, operation, resources in _shared(acls)
    ]


def _gateway(names: TopicNames, group: str) -> Iterator[Acl]:
    read = (
        *(names.payments, names.scores, names.replays, names.consents, names.controls, names.intents),
        offsets_log.TOPIC,
    )
    yield from _topics(Operation.READ, *read)
    yield from _topics(Operation.WRITE, names.intents, names.ledger, names.parked, names.audit)  # audit: `lanes init`
    yield Acl(Operation.READ, Kind.GROUP, group)
    yield Acl(Operation.WRITE, Kind.TRANSACTIONAL_ID, f"{group}-", prefixed=True)
    yield from _settings(names)


def _on_call(names: TopicNames, group: str) -> Iterator[Acl]:
    yield from _topics(Operation.READ, *names.record_kinds(), offsets_log.TOPIC)
    yield from _topics(Operation.WRITE, names.replays, names.controls, names.audit)
    yield Acl(Operation.DESCRIBE, Kind.GROUP, group)
    yield Acl(Operation.WRITE, Kind.TRANSACTIONAL_ID, REPLAY_TRANSACTIONS, prefixed=True)
    yield from _settings(names)


def _auditor(names: TopicNames, group: str) -> Iterator[Acl]:
    read = (names.ledger, names.intents, names.parked, names.replays, names.controls, names.consents, names.audit)
    yield from _topics(Operation.READ, *read, offsets_log.TOPIC)
    yield from _topics(Operation.WRITE, names.audit)
    yield Acl(Operation.DESCRIBE, Kind.GROUP, group)
    yield from _topics(Operation.DESCRIBE, names.payments, names.scores)
    yield from _settings(names)


def _settings(names: TopicNames) -> Iterator[Acl]:
    """To check that no topic or broker is set to break a promise."""
    yield from _topics(Operation.DESCRIBE_CONFIGS, *names.record_kinds())
    yield Acl(Operation.DESCRIBE_CONFIGS, Kind.CLUSTER, CLUSTER_NAME)


def _topics(operation: Operation, *topics: str) -> Iterator[Acl]:
    return (Acl(operation, Kind.TOPIC, topic) for topic in topics)


def _shared(acls: Iterable[Acl]) -> Iterator[tuple[str, Operation, list[str]]]:
    for (operation, kind, prefixed), alike in groupby(acls, lambda acl: (acl.operation, acl.kind, acl.prefixed)):
        resources = [kind.option if kind is Kind.CLUSTER else f"{kind.option} {quote(acl.name)}" for acl in alike]
        yield "--resource-pattern-type prefixed " if prefixed else "", operation, resources
