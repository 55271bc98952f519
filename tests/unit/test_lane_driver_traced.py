"""The lane's driver with a trace: what it tells of each of its calls, and when. (Without: tracing/test_off.py.)"""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.core import facts
from gateway.kafka import lane_driver
from gateway.kafka.head import Head
from gateway.kafka.lane_driver import LaneDriver
from gateway.kafka.opening import LaneName
from gateway.kafka.transactions import Doubt, Doubtful
from tests.driver_world import World, ended, surroundings, until


class Trace:
    """Notes what it is told among the world's deeds."""

    def __init__(self, world: World) -> None:
        self._world = world

    def note(self, what: str) -> None:
        self._world.deeds.append(f"trace {what}")

    def delivered(self, raws: Any) -> None:
        self.note(f"delivered {[raw.offset for raw in raws]}")

    def decoded(self, records: Any) -> None:
        self.note(f"decoded {records}")

    def produced(self, command: facts.Produce, out: Any) -> Any:
        self.note("produced")
        return [*out, "marked"]

    def settled(self, ledger: Any) -> None:
        self.note("settled")

    def left(self) -> None:
        self.note("left")

    async def send(self, partner: Any, command: facts.Send) -> Any:
        self.note("send")
        return await partner.send(command.entries, command.expires_at)

    async def look_up(self, partner: Any, keys: Any) -> Any:
        self.note("look up")
        return await partner.look_up(keys)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()

    async def head(*_: object) -> Head:
        return Head(frozenset({8}), 0)

    monkeypatch.setattr(lane_driver, "open_lane", made.open)
    monkeypatch.setattr(lane_driver, "look_at_head", head)
    monkeypatch.setattr(lane_driver, "Lane", lambda rules, opened, now: made)
    return made


def traced(world: World) -> LaneDriver:
    raws = [SimpleNamespace(offset=offset) for offset in (7, 8, 9)]
    feed: Any = SimpleNamespace(
        partition=None,
        is_new=True,
        seek=lambda _: None,
        stop=lambda: None,
        take=lambda _: world.call("take", (raws, 10)),
        confirm_membership=lambda: world.call("confirm membership"),
    )
    reader: Any = SimpleNamespace(read=lambda raws, wary: world.call("read", []))
    rules: Any = SimpleNamespace(limits=SimpleNamespace(window=1, window_bytes=1))
    trace: Any = Trace(world)
    return LaneDriver(surroundings(world), LaneName("group", "lease.payments", 3), rules, feed, reader, trace)


async def deeds(world: World, *first: facts.Command, until_told: type[Any]) -> list[str]:
    """What is done between the opening and the end, for these commands."""
    world.first = first
    running = asyncio.create_task(traced(world).run())
    await until(lambda: any(isinstance(told, until_told) for told in world.told))
    await ended(running)
    return world.deeds[1:]


async def test_records_are_told_before_they_are_decoded_and_after(world: World) -> None:
    """Those that are settled already are none of the lane's. Whatever is not settled is let go of at the end."""
    done = await deeds(world, facts.FetchMore(3), until_told=facts.Fetched)
    assert done == [
        *("take", "trace delivered [7, 9]", "read", "trace decoded []", "told Fetched"),
        *("trace left", "drop"),
    ]


async def test_a_transaction_is_told_before_it_is_written_and_when_it_is_surely_committed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the trace makes of the records is what is written."""
    written: list[Any] = []

    async def opened(*arguments: object, **more: object) -> Any:
        producer, at = await world.open(*arguments, **more)
        producer.begin_and_produce = lambda records: written.append(records) or world.call("produce", ())
        return producer, at

    monkeypatch.setattr(lane_driver, "open_lane", opened)
    world.asks[facts.Produced] = [facts.Commit(8, "")]
    done = await deeds(world, facts.Produce(), until_told=facts.Committed)
    assert done[:5] == ["trace produced", "produce", "told Produced", "commit", "trace settled"]
    assert written == [["marked"]]


async def test_a_doubtful_commit_settles_nothing(world: World) -> None:
    """The spans end without an outcome, and whoever opens the lane next begins others."""
    world.fails["commit"] = Doubtful(Doubt.TIMEOUT, "commit")
    done = await deeds(world, facts.Commit(8, ""), until_told=facts.CommitDoubtful)
    assert "trace settled" not in done
    assert "trace left" in done


async def test_requests_go_through_the_trace(world: World) -> None:
    """Attempts and lookups; their answers are told as ever."""
    world.asks[facts.SlotsGranted] = [facts.Send("batch", (), 2_000)]
    done = await deeds(world, facts.WantSlots(1), until_told=facts.Answered)
    assert [deed for deed in done if deed in {"trace send", "send"}] == ["trace send", "send"]
    world.told.clear()
    world.deeds.clear()
    done = await deeds(world, facts.LookUp(1, []), until_told=facts.LookedUp)
    assert [deed for deed in done if deed in {"trace look up", "look up"}] == ["trace look up", "look up"]
