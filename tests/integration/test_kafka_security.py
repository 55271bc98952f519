"""TLS, logins and permissions on a guarded Kafka: the least that is documented is enough, and what is missing is named.

One node of its own for the whole file.
"""

import asyncio
import ssl
import uuid
from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
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
from gateway.kafka import offsets_log
from gateway.kafka.acls import Acl, Kind, Operation, Role
from gateway.kafka.authorized import lacking
from gateway.kafka.connection import KafkaConnection, KafkaRefusedError, KafkaUnavailableError
from gateway.kafka.exact import read_exact
from gateway.kafka.offsets_log import Committed, read_offset
from gateway.kafka.topics import check_topics
from gateway.kafka.transactions import Doubtful, LaneProducer, Outgoing
from gateway.kafka_login import kafka_connection
from gateway.oncall.desk import open_desk
from gateway.oncall.ledger.standing import stand
from gateway.sandbox.broker import Node
from gateway.sandbox.broker.secured import PLAIN, Secured
from gateway.sections import KafkaSettings
from tests.faults import Where, fault
from tests.integration.chosen_records import a_consent, a_payment, a_score
from tests.integration.gateway_world import World
from tests.integration.guarded_kafka import BY_CERTIFICATE, PASSWORDS, Guarded, lacks
from tests.integration.waiting import until

BOUND_S = 30
DESCRIBING = (Operation.READ, Operation.WRITE)  # imply Describe


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """Every role has exactly the least; a certificate's user has what the gateway has."""
    secured = Secured(tmp_path_factory.mktemp("guarded"), PASSWORDS, [BY_CERTIFICATE])
    with Node(secured=secured) as node:
        made = Guarded(node, secured, f"t{uuid.uuid4().hex[:8]}.")
        asyncio.run(made.prepare())
        yield made


def user(guarded: Guarded, role: Role) -> KafkaConnection:
    return guarded.connection(guarded.by_password(role.value))


async def produce(guarded: Guarded, role: Role, topic: str, value: bytes) -> None:
    async with AIOKafkaProducer(**user(guarded, role).kwargs(), acks="all", enable_idempotence=True) as producer:
        await producer.send_and_wait(topic, key=b"subject-anna", value=value)


@fault(
    Where.SECURITY,
    "nobody has more than the documented permissions",
    does="works over SASL_SSL with exactly those of `gateway topics acls`",
    seen="`/ready`",
)
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


@fault(
    Where.SECURITY,
    "Kafka takes certificates instead of passwords",
    does="logs in over mutual TLS: topics, take over, transactions, offsets",
    seen="`/ready`",
)
async def test_a_certificate_does_for_a_login_too(guarded: Guarded) -> None:
    """Over mutual TLS: topics, take over, transaction, offsets, an exact read."""
    connection = guarded.connection(guarded.by_certificate(BY_CERTIFICATE))
    assert await check_topics(connection, guarded.names, relaxed=True) == []
    producer = LaneProducer(connection, f"{guarded.group}-certificate-0", guarded.group)
    await producer.take_over()
    (place,) = await producer.begin_and_produce([Outgoing(guarded.names.intents, 0, b"key", b"value")])
    metadata = CommitMetadata().encode(0)
    await producer.commit(guarded.names.replays, 0, 0, metadata)
    await producer.drop()
    async with connection.client() as client:
        lane = TopicPartition(guarded.names.replays, 0)
        assert await read_offset(client, guarded.group, lane) == Committed(0, metadata)
        (record,) = await read_exact(client, [(guarded.names.intents, 0, place.offset)])
    assert record is not None
    assert record.value == b"value"


def known_missing(acls: Iterable[Acl], taken: Acl) -> list[Acl]:
    """What can be known to be missing: of a topic that may not even be described, everything."""
    about = [acl for acl in acls if (acl.kind, acl.name) == (taken.kind, taken.name)]
    described = any(acl.operation in DESCRIBING for acl in about if acl != taken)
    describes = taken.operation in {*DESCRIBING, Operation.DESCRIBE}
    return [taken] if described or not describes else about


