"""What each topic and broker must be set to, how topics are created so, and what is found otherwise.

Knows the promises that a setting keeps or breaks. Must not know what records say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code
from aiokafka.protocol.admin import DescribeConfigsRequest

from gateway.core.metadata import MAX_METADATA_BYTES
from gateway.kafka.cluster import Cluster, describe, describe_once
from gateway.kafka.connection import (
    KAFKA_CALL_TIMEOUT_S,
    KafkaConnection,
    close_quietly,
    retried,
    within,
)
from gateway.kafka.names import TopicNames
from gateway.kafka.strict_producer import MAX_BATCH_BYTES
from gateway.kafka.transactions import TRANSACTION_TIMEOUT_MS

DAY_MS = 86_400_000
REPLAYS_DAYS = 1_100  # that requests of replays are kept, and what says that one resolved its input
CREATE_TIMEOUT_S = 30.0
REPLICATION = 3
IN_SYNC = 2
UNREADABLE = "(settings)"
_BATCH_OVERHEAD_BYTES = 100_000
_TOPIC, _BROKER = 2, 4  # DescribeConfigs' kinds of resource


@dataclass(frozen=True, slots=True)
class Need:
    """What one setting must be."""

    setting: str
    value: str  # what a new topic gets
    sentence: str
    met: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Unmet:
    """A setting that breaks a promise."""

    where: str  # a topic, or `broker N`
    setting: str
    found: str
    needed: str
    command: str  # what mends it

    def __str__(self) -> str:
        return f"{self.where}: {self.setting} is {self.found}, needed: {self.needed}. To mend: {self.command}"


class CreateError(Exception):
    """A topic could not be created."""


def _exactly(setting: str, value: str) -> Need:
    return Need(setting, value, value, lambda found: found == value)


def _at_least(setting: str, least: int, sentence: str = "") -> Need:
    return Need(setting, str(least), sentence or f"at least {least}", lambda found: int(found) >= least)


def _at_most(setting: str, most: int) -> Need:
    return Need(setting, str(most), f"at most {most}", lambda found: int(found) <= most)


def _kept(days: int) -> tuple[Need, ...]:
    least = days * DAY_MS
    forever = "-1"
    kept = Need(
        "retention.ms",
        str(least),
        f"at least {least} ({days} days)",
        lambda found: found == forever or int(found) >= least,
    )
    return (_exactly("cleanup.policy", "delete"), kept)


_EVERYWHERE = (
    _exactly("retention.bytes", "-1"),
    _exactly("message.timestamp.type", "LogAppendTime"),
    _exactly("unclean.leader.election.enable", "false"),
)
# A compressed record of 1 MB may unpack to hundreds inside the client; a broker told so refuses to store one.
_READ = (_exactly("compression.type", "uncompressed"),)
_READ_FROM_OTHERS = (*_READ, _at_most("max.message.bytes", 1_048_588))
_WRITTEN = (_at_least("max.message.bytes", MAX_BATCH_BYTES + _BATCH_OVERHEAD_BYTES),)
_COMPACTED = (
    _exactly("cleanup.policy", "compact"),
    _at_least("delete.retention.ms", DAY_MS, f"at least {DAY_MS} (a day): the view may be away for half of it"),
)
_PARKED = (
    _exactly("cleanup.policy", "compact"),
    _at_least(
        "delete.retention.ms",
        REPLAYS_DAYS * DAY_MS,
        f"at least {REPLAYS_DAYS * DAY_MS} ({REPLAYS_DAYS} days, as replay requests are kept): what a replay resolved "
        "must not seem parked again by the record of an earlier replay of it",
    ),
)
_REPLICATED = (_at_least("min.insync.replicas", IN_SYNC),)
_BROKER_ALWAYS = (
    _at_least("offset.metadata.max.bytes", MAX_METADATA_BYTES),
    _at_least("offsets.retention.minutes", 7 * 24 * 60, "at least 10080 (7 days), or a long stop loses the offsets"),
    _at_least("transaction.max.timeout.ms", TRANSACTION_TIMEOUT_MS),
)
_BROKER_REPLICATED = (
    _at_least("offsets.topic.replication.factor", REPLICATION),
    _at_least("transaction.state.log.replication.factor", REPLICATION),
    _at_least("transaction.state.log.min.isr", IN_SYNC),
)


def needs(names: TopicNames, *, relaxed: bool) -> dict[str, tuple[Need, ...]]:
    """What each topic's settings must be; `relaxed` leaves replication out, for one node."""
    own = {
        names.payments: (*_kept(90), *_READ_FROM_OTHERS),
        names.scores: (*_kept(90), *_READ_FROM_OTHERS),
        names.consents: (
            *_COMPACTED,
            *_READ_FROM_OTHERS,
            _at_least("min.compaction.lag.ms", 7 * DAY_MS, f"at least {7 * DAY_MS} (7 days)"),
        ),
        names.intents: (*_kept(30), *_READ, *_WRITTEN),
        names.ledger: (*_kept(1_100), *_WRITTEN),
        names.parked: (*_PARKED, *_READ, *_WRITTEN),
        names.replays: (*_kept(REPLAYS_DAYS), *_READ_FROM_OTHERS),
        names.controls: (*_COMPACTED, *_READ_FROM_OTHERS),
        names.audit: (*_kept(1_100), *_READ_FROM_OTHERS),
    }
    everywhere = _EVERYWHERE if relaxed else (*_EVERYWHERE, *_REPLICATED)
    return {topic: (*everywhere, *needed) for topic, needed in own.items()}


