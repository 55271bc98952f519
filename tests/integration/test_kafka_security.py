"""TLS, logins and permissions on a guarded Kafka: the least that is documented is enough, and what is missing is named.

One node of its own for the whole file.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import trustme
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import TopicPartition
from typer.testing import CliRunner

from gateway import schemas
from gateway.cli import app
from gateway.core.metadata import CommitMetadata
from gateway.kafka.acls import Acl, Kind, Operation, Role
from gateway.kafka.authorized import lacking
from gateway.kafka.cluster import EARLIEST
from gateway.kafka.connection import KafkaConnection, KafkaRefusedError, KafkaUnavailableError
from gateway.kafka.exact import read_exact
from gateway.kafka.lane_start import start_lanes
from gateway.kafka.offsets import Committed, fetch_committed
from gateway.kafka.topics import check_topics, create_topics
from gateway.kafka.transactions import Doubtful, LaneProducer, Outgoing
from gateway.sandbox.broker import Node
from gateway.sandbox.broker.secured import Secured
from tests.integration.chosen_records import a_consent, a_payment, a_score
from tests.integration.gateway_world import World
from tests.integration.guarded_kafka import BY_CERTIFICATE, PASSWORDS, Guarded, lacks

BOUND_S = 30
DESCRIBING = (Operation.READ, Operation.WRITE)  # imply Describe


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """Every role has exactly the least; a certificate's user has what the gateway has."""
    secured = Secured(tmp_path_factory.mktemp("guarded"), PASSWORDS, [BY_CERTIFICATE])
    with Node(secured=secured) as node:
        made = Guarded(node, secured, f"t{uuid.uuid4().hex[:8]}.")
        asyncio.run(_prepare(made))
        yield made


async def _prepare(guarded: Guarded) -> None:
    await create_topics(guarded.admin, guarded.names, partitions=1, relaxed=True)
    for role in Role:
        await guarded.allow(role.value, guarded.least(role))
    await guarded.allow(BY_CERTIFICATE, guarded.least(Role.GATEWAY))
    as_gateway = guarded.connection(guarded.by_password("gateway"))
    async with as_gateway.client() as client:
        await lacks(client, guarded.least(Role.GATEWAY), [])
    await start_lanes(as_gateway, guarded.names, guarded.group, EARLIEST, force=False)


def user(guarded: Guarded, role: Role) -> KafkaConnection:
    return guarded.connection(guarded.by_password(role.value))


async def produce(guarded: Guarded, role: Role, topic: str, value: bytes) -> None:
    async with AIOKafkaProducer(**user(guarded, role).kwargs(), acks="all", enable_idempotence=True) as producer:
        await producer.send_and_wait(topic, key=b"subject-anna", value=value)


async def test_with_exactly_these_permissions_everybody_can_work(guarded: Guarded, tmp_path: Path) -> None:
    """A whole gateway over SASL_SSL provides what billing and scoring produced; the auditor reads both records."""
    names, world = guarded.names, World(guarded.node.bootstrap, guarded.names.prefix, tmp_path)
    async with world.genie, world.gateway(**guarded.by_password("gateway")) as gateway:
        for role, topic, kind, record in (
            (Role.CONSENTS, names.consents, "ConsentRecord", a_consent("subject-anna")),
            (Role.BILLING, names.payments, "LeasePaymentEvent", a_payment("subject-anna")),
            (Role.SCORING, names.scores, "NorelScoreUpdate", a_score("subject-anna")),
        ):
            await produce(guarded, role, topic, schemas.encode(kind, record))
        await gateway.ready(3)
        ledger = TopicPartition(names.ledger, 0)
        options = {"isolation_level": "read_committed", "auto_offset_reset": "earliest"}
        consumer = AIOKafkaConsumer(**user(guarded, Role.AUDITOR).kwargs(), **options)
        consumer.assign([ledger])
        async with consumer, asyncio.timeout(BOUND_S):
            records = [schemas.decode((await consumer.getone()).value)[1] for _ in range(2)]
    assert [record["outcome"] for record in records] == ["PROVIDED", "PROVIDED"]
    assert len(world.received()) == 2
    assert "canary" not in gateway.log.read_text("utf-8")