@fault(
    Where.SECURITY,
    "a permission is missing at the start",
    does="does not start; names each missing permission without trying it out",
    seen="exit status 2; `... may not Write on topic ...` with the command that mends it; `gateway check` likewise",
)
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


@fault(
    Where.SECURITY,
    "on-call or the auditor may not read the topic of committed offsets",
    does="the command ends: it asks no coordinator instead, which may remember old ones",
    seen="exit status 1; the message names `Read on topic __consumer_offsets` and the command that prints permissions",
)
@pytest.mark.parametrize("role", [Role.ON_CALL, Role.AUDITOR])
async def test_whoever_asks_where_lanes_stand_may_read_their_offsets(guarded: Guarded, role: Role) -> None:
    """Where they are written down; what is missing is named."""
    needed = Acl(Operation.READ, Kind.TOPIC, offsets_log.TOPIC)
    async with open_desk(user(guarded, role), guarded.names, None, lambda *_: None) as desk:
        (standing,) = (await stand(desk, guarded.group, [guarded.names.payments])).values()
        assert standing.watermark is not None
        await guarded.forbid(role.value, needed)
        await lacks(desk.client, [needed], [needed])
        try:
            with pytest.raises(KafkaRefusedError, match=rf"Read on topic {offsets_log.TOPIC}\).*`gateway topics acls`"):
                await stand(desk, guarded.group, [guarded.names.payments])
        finally:
            await guarded.allow(role.value, [needed])
            await lacks(desk.client, [needed], [])


async def test_the_commands_read_the_same_login(guarded: Guarded) -> None:
    """`gateway topics check` with the variables of the gateway, and nothing of GeNiE."""
    variables = {f"GATEWAY_{name.upper()}": value for name, value in guarded.by_password("auditor").items()}
    arguments = ["topics", "check", "--allow-dev-topics", "--prefix", guarded.names.prefix, "--json"]
    ended = await asyncio.to_thread(CliRunner().invoke, app, arguments, env=variables)
    assert (ended.exit_code, orjson.loads(ended.stdout)) == (0, {"findings": []})


async def _take_over(guarded: Guarded, connection: KafkaConnection) -> None:
    await LaneProducer(connection, f"{guarded.group}-refused-0", guarded.group).take_over()


async def _write(guarded: Guarded, connection: KafkaConnection) -> None:
    producer = LaneProducer(connection, f"{guarded.group}-refused-0", guarded.group)
    await producer.take_over()
    try:
        await producer.begin_and_produce([Outgoing(guarded.names.intents, 0, b"key", b"value")])
    finally:
        await producer.drop()


async def _read_offset(guarded: Guarded, connection: KafkaConnection) -> None:
    async with connection.client() as client:
        await read_offset(client, guarded.group, TopicPartition(guarded.names.payments, 0))


async def _read_record(guarded: Guarded, connection: KafkaConnection) -> None:
    async with connection.client() as client:
        await read_exact(client, [(guarded.names.intents, 0, 0)])


REFUSED: list[tuple[Operation, Kind, Callable[[Guarded, KafkaConnection], Awaitable[None]], type[Exception], str]] = [
    (Operation.WRITE, Kind.TRANSACTIONAL_ID, _take_over, Doubtful, "take over.*TransactionalIdAuthorizationFailed"),
    (Operation.READ, Kind.GROUP, _read_offset, KafkaRefusedError, "offsets of .*GroupAuthorization.*topics acls"),
    (Operation.WRITE, Kind.TOPIC, _write, Doubtful, "produce.*TopicAuthorizationFailed"),
    (Operation.READ, Kind.TOPIC, _read_record, KafkaRefusedError, "reading .*TopicAuthorization.*gateway check"),
]


@fault(
    Where.SECURITY,
    "a permission is taken away while the gateway runs",
    does="ends the step that was refused; a lane commits nothing that it may not, and the process ends if that lasts",
    seen="exit status 3, or 2; the message names the step and what was refused it",
)
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


