"""Tracing that is off, as it is unless somebody asks for it: nothing of it is imported, called or made."""

import asyncio
import subprocess
import sys
import tracemalloc
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.core import facts
from gateway.kafka import lane_driver, lane_trace
from gateway.kafka.head import Head
from gateway.kafka.lane_driver import LaneDriver
from gateway.kafka.opening import LaneName
from tests.driver_world import World, ended, surroundings, until

WITHOUT = """
import sys

class Refuses:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"opentelemetry", "requests"}:
            raise SystemExit(f"imported {name}")

sys.meta_path.insert(0, Refuses())
import gateway.app, gateway.cli, gateway.cli.serve, gateway.kafka.lane_trace, gateway.preflight
"""


def test_nothing_of_opentelemetry_is_imported() -> None:
    """By no room of the gateway: it runs where the extra is not installed."""
    ended_ = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False)
    assert (ended_.returncode, ended_.stderr) == (0, "")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()

    async def head(*_: object) -> Head:
        return Head(frozenset(), 0)

    monkeypatch.setattr(lane_driver, "open_lane", made.open)
    monkeypatch.setattr(lane_driver, "look_at_head", head)
    monkeypatch.setattr(lane_driver, "Lane", lambda rules, opened, now: made)
    return made


async def test_a_lane_does_nothing_for_it(world: World) -> None:
    """Through delivery, transaction, commit, request and lookup: not a call into its code, not a byte made there."""
    world.granted = 1
    raws = [SimpleNamespace(offset=7, headers=[("traceparent", b"00-" + b"a" * 32 + b"-" + b"1" * 16 + b"-01")])]
    feed: Any = SimpleNamespace(
        partition=None,
        is_new=True,
        seek=lambda _: None,
        stop=lambda: None,
        take=lambda _: world.call("take", (raws, 8)),
    )
    reader: Any = SimpleNamespace(read=lambda raws, wary: world.call("read", []))
    world.first = [
        facts.FetchMore(1),
        facts.Produce(),
        facts.Commit(7, ""),
        facts.LookUp(1, []),
        facts.WantSlots(1),
    ]
    world.asks[facts.SlotsGranted] = [facts.Send("batch", [], 0)]
    rules: Any = SimpleNamespace(limits=SimpleNamespace(window=1, window_bytes=1))
    driver = LaneDriver(surroundings(world), LaneName("group", "lease.payments", 3), rules, feed, reader)
    called = set[str]()
    tracemalloc.start()
    sys.setprofile(lambda frame, *_: called.add(frame.f_code.co_filename))
    try:
        running = asyncio.create_task(driver.run())
        await until(lambda: len(world.told) == 6)
        await ended(running)
        made = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, lane_trace.__file__)])
    finally:
        sys.setprofile(None)
        tracemalloc.stop()
    assert {type(told) for told in world.told} == {
        facts.Fetched,
        facts.SlotsGranted,
        facts.Produced,
        facts.Committed,
        facts.Answered,
        facts.LookedUp,
    }
    assert lane_driver.__file__ in called
    assert not [name for name in called if name == lane_trace.__file__ or "opentelemetry" in name]
    assert made.statistics("filename") == []