async def test_a_certificate_does_for_a_login_too(guarded: Guarded) -> None:
    """Over mutual TLS: topics, take over, transaction, offsets, an exact read."""
    connection = guarded.connection(guarded.by_certificate(BY_CERTIFICATE))
    assert await check_topics(connection, guarded.names, relaxed=True) == []
    producer = LaneProducer(connection, f"{guarded.group}-certificate-0")
    await producer.take_over()
    (place,) = await producer.begin_and_produce([Outgoing(guarded.names.intents, 0, b"key", b"value")])
    metadata = CommitMetadata().encode(0)
    await producer.commit(guarded.group, guarded.names.replays, 0, 0, metadata)
    await producer.close()
    async with connection.client() as client:
        assert await fetch_committed(client, guarded.group, guarded.names.replays, 0) == Committed(0, metadata)
        (record,) = await read_exact(client, [(guarded.names.intents, 0, place.offset)])
    assert record is not None
    assert record.value == b"value"


def known_missing(acls: Iterable[Acl], taken: Acl) -> list[Acl]:
    """What can be known to be missing: of a topic that may not even be described, everything."""
    about = [acl for acl in acls if (acl.kind, acl.name) == (taken.kind, taken.name)]
    described = any(acl.operation in DESCRIBING for acl in about if acl != taken)
    return [taken] if described or taken.operation not in DESCRIBING else about


async def test_each_permission_that_is_taken_away_is_named(guarded: Guarded) -> None:
    """Of all that the gateway needs, what is missing is told without trying it, and no more than that."""
    acls = guarded.least(Role.GATEWAY)
    async with user(guarded, Role.GATEWAY).client() as client:
        for acl in acls:
            await guarded.forbid("gateway", acl)
            await lacks(client, acls, known_missing(acls, acl))
            await guarded.allow("gateway", [acl])
        await lacks(client, acls, [])


async def test_nobody_may_do_more_than_its_role(guarded: Guarded) -> None:
    """Asked about everything that anybody may do, each role is refused all but its own."""
    everything = {acl for role in Role for acl in guarded.least(role)}
    for role in set(Role) - {Role.GATEWAY}:
        own = set(guarded.least(role))
        implied = {Acl(Operation.DESCRIBE, Kind.TOPIC, acl.name) for acl in own if acl.operation in DESCRIBING}
        async with user(guarded, role).client() as client:
            refused = await lacking(client, everything)
        assert everything - set(refused) == everything & (own | implied), role


async def test_the_check_prints_the_command_that_mends(guarded: Guarded, tmp_path: Path) -> None:
    """`gateway check` names user, operation and topic, and the command; mended, it finds nothing."""
    missing = Acl(Operation.WRITE, Kind.TOPIC, guarded.names.intents)
    world = World(guarded.node.bootstrap, guarded.names.prefix, tmp_path)
    changes = {f"GATEWAY_{name.upper()}": value for name, value in guarded.by_password("gateway").items()}

    async def check() -> tuple[int, Any]:
        environment = world.settings("one") | changes
        ended = await asyncio.to_thread(CliRunner().invoke, app, ["check", "--json"], env=environment)
        return ended.exit_code, orjson.loads(ended.stdout)["findings"]

    async with world.genie, user(guarded, Role.GATEWAY).client() as client:
        await guarded.forbid("gateway", missing)
        await lacks(client, [missing], [missing])
        status, (finding,) = await check()
        await guarded.allow("gateway", [missing])
        await lacks(client, [missing], [])
        assert await check() == (0, [])
    assert (status, finding["setting"]) == (1, "kafka.sasl_username")
    assert finding["found"] == f"gateway may not {missing}"
    assert finding["needed"].endswith(f"--allow-principal User:gateway --operation Write --topic {missing.name}")


async def test_the_commands_read_the_same_login(guarded: Guarded) -> None:
    """`gateway topics check` with the variables of the gateway, and nothing of GeNiE."""
    variables = {f"GATEWAY_{name.upper()}": value for name, value in guarded.by_password("auditor").items()}
    arguments = ["topics", "check", "--allow-dev-topics", "--prefix", guarded.names.prefix, "--json"]
    ended = await asyncio.to_thread(CliRunner().invoke, app, arguments, env=variables)
    assert (ended.exit_code, orjson.loads(ended.stdout)) == (0, {"findings": []})


async def _take_over(guarded: Guarded, connection: KafkaConnection) -> None:
    await LaneProducer(connection, f"{guarded.group}-refused-0").take_over()


