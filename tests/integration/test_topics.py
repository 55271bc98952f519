"""What the check of topics and brokers finds, and what creating makes."""

import orjson
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from typer.testing import CliRunner

from gateway.cli import app
from gateway.kafka.connection import KafkaConnection
from gateway.kafka.names import TopicNames
from gateway.kafka.topics import CreateError, Unmet, check_topics, create_topics, needs

DAY_MS = 86_400_000

# (topic, setting, a value that breaks a promise)
WRONG = [
    ("payments", "cleanup.policy", "compact"),
    ("payments", "retention.ms", str(89 * DAY_MS)),
    ("scores", "retention.bytes", "1000000000"),
    ("scores", "message.timestamp.type", "CreateTime"),
    ("payments", "compression.type", "producer"),
    ("scores", "max.message.bytes", "8000000"),
    ("consents", "cleanup.policy", "compact,delete"),
    ("consents", "min.compaction.lag.ms", str(6 * DAY_MS)),
    ("consents", "delete.retention.ms", str(DAY_MS - 1)),
    ("consents", "unclean.leader.election.enable", "true"),
    ("intents", "retention.ms", str(29 * DAY_MS)),
    ("intents", "max.message.bytes", "500000"),
    ("ledger", "retention.ms", str(1_099 * DAY_MS)),
    ("ledger", "retention.bytes", "1"),
    ("parked", "cleanup.policy", "delete"),
    ("parked", "delete.retention.ms", str(1_099 * DAY_MS)),
    ("replays", "retention.ms", str(365 * DAY_MS)),
    ("controls", "cleanup.policy", "delete"),
    ("controls", "compression.type", "gzip"),
]


@pytest.fixture
def connection(kafka: str, prefix: str) -> KafkaConnection:
    """The shared node."""
    return KafkaConnection(kafka, f"{prefix}test")


async def change(admin: AIOKafkaAdminClient, names: TopicNames, changes: dict[str, dict[str, str]]) -> None:
    """Set settings of topics, keeping the others as they must be."""
    for topic, settings in changes.items():
        right = {need.setting: need.value for need in needs(names, relaxed=True)[topic]}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {**right, **settings})])


async def test_what_create_makes_passes_the_check(connection: KafkaConnection, prefix: str) -> None:
    """Creating leaves nothing to find, twice is no error, and what is there stays."""
    names = TopicNames(prefix)
    created, existing = await create_topics(connection, names, partitions=2, relaxed=True)
    assert (sorted(created), existing) == (sorted(names.record_kinds()), [])
    assert await check_topics(connection, names, relaxed=True) == []
    assert await create_topics(connection, names, partitions=9, relaxed=True) == ([], created)


async def test_each_wrong_setting_is_found(
    connection: KafkaConnection, prefix: str, admin: AIOKafkaAdminClient
) -> None:
    """Each planted setting is named with what was found, what is needed and the command; nothing else is."""
    names = TopicNames(prefix)
    await create_topics(connection, names, partitions=1, relaxed=True)
    planted: dict[str, dict[str, str]] = {}
    for name, setting, value in WRONG:
        planted.setdefault(getattr(names, name), {})[setting] = value
    await change(admin, names, planted)
    findings = await check_topics(connection, names, relaxed=True)
    assert {(f.where, f.setting, f.found) for f in findings} == {
        (topic, setting, value) for topic, settings in planted.items() for setting, value in settings.items()
    }
    for finding in findings:
        assert finding.needed
        assert f"--entity-name {finding.where} --add-config {finding.setting}=" in finding.command
        assert all(part in str(finding) for part in (finding.where, finding.setting, finding.found, finding.needed))


async def test_longer_than_needed_is_right(
    connection: KafkaConnection, prefix: str, admin: AIOKafkaAdminClient
) -> None:
    """Keeping for ever, or longer, breaks nothing."""
    names = TopicNames(prefix)
    await create_topics(connection, names, partitions=1, relaxed=True)
    longer = {names.ledger: {"retention.ms": "-1"}, names.intents: {"retention.ms": str(3_000 * DAY_MS)}}
    await change(admin, names, longer)
    assert await check_topics(connection, names, relaxed=True) == []


async def test_missing_topics_and_one_node_are_found(connection: KafkaConnection, prefix: str) -> None:
    """Without leave for development, one node is named as the risk it is; a missing topic always is."""
    names = TopicNames(prefix)
    findings = await check_topics(connection, names, relaxed=True)
    assert [f.where for f in findings] == list(names.record_kinds())
    command = f"gateway topics create --bootstrap {connection.bootstrap} --prefix {prefix} --allow-dev-topics"
    assert {(f.setting, f.found, f.command) for f in findings} == {("topic", "missing", command)}
    await create_topics(connection, names, partitions=1, relaxed=True)
    strict = await check_topics(connection, names, relaxed=False)
    replication = [f for f in strict if f.setting == "replication"]
    assert {f.where for f in replication} == set(names.record_kinds())
    assert any(isinstance(f, Unmet) and f.where == "broker 1" for f in strict)


async def test_too_few_brokers_is_said_by_create(connection: KafkaConnection, prefix: str) -> None:
    """Three replicas on one node are refused with the broker's own reason."""
    with pytest.raises(CreateError, match="replication"):
        await create_topics(connection, TopicNames(prefix), partitions=1, relaxed=False)


def test_the_commands_say_it_all_in_json(kafka: str, prefix: str) -> None:
    """create and check print one JSON value each and end with the status of what they found."""
    options = ["--bootstrap", kafka, "--prefix", prefix, "--json"]
    run = CliRunner().invoke
    before = run(app, ["topics", "check", "--allow-dev-topics", *options])
    assert before.exit_code == 1
    assert len(orjson.loads(before.stdout)["findings"]) == 9
    made = run(app, ["topics", "create", "--allow-dev-topics", *options])
    assert (made.exit_code, len(orjson.loads(made.stdout)["created"])) == (0, 9)
    after = run(app, ["topics", "check", "--allow-dev-topics", *options])
    assert (after.exit_code, orjson.loads(after.stdout)) == (0, {"findings": []})
