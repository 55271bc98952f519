"""`gateway ledger verify` and `reconcile` over what a real gateway and a real GeNiE have left behind."""

import asyncio
from typing import Any

import orjson
from typer.testing import CliRunner

from gateway import schemas
from gateway.cli import app
from gateway.core.identity import b64url
from gateway.sandbox.genie.faults import Point
from tests.integration.chosen_records import a_replay, now_ms
from tests.integration.gateway_world import LANES, World
from tests.oncall.genie_beside import books

ANN, BOB, CAROL = "subject-ann", "subject-bob", "subject-carol"
FOUND_WRONG = 1
ROUNDS, LOOKS = 12, 2


async def command(world: World, name: str, *options: str) -> tuple[int, dict[str, Any]]:
    """`gateway ledger NAME`, with the settings of a gateway of this world: exit status and JSON."""
    arguments = ["ledger", name, "--json", *options]
    result = await asyncio.to_thread(CliRunner().invoke, app, arguments, env=world.settings("desk"))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, orjson.loads(result.stdout.splitlines()[-1])


async def live(world: World) -> None:
    """Every outcome that comes about by itself, a kill -9 with requests at GeNiE, and replays of three kinds."""
    names = world.names
    for subject in (ANN, BOB):
        await world.consent(subject)
    async with world.gateway(genie__batch="2") as first:
        await first.ready(LANES)
        await world.write_to_all([ANN, BOB, CAROL])
        await world.write(names.payments, ANN, b"garbage")
        future = await world.payment(ANN, occurred_at=now_ms() + 3_600_000)
        await world.settled(8)
        status, seen = await command(world, "verify")
        assert (status, seen["clean"]) == (0, True)
        gate = world.gate(Point.AFTER_ACCEPTING, first=2)
        for partition in (0, 1):
            await world.payment(ANN, partition)
        await world.sees(lambda: gate.came == 2, "both at GeNiE")
        status, seen = await command(world, "verify")
        assert (status, sum(lane["open"] for lane in seen["lanes"])) == (0, 2)
        first.kill()
        await first.end_status()
    gate.open()
    await world.consent(CAROL)
    async with world.gateway(genie__batch="2") as second:
        await second.ready(LANES)
        for subject, offset in ((ANN, 0), (ANN, future), (CAROL, 1), (ANN, 999)):
            request = schemas.encode("ReplayRequest", a_replay(subject, names.payments, 0, offset))
            await world.write(names.replays, subject, request)
        await world.settled(14)
        await second.end_in_order()


async def test_nothing_under_way_looks_wrong(world: World) -> None:
    """While a gateway provides, withholds, parks and replays as fast as it can, both commands find nothing at all."""
    await world.consent(ANN)
    async with world.gateway(genie__batch="2") as gateway:
        await gateway.ready(LANES)
        writing = asyncio.create_task(write_some_of_each(world))
        looks = 0
        while looks < LOOKS or not writing.done():
            for name in ("verify", "reconcile"):
                status, seen = await command(world, name)
                assert (status, seen["findings"]) == (0, {}), name
            looks += 1
        await writing
        await world.settled(ROUNDS * 4)
        await gateway.end_in_order()
    status, seen = await command(world, "verify")
    assert (status, sum(lane["open"] for lane in seen["lanes"])) == (0, 0)


async def write_some_of_each(world: World) -> None:
    """To be provided, withheld, parked, and the parked one again."""
    for _ in range(ROUNDS):
        await world.payment(ANN)
        await world.payment(CAROL)
        future = await world.payment(ANN, occurred_at=now_ms() + 3_600_000)
        await world.sees(lambda offset=future: world.has_settled(offset), "the parked one is settled")
        request = schemas.encode("ReplayRequest", a_replay(ANN, world.names.payments, 0, future))
        await world.write(world.names.replays, ANN, request)


async def test_what_a_gateway_leaves_is_clean_and_what_changes_behind_its_back_is_found(world: World) -> None:
    """Live and at rest, after a crash and with replays; then GeNiE has one more, one less and another body."""
    await live(world)
    status, verified = await command(world, "verify")
    assert (status, verified["findings"], verified["unresolved"]["count"]) == (0, {}, 0)
    assert (verified["digests_compared"], verified["notes"]) == (True, [])
    assert sum(lane["settled"] for lane in verified["lanes"]) == sum(lane["inputs"] for lane in verified["lanes"]) == 14
    assert all(lane["open"] == lane["gone"] == 0 for lane in verified["lanes"])
    status, reconciled = await command(world, "reconcile")
    assert (status, reconciled["findings"], reconciled["resolved"]["count"]) == (0, {}, 0)
    assert reconciled["records"] == 14
    await world.judged()

    at_genie = books(world.genie)
    replayed = {each["idempotency_key"] for each in world.ledger if each["replay_of"] is not None}
    lost, other, *_ = (
        each for each in world.ledger if each["outcome"] == "PROVIDED" and each["idempotency_key"] not in replayed
    )
    extra = next(each for each in world.ledger if each["reason"] == "future_event")
    kept = at_genie.pop(lost["idempotency_key"])
    at_genie[other["idempotency_key"]] = kept._replace(body_digest=b64url(bytes(32)))
    at_genie[extra["idempotency_key"]] = kept
    status, reconciled = await command(world, "reconcile")
    found = {kind: [each["place"] for each in some["listed"]] for kind, some in reconciled["findings"].items()}
    assert (status, found) == (
        FOUND_WRONG,
        {"not_at_genie": [place(lost)], "other_body": [place(other)], "not_recorded": [place(extra)]},
    )


def place(written: Any) -> str:
    """Where its input lies."""
    at = written["input"]
    return f"{at['topic']}:{at['partition']}:{at['offset']}"
