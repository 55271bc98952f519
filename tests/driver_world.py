"""Everything around a lane's driver, played by a test: the lane itself, Kafka, consent view, fence and GeNiE."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.core import facts
from gateway.core.holds import Holds
from gateway.core.metadata import CommitMetadata
from gateway.core.outcome import Loss, Lost
from gateway.kafka.fence import FenceMark
from gateway.observe.metrics import Metrics

TURNS = 10_000  # of the loop; nothing here waits for more than a few of them
OPENED = facts.Opened(7, CommitMetadata(), (), Holds(), 1)


class World:
    """Everything around a driver: what it did to whom, in order, and how each of its calls ends."""

    def __init__(self) -> None:
        self.deeds: list[str] = []
        self.told: list[facts.Fact] = []
        self.first: Sequence[facts.Command] = ()
        self.asks: dict[type[Any], Sequence[facts.Command]] = {}  # what the lane wants after the first fact of a kind
        self.wakes: int | None = None
        self.oldest_at: int | None = None
        self.openings: list[BaseException] = []  # how the next attempts to open end; then they succeed
        self.fails: dict[str, BaseException] = {}  # what calls raise, once
        self.hangs: set[str] = set()
        self.granted = 3
        self.answer: Any = Lost(Loss.TIMEOUT)
        self.metrics = Metrics("test", "test")
        self.heard = SimpleNamespace(ok_at=0, trouble="none")
        self.meanwhile: Callable[[], object] = lambda: None  # happens with the next opening or alert

    # --- the lane -----------------------------------------------------------------------------------------

    def start(self, now: int) -> Sequence[facts.Command]:
        first, self.first = self.first, ()
        return first

    def handle(self, fact: facts.Fact, now: int) -> Sequence[facts.Command]:
        self.told.append(fact)
        self.deeds.append(f"told {type(fact).__name__}")
        if isinstance(error := self.fails.pop("handle", None), BaseException):
            raise error
        return self.asks.pop(type(fact), ())

    def view(self) -> dict[str, Any]:
        return {"oldest_at": self.oldest_at}

    def delay(self, now: int) -> str:
        return f"why at {now}"

    def wake_at(self, now: int) -> int | None:
        wakes, self.wakes = self.wakes, None
        return wakes

    # --- what it calls ------------------------------------------------------------------------------------

    async def call(self, name: str, result: Any = None) -> Any:
        self.deeds.append(name)
        if name in self.fails:
            raise self.fails.pop(name)
        try:
            if name in self.hangs:
                await asyncio.get_running_loop().create_future()
        finally:
            if name in self.hangs:
                await asyncio.sleep(0)  # a call takes its turn to end
                self.deeds.append(f"{name} ended")
        return result

    async def open(self, *_: object, **__: object) -> tuple[Any, facts.Opened]:
        if self.openings:
            raise self.openings.pop(0)
        await self.call("open")
        self._meanwhile()
        drop = self.call
        produce = SimpleNamespace(
            drop=lambda: drop("drop"),
            begin_and_produce=lambda records: self.call("produce", ()),
            commit=lambda *_: self.call("commit"),
        )
        return produce, OPENED

    def alert(self, lane: str, command: facts.Alert) -> None:
        self.deeds.append("alert")
        self._meanwhile()

    def _meanwhile(self) -> None:
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()

    def release(self, count: int = 1) -> None:
        assert count > 0, "gave back no slot, as if a probe had not been used"
        self.deeds.append(f"release {count}")

    def asked(self, *, answered: bool) -> None:
        self.deeds.append(f"asked {answered}")


def surroundings(world: World) -> Any:
    call = world.call
    return SimpleNamespace(
        now=lambda: 1_000,
        connection=SimpleNamespace(bootstrap="kafka-1:9092"),
        client=None,
        codec=None,
        topics=SimpleNamespace(intents="intents"),
        view=SimpleNamespace(holds=Holds(), get_many=lambda subjects: {}),
        fence=SimpleNamespace(reach=lambda: call("fence", FenceMark(900))),
        partner=SimpleNamespace(
            send=lambda entries, expires_at: call("send", world.answer), look_up=lambda keys: call("look up")
        ),
        slots=SimpleNamespace(
            acquire=lambda upto: call(f"acquire {upto}", min(upto, world.granted)),
            release=world.release,
            observe=lambda answer: world.deeds.append("observe"),
            asked=world.asked,
        ),
        metrics=world.metrics,
        heard=world.heard,
        alert=world.alert,
    )


async def until(condition: Callable[[], object]) -> None:
    """Give the loop turns until this is so."""
    for _ in range(TURNS):
        if condition():
            return
        await asyncio.sleep(0)
    pytest.fail(f"not so after {TURNS:,} turns of the loop")


async def ended(task: asyncio.Task[None]) -> None:
    """Cancel a driver's run, as the end of the process does."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
