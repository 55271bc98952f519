"""Our certificate for Kafka changes while the gateway runs; a guarded node of its own."""

import shutil
import uuid
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from gateway import schemas
from gateway.kafka.acls import Acl, Kind, Operation, Role
from gateway.kafka.cluster import EARLIEST
from gateway.kafka.lane_start import start_lanes
from gateway.kafka.topics import create_topics
from gateway.sandbox.broker import Node
from gateway.sandbox.broker.secured import Secured
from tests.faults import Where, fault
from tests.integration.chosen_records import a_consent, a_payment
from tests.integration.gateway_process import GatewayProcess
from tests.integration.gateway_world import BOUND_S, World
from tests.integration.guarded_kafka import PASSWORDS, Guarded, lacks
from tests.integration.waiting import until

OLD, NEW = "gateway-old", "gateway-new"
LANES = 3
ANN = "subject-ann"


async def prepared(guarded: Guarded) -> None:
    await create_topics(guarded.admin, guarded.names, partitions=1, relaxed=True)
    for user in (OLD, NEW):
        await guarded.allow(user, guarded.least(Role.GATEWAY))
    connection = guarded.connection(guarded.by_certificate(NEW))
    async with connection.client() as client:
        await lacks(client, guarded.least(Role.GATEWAY), [])
    await start_lanes(connection, guarded.names, guarded.group, EARLIEST, force=False)


@pytest.mark.long
@fault(
    Where.OWN,
    "our certificate for Kafka changes while it runs",
    does="opens every new connection with it; connections that stand go on",
    seen='`gateway_credential_changes_total{partner="kafka"}`, `gateway_certificate_expiry_timestamp_seconds`',
)
async def test_new_connections_to_kafka_prove_themselves_by_the_new_certificate(tmp_path: Path) -> None:
    """The old one may take over no lane any more; lanes that open again do so as the new one. No verdict: the
    verifier knows no login."""
    directory = tmp_path / "guarded"
    directory.mkdir()
    secured = Secured(directory, PASSWORDS, [OLD, NEW])
    async with Node(secured=secured) as node:
        guarded = Guarded(node, secured, f"t{uuid.uuid4().hex[:8]}.")
        await prepared(guarded)
        world = World(node.bootstrap, guarded.names.prefix, tmp_path)
        certificate, key = tmp_path / "own.pem", tmp_path / "own.key"
        put(secured, OLD, certificate, key)
        settings = {
            **guarded.by_certificate(OLD),
            "kafka__client_cert_file": str(certificate),
            "kafka__client_key_file": str(key),
        }
        async with world.genie, world.gateway("looks_often", **settings) as gateway:
            await gateway.ready(LANES)
            put(secured, NEW, certificate, key)
            await shows(gateway, b'gateway_credential_changes_total{partner="kafka"} 1.0')
            await no_take_over(guarded, OLD)
            async with world.gateway(instance="two", **guarded.by_certificate(NEW)) as second:
                await until(lambda: world.shared(gateway, second, lanes=LANES), BOUND_S, "all lanes open again, shared")
                await second.end_in_order()
            await until(lambda: world.shared(gateway, lanes=LANES), BOUND_S, "all lanes back")
            await produce(guarded)
            await until(world.received, BOUND_S, "the payment at GeNiE")
            await gateway.end_in_order()


def put(secured: Secured, name: str, certificate: Path, key: Path) -> None:
    shutil.copy(secured.key(name), key)
    shutil.copy(secured.certificate(name), certificate)


async def no_take_over(guarded: Guarded, user: str) -> None:
    acl = next(
        acl
        for acl in guarded.least(Role.GATEWAY)
        if (acl.kind, acl.operation) == (Kind.TRANSACTIONAL_ID, Operation.WRITE)
    )
    await guarded.forbid(user, acl)
    missing: list[Acl] = [acl]
    async with guarded.connection(guarded.by_certificate(user)).client() as client:
        await lacks(client, missing, missing)


async def shows(gateway: GatewayProcess, line: bytes) -> None:
    async def so() -> bool:
        return line in await gateway.metrics()

    await until(so, BOUND_S, line.decode())


async def produce(guarded: Guarded) -> None:
    names = guarded.names
    async with AIOKafkaProducer(**guarded.admin.kwargs(), acks="all") as producer:
        for topic, kind, record in (
            (names.consents, "ConsentRecord", a_consent(ANN)),
            (names.payments, "LeasePaymentEvent", a_payment(ANN)),
        ):
            await producer.send_and_wait(topic, key=ANN.encode(), value=schemas.encode(kind, record))
