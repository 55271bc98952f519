"""What a real gateway writes, read by `gateway parked` and `gateway explain`: nothing in it is made up here."""

import asyncio
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from gateway import schemas
from gateway.cli import app
from tests.integration.chosen_records import a_payment
from tests.integration.gateway_world import LANES, World
from tests.oncall.desk_world import OPERATOR

GIVEN, HELD = "subject-given", "subject-held"
REVEAL = ["--reveal", *OPERATOR]
COUNTS = ("shown", "selected", "all", "unreadable", "forgotten_replays", "of_another_cluster")


@dataclass(frozen=True, slots=True)
class Run:
    """What the commands said, in the order in which they were run."""

    parked: dict[str, Any]  # while one record is held
    looked: dict[str, Any]  # into it
    after: dict[str, Any]  # what is parked after the replay
    given: dict[str, Any]
    held: dict[str, Any]
    withdrawn: dict[str, Any]
    personal: tuple[str, ...]  # values in the records


@pytest.fixture(scope="module")
def run(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One record is provided; one is held, released and replayed; then a customer withdraws."""
    return asyncio.run(told(kafka, tmp_path_factory.mktemp("explain")))


def test_what_is_held_is_parked_until_its_replay(run: Run) -> None:
    """One line; with its place, which `show` and `explain` take; gone once the replay is settled."""
    [parked] = run.parked["parked"]
    assert (parked["reason"], parked["subject_ref"], parked["transmitted"], parked["gone"]) == (
        "held",
        HELD,
        "no",
        False,
    )
    assert run.looked["input"] == parked["input"]
    assert run.after == {"parked": []} | dict.fromkeys(COUNTS, 0)


def test_a_provision_is_told_in_order(run: Run) -> None:
    """By the gateway's own records, from its arrival to the ledger."""
    assert [step["what"] for step in run.given["story"]] == ["arrived", "announced", "decided", "answered", "settled"]
    announced, decided, settled = (run.given["story"][at] for at in (1, 2, 4))
    assert announced["items"] == decided["items"]
    assert (settled["outcome"], settled["transmitted"], settled["attempts"]) == ("PROVIDED", "yes", 1)
    assert announced["idempotency_key"] == settled["idempotency_key"]
    assert run.given["notes"] == []


def test_a_hold_a_release_and_a_replay_are_told_in_order(run: Run) -> None:
    """With who asked; the replay's own steps after it."""
    assert [step["what"] for step in run.held["story"]] == [
        *("held", "arrived", "decided", "settled", "parked", "released"),
        *("asked", "announced", "decided", "answered", "settled", "resolved"),
    ]
    assert run.held["story"][6]["operator"] == "ann"
    assert [told["outcome"] for told in run.held["records"]] == ["PARKED", "PROVIDED"]


def test_what_it_would_be_follows_the_consent(run: Run) -> None:
    """Permitted in the scope that the gateway took; after the withdrawal not."""
    taken = run.given["story"][2]
    assert run.given["what_if"]["permit"] is True
    assert run.given["what_if"]["items"] == taken["items"]
    assert run.given["what_if"]["permitted_purposes"] == taken["permitted_purposes"]
    assert (run.withdrawn["what_if"]["permit"], run.withdrawn["what_if"]["reason"]) == (False, "consent_withdrawn")


def test_no_value_of_a_person_is_in_any_answer(run: Run) -> None:
    """Not in the shapes of --reveal either."""
    told = orjson.dumps([run.parked, run.looked, run.given, run.held, run.withdrawn]).decode()
    assert run.looked["original"]["lines"]
    assert [value for value in run.personal if value in told] == []


async def told(kafka: str, directory: Path) -> Run:
    async with World(kafka, f"t{uuid.uuid4().hex[:8]}.", directory) as world:
        for subject in (GIVEN, HELD):
            await world.consent(subject)
        hold_id = await hold(world, str(uuid.uuid4()), "held")
        events = {subject: a_payment(subject) for subject in (GIVEN, HELD)}
        async with world.gateway() as gateway:
            await gateway.ready(LANES)
            for subject, event in events.items():
                await world.write(world.names.payments, subject, schemas.encode("LeasePaymentEvent", event))
            await world.settled(2)
            parked = await command(world, "parked", "list")
            looked = await command(world, "parked", "show", parked["parked"][0]["input"], *REVEAL)
            await hold(world, hold_id, "released")
            plan = str(directory / "plan.json")
            await command(world, "replay", "plan", "--parked-reason", "held", "--out", plan)
            await command(world, "replay", "apply", plan, *OPERATOR)
            await world.settled(3)
            after = await command(world, "parked", "list")
            given = await command(world, "explain", events[GIVEN]["event_id"], "--what-if")
            held = await command(world, "explain", "--offset", parked["parked"][0]["input"])
            await world.withdraw(GIVEN)
            withdrawn = await command(world, "explain", events[GIVEN]["event_id"], "--what-if")
        customers = [event["customer"] for event in events.values()]
        personal = tuple(
            str(customer[name]) for customer in customers for name in ("name", "name_kana", "address", "phone")
        )
        return Run(parked, looked, after, given, held, withdrawn, personal)


async def command(world: World, *arguments: str) -> dict[str, Any]:
    """What `gateway ARGUMENTS --json` prints."""
    settings = {"GATEWAY_KAFKA__BOOTSTRAP_SERVERS": world.kafka, "GATEWAY_TOPICS__PREFIX": world.prefix}
    result = await asyncio.to_thread(CliRunner().invoke, app, [*arguments, "--json"], env=settings)
    assert result.exit_code == 0, (result.output, result.exception)
    printed: dict[str, Any] = orjson.loads(result.stdout)
    return printed


async def hold(world: World, hold_id: str, state: str) -> str:
    """Hold the subject, or release it."""
    record = {
        "hold_id": hold_id,
        "scope": "subject",
        "value": HELD,
        "state": state,
        "operator": "ann",
        "reason": "test",
        "ticket": "T-1",
        "at": time.time_ns() // 1_000_000,
        "expires_at": None,
    }
    await world.write(world.names.controls, hold_id, schemas.encode("Control", record))
    return hold_id
