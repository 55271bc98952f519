"""Faults strike the share they were given, in bursts if told so, and are switched while GeNiE runs."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.sandbox.genie import Sandbox, faults
from gateway.sandbox.genie.answer import LOOKUPS, Answer
from gateway.sandbox.genie.faults import KINDS, FaultError, Faults
from tests.contract.genie_client import Client, Clock, client_of, entry


class Request:
    """As much of a request as a fault's share needs."""

    lookup = False
    keys = ()


async def struck(drawn: Faults) -> bool:
    return isinstance(await drawn.strike(faults.Point.BEFORE_JUDGING, Request()), Answer)  # type: ignore[arg-type]


async def test_the_share_is_kept_and_follows_from_the_seed() -> None:
    """About the given share of requests is struck, and the same seed strikes the same ones."""

    async def all_struck(seed: int) -> list[bool]:
        drawn = Faults(seed)
        drawn.replace({"unavailable": {"share": 0.3}})
        return [await struck(drawn) for _ in range(1000)]

    assert await all_struck(1) == await all_struck(1) != await all_struck(2)
    assert 250 < sum(await all_struck(1)) < 350


async def test_a_burst_strikes_everything_until_it_is_over() -> None:
    """Once struck, all that follows is struck for so many seconds, and then the share counts again."""
    seconds = [0.0]
    drawn = Faults(1, now=lambda: seconds[0])
    drawn.replace({"too_many_requests": {"share": 0.05, "burst_s": 10}})
    while not await struck(drawn):
        assert drawn.hits["too_many_requests"] == 0
    seconds[0] = 9.9
    assert all([await struck(drawn) for _ in range(100)])
    seconds[0] = 10.0
    assert not all([await struck(drawn) for _ in range(100)])


async def test_a_burst_ends_with_its_fault() -> None:
    """What was switched off and on again has no burst left."""
    drawn = Faults(1, now=lambda: 0.0)
    drawn.replace({"unavailable": {"share": 1, "burst_s": 10}})
    assert await struck(drawn)
    drawn.replace({})
    drawn.replace({"unavailable": {"share": 0}})
    assert not await struck(drawn)


@pytest.mark.parametrize(
    ("on", "provided", "looked_up"), [("any", 503, 503), ("provisions", 503, 200), ("lookups", 200, 503)]
)
async def test_a_fault_strikes_what_it_aims_at(genie: Client, on: str, provided: int, looked_up: int) -> None:
    """A fault strikes provisions, lookups, or both, and counts only what it strikes."""
    await genie.set_faults(unavailable={"share": 1, "on": on})
    assert (await genie.provide(entry("a"))).status_code == provided
    assert (
        await genie.post(LOOKUPS, {"recipient_id": "genie", "idempotency_keys": [entry("a")["idempotency_key"]]})
    ).status_code == looked_up
    assert (await genie.stats())["faults"]["unavailable"] == (provided == 503) + (looked_up == 503)


async def test_faults_are_shown_and_replaced_at_run_time(genie: Client) -> None:
    """PUT replaces all faults; GET tells of every kind what it does, what it takes, and whether it is on."""
    await genie.set_faults(unavailable={"share": 0.5}, latency={"share": 1, "ms": 3, "spread": "uniform"})
    shown = await _get(genie, "/faults")
    assert list(shown) == list(KINDS)
    assert shown["latency"]["on"].items() >= {"share": 1, "ms": 3, "spread": "uniform", "on": "any"}.items()
    assert shown["too_many_requests"]["on"] is None
    assert shown["server_error"]["parameters"]["status"] == {"takes": "one of 500, 502, 503, 504", "default": 500}
    await genie.set_faults()
    assert all(fault["on"] is None for fault in (await _get(genie, "/faults")).values())


async def test_faults_are_added_at_run_time(genie: Client) -> None:
    """PATCH switches faults on, or to other parameters, and leaves the others alone."""
    await genie.set_faults(unavailable={"share": 0.5}, latency={"share": 1, "ms": 3})
    wanted = {"latency": {"share": 1, "ms": 4}, "redirect": {"share": 0}}
    async with genie.session.patch(f"{genie.sandbox.admin_url}/faults", json=wanted) as response:
        shown = await response.json()
    on = {name: fault["on"] for name, fault in shown.items() if fault["on"]}
    assert list(on) == ["latency", "unavailable", "redirect"]
    assert on["latency"]["ms"] == 4