async def _write(guarded: Guarded, connection: KafkaConnection) -> None:
    producer = LaneProducer(connection, f"{guarded.group}-refused-0")
    await producer.take_over()
    try:
        await producer.begin_and_produce([Outgoing(guarded.names.intents, 0, b"key", b"value")])
    finally:
        await producer.drop()


async def _read_offset(guarded: Guarded, connection: KafkaConnection) -> None:
    async with connection.client() as client:
        await fetch_committed(client, guarded.group, guarded.names.payments, 0)


async def _read_record(guarded: Guarded, connection: KafkaConnection) -> None:
    async with connection.client() as client:
        await read_exact(client, [(guarded.names.intents, 0, 0)])


REFUSED: list[tuple[Operation, Kind, Callable[[Guarded, KafkaConnection], Awaitable[None]], type[Exception], str]] = [
    (Operation.WRITE, Kind.TRANSACTIONAL_ID, _take_over, Doubtful, "take over.*TransactionalIdAuthorizationFailed"),
    (Operation.READ, Kind.GROUP, _read_offset, KafkaRefusedError, "offset of .*GroupAuthorization.*topics acls"),
    (Operation.WRITE, Kind.TOPIC, _write, Doubtful, "produce.*TopicAuthorizationFailed"),
    (Operation.READ, Kind.TOPIC, _read_record, KafkaRefusedError, "reading .*TopicAuthorization.*gateway check"),
]


@pytest.mark.parametrize(("operation", "kind", "work", "error", "words"), REFUSED)
async def test_a_permission_that_goes_while_it_runs_is_named(
    guarded: Guarded, operation: Operation, kind: Kind, work: Any, error: type[Exception], words: str
) -> None:
    """The step that was refused, what it was refused for, and where to look."""
    missing = next(
        acl
        for acl in guarded.least(Role.GATEWAY)
        if (acl.operation, acl.kind) == (operation, kind)
        and (kind is not Kind.TOPIC or acl.name == guarded.names.intents)
    )
    connection = user(guarded, Role.GATEWAY)
    async with connection.client() as client:
        await guarded.forbid("gateway", missing)
        await lacks(client, [missing], [missing])
        try:
            with pytest.raises(error, match=words):
                await work(guarded, connection)
        finally:
            await guarded.allow("gateway", [missing])
            await lacks(client, [missing], [])


def _other_authority(guarded: Guarded) -> dict[str, str]:
    path = guarded.secured.directory / "other-ca.pem"
    trustme.CA().cert_pem.write_to_path(str(path))
    return {"kafka__ca_file": str(path)}


def _other_password(guarded: Guarded) -> dict[str, str]:
    return {"kafka__sasl_password_file": str(guarded.password_file("billing"))}


def _other_host(guarded: Guarded) -> dict[str, str]:
    return {"kafka__bootstrap_servers": f"127.1:{guarded.node.port}"}


LOGINS: list[tuple[Callable[[Guarded], dict[str, str]], type[Exception], str]] = [
    (_other_password, KafkaRefusedError, "SaslAuthenticationFailed.*kafka.sasl_password_file"),
    (_other_authority, KafkaRefusedError, "SSLCertVerificationError.*kafka.ca_file"),
    (_other_host, KafkaRefusedError, "SSLCertVerificationError.*kafka.bootstrap_servers"),
    (lambda _: {"kafka__sasl_mechanism": "PLAIN"}, KafkaRefusedError, "kafka.sasl_mechanism"),
    (lambda guarded: {"kafka__bootstrap_servers": guarded.mtls}, KafkaUnavailableError, "kafka.client_cert_file"),
    (
        lambda guarded: {"kafka__bootstrap_servers": guarded.node.bootstrap, "kafka__security_protocol": "PLAINTEXT"},
        KafkaUnavailableError,
        "kafka.security_protocol",
    ),
]


@pytest.mark.parametrize(("change", "error", "words"), LOGINS)
async def test_a_login_that_fails_says_which_setting_is_wrong(
    guarded: Guarded, change: Callable[[Guarded], dict[str, str]], error: type[Exception], words: str
) -> None:
    """Down, not trusted and not let in are told apart, and no password is shown."""
    changes = change(guarded)
    settings = {**guarded.by_password("gateway"), **changes}
    if changes.get("kafka__security_protocol") == "PLAINTEXT":
        settings = changes
    with pytest.raises(error, match=words) as refused:
        async with guarded.connection(settings).client():
            pass
    assert "canary" not in str(refused.value)
