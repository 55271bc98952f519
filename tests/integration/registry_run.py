"""One run of a gateway whose schema registry is away, answers what a broken one would, and learns new schemas.

tests/integration/test_registry_trouble.py looks at what is left of it.
"""

import asyncio
import copy
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from fastavro import parse_schema
from typer.testing import CliRunner

from gateway import avro, schemas
from gateway.avro_writer import compile_writer
from gateway.cli import app
from tests.integration.chosen_records import a_payment, a_replay
from tests.integration.gateway_process import GatewayProcess
from tests.integration.gateway_world import LANES, World
from tests.integration.schema_registry import Answer, SchemaRegistry, saying, silent

SUBJECT = "subject-one"
FIRST_ID = 301
PAYMENT = schemas.schema("LeasePaymentEvent").source
IMPATIENT = "registry_answers_within_a_second"
FORGETFUL = "unfit_schemas_are_forgotten"

# What the registry answers for a schema that it has, and that the lane needs.
WRONG: Mapping[str, Answer] = {
    "garbage": saying(b"\x00\xff garbage"),
    "a page of a proxy": saying(b"<html>who are you?</html>", media_type="text/html"),
    "an array": saying(b"[]"),
    "an error": saying(b'{"error_code": 50001, "message": "store"}', 500),
    "huge": saying(b'{"schema": "' + b" " * (1 << 21) + b'"}'),
    "never ends": silent,
}


@dataclass
class Run:
    """What is left for the tests to look at."""

    start_while_away: int | None = None
    said_while_away: str = ""
    registry_address: str = ""
    new_fields: dict[str, list[str]] = field(default_factory=dict)  # case -> what `gateway schemas diff` names
    waited: set[str] = field(default_factory=set)  # cases in which the lane showed that it waits
    settled_meanwhile: set[str] = field(default_factory=set)
    reasons: dict[str, str] = field(default_factory=dict)
    replayed: dict[str, str] = field(default_factory=dict)
    bodies: dict[str, dict[str, Any]] = field(default_factory=dict)


def schema_with(**part: Any) -> dict[str, Any]:
    """Our schema of payments with one more field, at the end."""
    raw = copy.deepcopy(dict(PAYMENT))
    raw["fields"].append(part)
    return raw


NEW_VERSIONS: Mapping[str, dict[str, Any]] = {
    "internal": schema_with(name="points", type=["null", "string"], default=None, item="internal"),
    "of an item that may leave": schema_with(
        name="late_fee", type=["null", "string"], default=None, item="payment_history"
    ),
    "unknown item": schema_with(name="points", type=["null", "string"], default=None, item="hobby"),
    "without item": schema_with(name="points", type=["null", "string"], default=None),
}
NEW_VALUE = "a-value-of-the-new-field"


class Story:
    """Writes payments by schemas of the test's own, and waits for what becomes of them."""

    def __init__(self, world: World, registry: SchemaRegistry, run: Run) -> None:
        self.world, self.registry, self.run = world, registry, run
        self.at: dict[str, int] = {}
        self.events: dict[str, str] = {}
        self.ids: dict[str, int] = {}
        self.written_by: dict[int, schemas.Schema] = {}

    async def write(
        self, case: str, source: Mapping[str, Any] = PAYMENT, *, registered: Mapping[str, Any] | None = None
    ) -> None:
        """A payment by a schema under an id of its own; `registered` is what the registry has there instead."""
        number = self.ids[case] = FIRST_ID + len(self.ids)
        self.registry.has(number, registered or source)
        record = a_payment(SUBJECT)
        self.events[case] = record["event_id"]
        new = {part["name"]: NEW_VALUE for part in source["fields"] if part["name"] not in record}
        node = avro.parse(source)
        assert isinstance(node, avro.Record)
        self.written_by[number] = schemas.Schema(
            "LeasePaymentEvent", number, source, node, parse_schema(avro.bare(node))
        )
        value = schemas.frame(number, compile_writer(node)(record | new))
        self.at[case] = await self.world.write(self.world.names.payments, SUBJECT, value)

    async def settled(self, case: str) -> None:
        await self.world.sees(lambda: self.world.has_settled(self.at[case]), case)

    async def waits(self, case: str, gateway: GatewayProcess) -> None:
        """The lane shows in its status and in a metric that it waits for the registry, and settles nothing."""
        lane = f"{self.world.names.payments}:0"

        async def shown() -> bool:
            return (await gateway.status())["lanes"][lane].get("awaits_registry", False)

        await self.world.sees(shown, f"lane waits: {case}")
        if self.world.has_settled(self.at[case]):
            self.run.settled_meanwhile.add(case)
        self.run.waited.add(case)

    async def differs(self, case: str) -> list[str]:
        """The fields of payments that `gateway schemas diff` names when the schema of a case is the newest one."""
        subject = f"{self.world.names.payments}-value"
        self.registry.versions[subject] = [self.ids[case]]
        command = ["schemas", "diff", "--registry", self.registry.url, "--prefix", self.world.prefix, "--json"]
        ended = await asyncio.to_thread(CliRunner().invoke, app, command)
        found = orjson.loads(ended.stdout)["differences"]
        return [each["path"] for each in found if each["subject"] == subject and each["path"]]

    async def replay(self, name: str, case: str) -> None:
        """Ask for the record of a case again, and wait."""
        before = len(self.world.ledger)
        request = a_replay(SUBJECT, self.world.names.payments, 0, self.at[case])
        await self.world.write(self.world.names.replays, SUBJECT, schemas.encode("ReplayRequest", request))
        await self.world.settled(before + 1)
        self.run.replayed[name] = self.world.ledger[-1]["reason"]


