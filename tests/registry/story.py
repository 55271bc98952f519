"""Two gateways on a real registry: events by four kinds of producer, and a registry that hangs in between."""

import asyncio
import json
import struct
import uuid
from dataclasses import dataclass, field
from io import SEEK_END, BytesIO
from pathlib import Path
from typing import Any

import confluent_kafka
import fastavro
import httpx
from typer.testing import CliRunner

from gateway import schemas
from gateway.avro_writer import compile_writer
from gateway.cli import app
from gateway.kafka.http_registry import HttpRegistry
from gateway.kafka.names import TopicNames
from gateway.producer import Producer, check
from gateway.producer.examples import example
from tests.integration.chosen_records import a_payment
from tests.integration.gateway_process import GatewayProcess
from tests.integration.gateway_world import World
from tests.integration.registry_run import IMPATIENT, known_to_the_verifier
from tests.registry.apicurio import Apicurio
from tests.registry.java_client import send_payment
from tests.registry.later_release import ADDED

SUBJECT = "subject-one"
UNKNOWN_ID = 2_000_000_000
BILLING = "billing"
DELIVERY_S = 20.0


@dataclass
class Run:
    """What is left for the tests to look at."""

    reasons: dict[str, str] = field(default_factory=dict)  # of what each producer wrote
    waited: set[str] = field(default_factory=set)  # lanes that showed that they wait
    settled_while_it_hung: int = 0
    bodies: list[dict[str, Any]] = field(default_factory=list)
    rejected: str = ""  # what `gateway parked list --producer` prints
    stats: str = ""
    by_java: str = ""


def command(*arguments: str) -> str:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    return done.stdout


async def everything(
    apicurio: Apicurio, kafka: str, directory: Path, later: schemas.SchemaSet, login: dict[str, str]
) -> Run:
    run = Run()
    world = World(kafka, f"t{uuid.uuid4().hex[:8]}.", directory)
    at = ["--registry", apicurio.url, "--prefix", world.prefix]
    async with world:
        await asyncio.to_thread(command, "schemas", "register", *at)
        await world.consent(SUBJECT)
        async with (
            world.gateway(IMPATIENT, **login) as one,
            world.gateway(IMPATIENT, instance="two", **login) as two,
        ):
            await world.sees(lambda: world.shared(one, two), "both gateways have lanes")
            offsets = {"kit": await _kit(world, apicurio)}
            run.by_java = await send_payment(kafka, apicurio.url, world.names.payments, SUBJECT)
            offsets["java"] = _offset(run.by_java)
            offsets["librdkafka"] = await asyncio.to_thread(_librdkafka, world, apicurio)
            newer = later.current["LeasePaymentEvent"]
            number = await _registered(apicurio, world.names, newer)
            await world.settled(3)
            apicurio.freeze()
            try:
                offsets["later"] = await _later(world, number, newer)
                await world.sees(lambda: _waits(world, run, one, two), "a lane waits for the registry")
                run.settled_while_it_hung = len(world.ledger) - 3
            finally:
                apicurio.thaw()
            await world.settled(4)
            offsets["unknown"] = await _unknown(world)
            await world.settled(5)
            seen_by = ["--bootstrap", kafka, *at]
            run.rejected = await asyncio.to_thread(command, "parked", "list", "--producer", BILLING, *seen_by)
            run.stats = await asyncio.to_thread(command, "parked", "stats", "--producer", BILLING, *seen_by)
            await world.save_metrics(one)
            await one.end_in_order()
            await two.end_in_order()
        places = {place: name for name, place in offsets.items()}
        for written in world.ledger:
            run.reasons[places[written["input"]["partition"], written["input"]["offset"]]] = written["reason"]
        run.bodies = [entry["body"] for entry in world.received()]
        with known_to_the_verifier({number: newer}):
            await world.judged()
    return run


async def _kit(world: World, apicurio: Apicurio) -> tuple[int, int]:
    """Through the kit, which asks the registry for the id."""
    from datetime import UTC, datetime

    made = example("LeasePaymentEvent", datetime.now(UTC)) | {"subject_ref": SUBJECT}
    kit = Producer(world.kafka, service=BILLING, prefix=world.prefix, registry_url=apicurio.url)
    async with kit:
        (place,) = await kit.send_all([check("LeasePaymentEvent", made)])
    return place.partition, place.offset


def _librdkafka(world: World, apicurio: Apicurio) -> tuple[int, int]:
    """By Confluent's client and fastavro, with the schema and the id that the registry has: nothing of ours."""
    topic = world.names.payments
    newest = httpx.get(f"{apicurio.url}/subjects/{topic}-value/versions/latest").json()
    value = BytesIO(struct.pack(">bI", 0, newest["id"]))
    value.seek(0, SEEK_END)
    schema = fastavro.parse_schema(json.loads(newest["schema"]))
    fastavro.schemaless_writer(value, schema, a_payment(SUBJECT))
    delivered: list[confluent_kafka.Message] = []
    producer = confluent_kafka.Producer(
        {"bootstrap.servers": world.kafka, "enable.idempotence": True, "partitioner": "murmur2_random"}
    )
    producer.produce(topic, value.getvalue(), SUBJECT, on_delivery=lambda _, message: delivered.append(message))
    assert producer.flush(DELIVERY_S) == 0
    (message,) = delivered
    assert message.error() is None
    return message.partition() or 0, message.offset() or 0


async def _later(world: World, number: int, newer: schemas.Schema) -> tuple[int, int]:
    """By a schema that no gateway has seen, with a field more in every record."""
    record = a_payment(SUBJECT) | {ADDED: "a-value-that-stays"}
    for inner in ("customer", "vehicle"):
        record[inner] = record[inner] | {ADDED: "a-value-that-stays"}
    value = schemas.frame(number, compile_writer(newer.record)(record))
    return 0, await world.write(world.names.payments, SUBJECT, value)


async def _unknown(world: World) -> tuple[int, int]:
    """By an id that nobody registered, as billing's rejected event."""
    value = schemas.frame(UNKNOWN_ID, b"x")
    headers = [("producer", BILLING.encode())]
    return 0, await world.write(world.names.payments, SUBJECT, value, headers=headers)


async def _registered(apicurio: Apicurio, names: TopicNames, newer: schemas.Schema) -> int:
    registry = HttpRegistry.of(apicurio.url, names)
    try:
        path = f"/subjects/{names.payments}-value/versions"
        status, answer = await registry.ask("the later schema", "POST", path, {"schema": newer.text})
        assert status == 200, answer
        return int(answer["id"])
    finally:
        await registry.close()


async def _waits(world: World, run: Run, *gateways: GatewayProcess) -> bool:
    for gateway in gateways:
        views = (await gateway.status())["lanes"]
        run.waited |= {lane for lane, view in views.items() if view.get("awaits_registry")}
    return f"{world.names.payments}:0" in run.waited


def _offset(place: str) -> tuple[int, int]:
    _, partition, offset = place.rsplit(":", 2)
    return int(partition), int(offset)
