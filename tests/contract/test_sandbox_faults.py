"""Each fault does what it says, strikes the share it was given, and is switched while GeNiE runs."""

import asyncio
import random
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.sandbox.genie import Sandbox, faults
from gateway.sandbox.genie.answer import Answer
from gateway.sandbox.genie.faults import KINDS, FaultError, Faults, Latency, Spread
from tests.contract.genie_client import Client, Clock, client_of, entry, payment, provision, verify

GIVE_UP = aiohttp.ClientTimeout(total=0.3)  # how long a client waits for an answer that never comes


@pytest.mark.parametrize(("fault", "status"), [("too_many_requests", 429), ("unavailable", 503)])
async def test_a_signed_refusal_says_when_to_come_back(genie: Client, fault: str, status: int) -> None:
    """429 and 503 are signed, carry Retry-After, and took nothing."""
    await genie.set_faults(**{fault: {"share": 1, "retry_after": 7}})
    reply = await genie.provide(entry("a"))
    assert (reply.status_code, reply.headers["Retry-After"]) == (status, "7")
    verify(reply, genie.sandbox)
    await genie.set_faults()
    assert (await genie.look_up("a")).statuses == ["not_received"]


@pytest.mark.parametrize(
    ("fault", "found"), [("bad_gateway", "not_received"), ("bad_gateway_after_accepting", "received")]
)
async def test_an_unsigned_502_says_nothing(genie: Client, fault: str, found: str) -> None:
    """A 502 comes from a stranger: unsigned, not JSON, and GeNiE may have received the entry or not."""
    await genie.set_faults(**{fault: {"share": 1}})
    reply = await genie.provide(entry("a"))
    assert (reply.status_code, reply.headers["Content-Type"]) == (502, "text/html")
    assert "Signature" not in reply.headers
    await genie.set_faults()
    assert (await genie.look_up("a")).statuses == [found]


@pytest.mark.parametrize(
    ("fault", "found"), [("reset_before_accepting", "not_received"), ("reset_after_accepting", "received")]
)
async def test_a_reset_says_nothing(genie: Client, fault: str, found: str) -> None:
    """The connection ends without an answer, before or after GeNiE has taken the entry."""
    await genie.set_faults(**{fault: {"share": 1}})
    with pytest.raises(aiohttp.ClientConnectionError):
        await genie.provide(entry("a"))
    await genie.set_faults()
    assert (await genie.look_up("a")).statuses == [found]
    assert (await genie.stats())["connections_cut"] >= 1


async def test_a_timeout_comes_after_acceptance(genie: Client) -> None:
    """The entry is durable, the answer never comes."""
    await genie.set_faults(timeout_after_accepting={"share": 1})
    message = genie.request("/v1/provisions", provision(entry("a")))
    with pytest.raises(TimeoutError):
        await genie.session.post(message.url, data=message.content, headers=message.headers, timeout=GIVE_UP)
    await genie.set_faults()
    assert (await genie.look_up("a")).statuses == ["received"]


async def test_a_hanging_answer_ends(genie: Client) -> None:
    """No connection hangs for ever: past its seconds the fault ends it."""
    await genie.set_faults(timeout_after_accepting={"share": 1, "seconds": 0})
    with pytest.raises(aiohttp.ClientConnectionError):
        await genie.provide(entry("a"))


@pytest.mark.parametrize(("fault", "status"), [("entry_retry", "retry"), ("entry_rejected", "rejected")])
async def test_single_entries_are_refused(genie: Client, fault: str, status: str) -> None:
    """A new entry is refused and leaves nothing; one that was taken before is still a duplicate."""
    await genie.provide(entry("a", payment("one")))
    await genie.set_faults(**{fault: {"share": 1}})
    reply = await genie.provide(entry("a", payment("one")), entry("b", payment("two")), entry("c", payment("two")))
    assert reply.statuses == ["duplicate", status, "retry"]
    await genie.set_faults()
    assert (await genie.look_up("b")).statuses == ["not_received"]
    assert (await genie.stats())["faults"][fault] == 1


async def test_latency_waits_before_judging(monkeypatch: pytest.MonkeyPatch) -> None:
    """Latency sleeps for the time that its spread draws, and lets the request go on."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(faults.asyncio, "sleep", sleep)
    fault = Latency(share=1, ms=250)
    assert await fault.act(None, random.Random(1)) is None  # type: ignore[arg-type]  # it does not touch the wire
    assert slept == [0.25]


@pytest.mark.parametrize("spread", Spread)
def test_spreads_have_their_mean(spread: Spread) -> None:
    """Every spread draws around the mean that was asked for, and copes with none."""
    chance = random.Random(1)
    drawn = [spread.draw(20, chance) for _ in range(10_000)]
    assert min(drawn) >= 0
    assert 19 < sum(drawn) / len(drawn) < 21
    assert spread.draw(0, chance) == 0


async def test_the_share_is_kept_and_follows_from_the_seed(tmp_path: Path, clock: Clock) -> None:
    """About the given share of requests is struck, and the same seed strikes the same ones."""

    async def struck(seed: int) -> list[bool]:
        drawn = Faults(seed)
        drawn.replace({"unavailable": {"share": 0.3}})
        return [
            isinstance(await drawn.strike(faults.Point.BEFORE_JUDGING, None), Answer)  # type: ignore[arg-type]
            for _ in range(1000)
        ]

    assert await struck(1) == await struck(1) != await struck(2)
    assert 250 < sum(await struck(1)) < 350


async def test_faults_are_shown_and_replaced_at_run_time(genie: Client) -> None:
    """PUT replaces all faults; GET tells of every kind what it does and whether it is on."""
    await genie.set_faults(unavailable={"share": 0.5}, latency={"share": 1, "ms": 3, "spread": "uniform"})
    shown = await _get(genie, "/faults")
    assert list(shown) == list(KINDS)
    assert shown["latency"]["on"] == {"share": 1, "ms": 3, "spread": "uniform"}
    assert shown["too_many_requests"]["on"] is None
    await genie.set_faults()
    assert all(fault["on"] is None for fault in (await _get(genie, "/faults")).values())


WRONG: list[tuple[Any, str]] = [
    ({"nonsense": {"share": 1}}, "there is no fault 'nonsense'; there are latency, "),
    ({"latency": {"share": 1}}, "fault latency takes share, ms, spread, and needs ms, share"),
    ({"latency": {"share": 1, "ms": 1, "x": 1}}, "fault latency takes share, ms, spread, and needs ms, share"),
    ({"latency": {"share": 1, "ms": 1, "spread": "odd"}}, "fault latency: spread must be one of fixed, "),
    ({"unavailable": {"share": 1.1}}, "fault unavailable: share must be at most 1"),
    ({"unavailable": {"share": -1}}, "fault unavailable: share must be a number, 0 or more"),
    ({"unavailable": {"share": True}}, "fault unavailable: share must be a number, 0 or more"),
    ({"unavailable": {"share": 1, "retry_after": 0.5}}, "fault unavailable: retry_after must be a whole number"),
    ({"unavailable": 1}, "fault unavailable takes share, retry_after, and needs share"),
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