@contextmanager
def known_to_the_verifier(written_by: Mapping[int, schemas.Schema]) -> Iterator[None]:
    """It reads inputs by the ids of the files; the registry's are lent to it."""
    by_id: Any = schemas.own().by_id
    by_id.update(written_by)
    try:
        yield
    finally:
        for number in written_by:
            del by_id[number]


async def everything(kafka: str, directory: Path) -> Run:
    run = Run()
    world = World(kafka, f"t{uuid.uuid4().hex[:8]}.", directory)
    async with SchemaRegistry() as registry, world:
        await world.consent(SUBJECT)
        await registry.stop()
        async with world.gateway(schemas__registry_url=registry.url) as gateway:
            run.start_while_away = await gateway.end_status()
            run.said_while_away = gateway.end()
            run.registry_address = registry.url.removeprefix("http://")
        await registry.start()
        story = Story(world, registry, run)
        async with world.gateway(IMPATIENT, FORGETFUL, schemas__registry_url=registry.url) as gateway:
            await gateway.ready(LANES)
            await _away(story, gateway)
            for case, answer in WRONG.items():
                registry.trouble = answer
                await story.write(case)
                await story.waits(case, gateway)
                registry.trouble = None
                await story.settled(case)
            await _new_versions(story)
            await world.save_metrics(gateway)
            await gateway.end_in_order()
        at = {offset: case for case, offset in story.at.items()}
        for record in (written.record for written in world.ledger if written["replay_of"] is None):
            run.reasons[at[record["input"]["offset"]]] = record["reason"]
        accepted = {entry["body"]["envelope"]["event_id"]: entry["body"] for entry in world.received()}
        run.bodies = {case: accepted[event] for case, event in story.events.items() if event in accepted}
        with known_to_the_verifier(story.written_by):
            await world.judged()
    return run


async def _away(story: Story, gateway: GatewayProcess) -> None:
    """What the gateway knows already goes on; what it does not waits."""
    for case in ("before", "known while away"):
        story.at[case] = await story.world.payment(SUBJECT)
        await story.settled(case)
        await story.registry.stop()
    await story.write("away")
    await story.waits("away", gateway)
    await story.registry.start()
    await story.settled("away")


async def _new_versions(story: Story) -> None:
    for case, source in NEW_VERSIONS.items():
        await story.write(case, source)
        await story.settled(case)
        story.run.new_fields[case] = await story.differs(case)
    await story.write("of another kind", registered=schemas.schema("ConsentRecord").source)
    await story.settled("of another kind")
    for case in ("unknown item", "without item"):
        await story.replay(f"{case} as it was", case)
        story.registry.has(story.ids[case], NEW_VERSIONS["internal"])  # mended: the same bytes, now labelled
        await story.replay(f"{case} mended", case)