def login(
    change: Callable[[Guarded], dict[str, str]], error: type[Exception], words: str, name: str, *, status: int = 2
) -> Any:
    """A case of a login that fails."""
    seen = f"exit status {status}; the message names the broker and the setting"
    does = "does not start, and shows no password"
    return pytest.param(change, error, words, marks=fault(Where.SECURITY, name, does=does, seen=seen))


LOGINS = [
    login(_other_password, KafkaRefusedError, "SaslAuthenticationFailed.*kafka.sasl_password_file", "a wrong password"),
    login(
        _other_authority,
        KafkaRefusedError,
        "SSLCertVerificationError.*kafka.ca_file",
        "the broker's certificate is of another authority",
    ),
    login(
        _other_host,
        KafkaRefusedError,
        "SSLCertVerificationError.*kafka.bootstrap_servers",
        "the broker's certificate is for another host",
    ),
    login(
        lambda _: {"kafka__sasl_mechanism": "SCRAM-SHA-256"},
        KafkaRefusedError,
        "kafka.sasl_mechanism",
        "the brokers do not offer the way in which the password is proven",
    ),
    login(
        lambda guarded: {"kafka__bootstrap_servers": guarded.mtls},
        KafkaUnavailableError,
        "kafka.client_cert_file",
        "the listener wants a client certificate, and none is set",
        status=3,
    ),
    login(
        lambda guarded: {"kafka__bootstrap_servers": guarded.node.bootstrap, "kafka__security_protocol": "PLAINTEXT"},
        KafkaUnavailableError,
        "kafka.security_protocol",
        "the listener speaks TLS, and security_protocol says PLAINTEXT",
        status=3,
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


@fault(
    Where.SECURITY,
    "Kafka takes passwords as they are (SASL_SSL with PLAIN)",
    does="works as with SCRAM",
    seen="`/ready`",
)
async def test_a_password_may_be_shown_to_the_broker(guarded: Guarded, tmp_path: Path) -> None:
    """A whole gateway over SASL_SSL with PLAIN; what it provides and settles is as with SCRAM."""
    names = guarded.names
    world = World(guarded.node.bootstrap, names.prefix, tmp_path)
    settings = {**guarded.by_password("gateway"), "kafka__sasl_mechanism": PLAIN}
    async with world.genie, world.gateway(**settings) as gateway:
        await gateway.ready(3)
        consent, payment = a_consent("subject-anna", consent_version=2), a_payment("subject-anna")
        await produce(guarded, Role.CONSENTS, names.consents, schemas.encode("ConsentRecord", consent))
        await produce(guarded, Role.BILLING, names.payments, schemas.encode("LeasePaymentEvent", payment))
        await until(lambda: _accepted(world), BOUND_S, "an acceptance")
    assert "canary" not in gateway.log.read_text("utf-8")


def _accepted(world: World) -> bool:
    return any(entry["status"] == "accepted" for entry in world.received())


@fault(
    Where.SECURITY,
    "the broker's certificate has expired",
    does="does not start",
    seen="exit status 2; `SSLCertVerificationError: its certificate ... is not valid now`",
)
async def test_a_broker_with_an_expired_certificate_is_not_trusted(tmp_path: Path) -> None:
    """Although its authority and host are right; and the message says that the date may be wrong."""
    authority = trustme.CA()
    yesterday = datetime.now(UTC) - timedelta(days=1)
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", not_before=yesterday - timedelta(days=9), not_after=yesterday).configure_cert(
        served
    )
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    (tmp_path / "password").write_text("canary-gateway")
    async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=served) as server:
        port = server.sockets[0].getsockname()[1]
        connection = kafka_connection(
            KafkaSettings(
                bootstrap_servers=f"127.0.0.1:{port}",
                security_protocol="SASL_SSL",
                ca_file=tmp_path / "ca.pem",
                sasl_username="gateway",
                sasl_password_file=tmp_path / "password",
            )
        )
        with pytest.raises(KafkaRefusedError, match=r"SSLCertVerificationError.*is not valid now") as refused:
            async with connection.client():
                pass
    assert "canary" not in str(refused.value)