LATENCY_TAKES = "fault latency takes share, burst_s, on, ms, spread, p99_ms, and needs ms, share"
WRONG: list[tuple[Any, str]] = [
    ({"nonsense": {"share": 1}}, "there is no fault 'nonsense'; there are latency, "),
    ({"latency": {"share": 1}}, LATENCY_TAKES),
    ({"latency": {"share": 1, "ms": 1, "x": 1}}, LATENCY_TAKES),
    ({"latency": {"share": 1, "ms": 1, "spread": "odd"}}, "fault latency: spread must be one of fixed, "),
    ({"latency": {"share": 1, "ms": 9, "spread": "lognormal", "p99_ms": 8}}, "fault latency: spread lognormal needs"),
    ({"latency": {"share": 1, "ms": -1}}, "fault latency: ms must be a number, 0 or more"),
    ({"unavailable": {"share": 1.1}}, "fault unavailable: share must be a number from 0 to 1"),
    ({"unavailable": {"share": -1}}, "fault unavailable: share must be a number from 0 to 1"),
    ({"unavailable": {"share": True}}, "fault unavailable: share must be a number from 0 to 1"),
    ({"unavailable": {"share": 1, "signed": 1}}, "fault unavailable: signed must be true or false"),
    ({"unavailable": {"share": 1, "on": "x"}}, "fault unavailable: on must be one of any, provisions, lookups"),
    ({"server_error": {"share": 1, "status": 501}}, "fault server_error: status must be one of 500, 502, 503, 504"),
    ({"server_error": {"share": 1, "status": "500"}}, "fault server_error: status must be one of 500, 502, 503, 504"),
    ({"redirect": {"share": 1, "to": 1}}, "fault redirect: to must be text"),
    ({"unavailable": {"share": 1, "retry_after": 0.5}}, "fault unavailable: retry_after must be a whole number"),
    ({"unavailable": 1}, "fault unavailable takes share, burst_s, on, retry_after, as_date, signed, and needs share"),
    ([], "the content must be an object"),
]


@pytest.mark.parametrize(("wanted", "message"), WRONG)
async def test_wrong_faults_change_nothing(genie: Client, wanted: Any, message: str) -> None:
    """A wrong name or parameter is answered with what is right, and the faults stay as they were."""
    await genie.set_faults(entry_retry={"share": 0.5})
    async with genie.session.put(f"{genie.sandbox.admin_url}/faults", json=wanted) as response:
        assert response.status == 400
        assert (await response.json())["error"].startswith(message)
    assert list(genie.sandbox.faults.active) == ["entry_retry"]


async def test_wrong_faults_at_start(tmp_path: Path) -> None:
    """The same holds for the faults that a sandbox is started with."""
    with pytest.raises(FaultError, match="there is no fault 'x'"):
        Sandbox(tmp_path, faults={"x": {"share": 1}})


async def test_stats_count(genie: Client) -> None:
    """Answers, refusals, entries, lookups, faults and distinct keys are counted."""
    await genie.provide(entry("a"), entry("a"))
    await genie.look_up("a", "b")
    await genie.post("/v1/nowhere", {})
    await genie.set_faults(unavailable={"share": 1})
    await genie.provide(entry("c"))
    assert await genie.stats() == {
        "answers": {"200": 2, "404": 1, "503": 1},
        "refusals": {"not-found": 1},
        "entries": {"accepted": 1, "duplicate": 1},
        "lookups": {"received": 1, "not_received": 1},
        "faults": {"unavailable": 1},
        "connections_cut": 0,
        "in_flight": 0,
        "distinct_keys": 1,
        "nonces": 3,
    }


async def test_a_sandbox_stops_although_a_request_hangs(tmp_path: Path, clock: Clock) -> None:
    """A sandbox stops within a bound although a fault keeps a request waiting."""
    wanted = {"timeout_after_accepting": {"share": 1}}
    async with Sandbox(tmp_path, clock=clock, faults=wanted) as sandbox, client_of(sandbox, clock) as genie:
        waiting = asyncio.create_task(genie.provide(entry("a")))
        await genie.stats_until(lambda stats: stats["distinct_keys"] == 1)
    with pytest.raises((aiohttp.ClientError, asyncio.CancelledError)):
        await waiting


async def _get(genie: Client, path: str) -> dict[str, Any]:
    async with genie.session.get(genie.sandbox.admin_url + path) as response:
        document: dict[str, Any] = await response.json()
        return document
