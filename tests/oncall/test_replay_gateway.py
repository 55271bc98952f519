"""Replays on a real gateway, a strict GeNiE and Kafka: they pass the same checks as any record, judged by the verifier.

Four records are parked by a hold and planned; then the world moves on before the plan is applied.
"""

import asyncio
import time
import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from gateway import schemas
from gateway.cli import app
from gateway.kafka.connection import KafkaConnection
from gateway.oncall.audit import Operator
from gateway.oncall.desk import open_desk
from gateway.oncall.replay.plan_file import Plan, read
from gateway.oncall.replay.requests import RequestWriter
from gateway.sandbox.verifier import Verdict
from tests.integration.chosen_records import a_payment
from tests.integration.gateway_world import LANES, World
from tests.oncall.desk_world import OPERATOR

GIVEN, WITHDRAWN, SENT_AGAIN, HELD = subjects = [f"subject-{name}" for name in ("given", "withdrawn", "again", "held")]


@dataclass(frozen=True, slots=True)
class Story:
    """What came of it."""

    plan: Plan
    status: dict[str, Any]
    second: dict[str, Any]  # what a second apply said
    ended: dict[str, list[tuple[str, str]]]  # subject -> how each replay of its record ended, in order
    parked: set[bytes | None]  # keys that are still parked
    replanned: dict[str, str]  # subject -> how its record stands in a plan made afterwards
    verdict: Verdict