def shared_out(names: TopicNames) -> frozenset[str]:
    """Topics of which one partition would carry too much; the others have few records."""
    return frozenset({names.payments, names.scores, names.consents, names.intents, names.ledger})


async def check_topics(connection: KafkaConnection, names: TopicNames, *, relaxed: bool) -> list[Unmet]:
    """Everything about topics and brokers that breaks a promise; empty if nothing does."""
    needed = needs(names, relaxed=relaxed)
    async with connection.client() as client:
        cluster = await describe(client, needed)
        create = _create_command(connection, names, relaxed=relaxed)
        unmet = [Unmet(topic, "topic", "missing", "present", create) for topic in needed if topic not in cluster.topics]
        there = [topic for topic in needed if topic in cluster.topics]
        found = await _settings(client, _TOPIC, there)
        for topic in there:
            unmet += _compare(topic, found[topic], needed[topic], _topic_command(connection, topic))
        if not relaxed:
            unmet += _too_few_replicas(cluster)
        unmet += await _check_brokers(client, cluster, relaxed=relaxed)
    return unmet


async def create_topics(
    connection: KafkaConnection, names: TopicNames, *, partitions: int, relaxed: bool
) -> tuple[list[str], list[str]]:
    """Create what is missing, as it must be: (created, there already). What is there is not changed."""
    busy = shared_out(names)
    topics = [
        NewTopic(
            topic,
            partitions if topic in busy else 1,
            1 if relaxed else REPLICATION,
            topic_configs={need.setting: need.value for need in needed},
        )
        for topic, needed in needs(names, relaxed=relaxed).items()
    ]
    admin = AIOKafkaAdminClient(**connection.kwargs())
    try:
        await connection.start(admin.start())
        answer: Any = await within(CREATE_TIMEOUT_S, "creating topics", admin.create_topics(topics))
    finally:
        await close_quietly(admin.close())
    created, existing = [], []
    for topic, code, message in answer.topic_errors:
        if code == TopicAlreadyExistsError.errno:
            existing.append(topic)
        elif code:
            raise CreateError(f"topic {topic}: {for_code(code).__name__}: {message or 'no reason given'}")
        else:
            created.append(topic)
    async with connection.client() as client:
        await _appear(client, {*created, *existing})
    return created, existing


async def _appear(client: AIOKafkaClient, topics: set[str]) -> None:
    """Wait until the brokers tell clients of topics that the controller has just created."""

    async def attempt() -> None:
        if topics - set((await describe_once(client, sorted(topics))).topics):
            raise UnknownTopicOrPartitionError

    await retried(CREATE_TIMEOUT_S, "waiting for the topics created", attempt)


async def _check_brokers(client: AIOKafkaClient, cluster: Cluster, *, relaxed: bool) -> list[Unmet]:
    needed = _BROKER_ALWAYS if relaxed else (*_BROKER_ALWAYS, *_BROKER_REPLICATED)
    unmet = []
    for broker in cluster.brokers:
        found = await _settings(client, _BROKER, [str(broker)], node=broker)
        unmet += _compare(f"broker {broker}", found[str(broker)], needed, _broker_command)
    return unmet


async def _settings(
    client: AIOKafkaClient, kind: int, names: Iterable[str], node: int | None = None
) -> dict[str, Mapping[str, str] | None]:
    """The settings of topics or brokers; None where the broker does not show them."""
    request = DescribeConfigsRequest([(kind, name, None) for name in names], False)

    async def attempt() -> Any:
        return await client.send(client.get_random_node() if node is None else node, request)

    answer = await retried(KAFKA_CALL_TIMEOUT_S, "reading settings", attempt)
    return {
        name: None if code else {entry[0]: entry[1] or "" for entry in entries}
        for code, _, _, name, entries in answer.resources
    }


def _compare(
    where: str,
    found: Mapping[str, str] | None,
    needed: Iterable[Need],
    command: Callable[[Need], str],
) -> list[Unmet]:
    if found is None:
        allow = "allow this user DescribeConfigs on topics and cluster"
        return [Unmet(where, UNREADABLE, "not shown", "readable", allow)]
    return [
        Unmet(where, need.setting, found.get(need.setting, "unknown"), need.sentence, command(need))
        for need in needed
        if need.setting not in found or not need.met(found[need.setting])
    ]


def _too_few_replicas(cluster: Cluster) -> list[Unmet]:
    mend = "kafka-reassign-partitions.sh with more replicas (on one node for development: --allow-dev-topics)"
    return [
        Unmet(topic.name, "replication", str(topic.replicas), f"at least {REPLICATION}", mend)
        for topic in cluster.topics.values()
        if topic.replicas < REPLICATION
    ]


def _create_command(connection: KafkaConnection, names: TopicNames, *, relaxed: bool) -> str:
    prefix = f" --prefix {names.prefix}" if names.prefix else ""
    return f"gateway topics create --bootstrap {connection.bootstrap}{prefix}{' --allow-dev-topics' if relaxed else ''}"


def _topic_command(connection: KafkaConnection, topic: str) -> Callable[[Need], str]:
    def command(need: Need) -> str:
        return (
            f"kafka-configs.sh --bootstrap-server {connection.bootstrap} --alter "
            f"--entity-type topics --entity-name {topic} --add-config {need.setting}={need.value}"
        )

    return command


def _broker_command(need: Need) -> str:
    return f"set {need.setting}={need.value} in server.properties of every broker and restart them one by one"