@pytest.fixture(scope="module")
def story(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """The whole run, once."""
    return asyncio.run(told(kafka, tmp_path_factory.mktemp("replays")))


def test_what_may_be_provided_is_provided(story: Story) -> None:
    """Once, although two plans asked for it; the other replay is told that GeNiE has it."""
    assert story.ended[GIVEN] == [("PROVIDED", "accepted"), ("DUPLICATE", "same_event")]


def test_a_withdrawn_customer_stays_withheld(story: Story) -> None:
    """Although the plan, made before the withdrawal, said otherwise."""
    assert story.ended[WITHDRAWN] == [("WITHHELD", "consent_withdrawn")] * 2
    assert {"planned": "provide", "outcome": "WITHHELD", "reason": "consent_withdrawn", "records": 1} in story.status[
        "ends"
    ]


def test_an_event_that_genie_has_is_a_duplicate(story: Story) -> None:
    """The producer had sent it again, and that record was provided: the replay is not recorded as provided too."""
    assert story.ended[SENT_AGAIN] == [("DUPLICATE", "same_event")] * 2


def test_a_replay_of_what_is_held_is_parked_again(story: Story) -> None:
    """And planning again finds the input, not the replay: a replay is never replayed."""
    assert story.ended[HELD] == [("PARKED", "held")] * 2
    assert story.replanned == {HELD: "held"}
    assert {entry.topic for entry in story.plan.entries} == {"lease.payments"}


def test_only_what_was_not_resolved_is_still_parked(story: Story) -> None:
    """The parked record of an input goes in the transaction that settles its replay."""
    assert len([key for key in story.parked if key is not None and b"lease.payments" in key]) == 1


def test_a_second_apply_asks_for_nothing(story: Story) -> None:
    """It knows the requests by their ids."""
    assert (story.second["before"], story.second["now"]) == (4, 0)
    assert (story.status["requested"], story.status["requested_twice"]) == (4, 0)


def test_the_verifier_finds_nothing(story: Story) -> None:
    """No promise is broken: nothing lost, duplicated, out of order, without consent."""
    assert story.verdict.clean, story.verdict.examples
    assert story.verdict.duplicated == 0


async def told(kafka: str, directory: Path) -> Story:
    prefix = f"t{uuid.uuid4().hex[:8]}."
    async with World(kafka, prefix, directory) as world:
        for subject in subjects:
            await world.consent(subject)
        holds = [await hold(world, subject) for subject in subjects]
        again = a_payment(SENT_AGAIN)
        async with world.gateway() as gateway:
            await gateway.ready(LANES)
            for subject in subjects:
                event = again if subject == SENT_AGAIN else a_payment(subject)
                await world.write(world.names.payments, subject, schemas.encode("LeasePaymentEvent", event))
            await world.settled(4)
            for subject, hold_id in zip(subjects[:3], holds, strict=False):
                await hold(world, subject, hold_id=hold_id, state="released")
            first, second = directory / "first.json", directory / "second.json"
            for file in (first, second):
                planned = await run(world, "plan", "--parked-reason", "held", "--out", str(file))
            assert planned["today"] == {"provide": 3, "held": 1}

            await world.write(world.names.payments, SENT_AGAIN, schemas.encode("LeasePaymentEvent", again))
            await world.settled(5)
            await world.withdraw(WITHDRAWN)
            await run(world, "apply", str(first), *OPERATOR)
            applied_again = await run(world, "apply", str(first), *OPERATOR)
            await ask_blindly(world, read(second))
            await world.settled(13)
            status = await run(world, "status", str(first), status=1)
            third = directory / "third.json"
            await run(world, "plan", "--outcome", "PARKED", "--out", str(third))
        return Story(
            without_prefix(read(first), prefix),
            status,
            applied_again,
            ended(world),
            still_parked(world),
            {entry.subject_ref: entry.stands for entry in read(third).entries},
            await world.verdict(),
        )


async def run(world: World, *arguments: str, status: int = 0) -> dict[str, Any]:
    """What `gateway replay ARGUMENTS --json` prints."""
    settings = {"GATEWAY_KAFKA__BOOTSTRAP_SERVERS": world.kafka, "GATEWAY_TOPICS__PREFIX": world.prefix}
    result = await asyncio.to_thread(CliRunner().invoke, app, ["replay", *arguments, "--json"], env=settings)
    assert result.exit_code == status, (result.output, result.exception)
    printed: dict[str, Any] = orjson.loads(result.stdout)
    return printed


async def hold(world: World, subject: str, hold_id: str = "", state: str = "held") -> str:
    """Hold a subject, or release it."""
    record = {
        "hold_id": hold_id or str(uuid.uuid4()),
        "scope": "subject",
        "value": subject,
        "state": state,
        "operator": "ann",
        "reason": "test",
        "ticket": "T-1",
        "at": time.time_ns() // 1_000_000,
        "expires_at": None,
    }
    await world.write(world.names.controls, record["hold_id"], schemas.encode("Control", record))
    return str(record["hold_id"])


async def ask_blindly(world: World, plan: Plan) -> None:
    """Write a plan's requests as two applies of two plans may that looked before either wrote."""
    async with open_desk(KafkaConnection(world.kafka, "test"), world.names, None, lambda *_: None) as desk:
        writer = RequestWriter(desk, plan)
        await writer.take_over()
        await writer.write(plan.entries, Operator("bob", "test", "T-2"))
        await writer.close()


def ended(world: World) -> dict[str, list[tuple[str, str]]]:
    """How each replay ended, in the order of the requests."""
    replays = [each for each in world.ledger if each["replay_of"] is not None]
    replays.sort(key=lambda each: (each["input"]["partition"], each["input"]["offset"]))
    found: dict[str, list[tuple[str, str]]] = {subject: [] for subject in subjects}
    for each in replays:
        found[each["subject_ref"]].append((each["outcome"], each["reason"]))
    return found


def still_parked(world: World) -> set[bytes | None]:
    """Keys whose newest record is no tombstone."""
    newest = {each.key: each.record for each in world.parked}
    return {key for key, record in newest.items() if record is not None}


def without_prefix(plan: Plan, prefix: str) -> Plan:
    """With topics as they are called in production."""
    return replace(plan, entries=[replace(each, topic=each.topic.removeprefix(prefix)) for each in plan.entries])
