"""Named points of the lane protocol, at which a gateway process stops or kills itself when it was told to.

Part of the gateway's own process, as a patch (tests/promises/launch.py): nothing in the gateway knows of it. An order
is a file, `POINT DEED`, looked for at every point; without one the point is passed. Must not know who orders, or what
comes afterwards.
"""

import asyncio
import os
import signal
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

from gateway.core.outcome import Answer, LookupReply, Reply
from gateway.genie.client import GenieClient
from gateway.kafka import lane_driver, opening
from gateway.kafka.fence import Fence, FenceMark
from gateway.kafka.lane_driver import LaneDriver
from gateway.kafka.strict_producer import StrictProducer
from gateway.kafka.transactions import LaneProducer
from tests.coded import Coded
from tests.promises.patching import Named, replace

NAMED = Named()
ORDER, DONE = "CHAOS_ORDER", "CHAOS_DONE"  # variables: the file with the order, the file with what was done
HTTP_OK = 200
UNDER_WAY_S = 0.002  # a request has left by then, and its answer has mostly not come
DRAINING_S = 0.01  # a closing lane has by then seen some of the answers that it waits for


class Point(Coded):
    """Where in the protocol."""

    sentence: str

    TAKEN_OVER = ("taken_over", "the older owner is fenced off, the offset is not read yet")
    OPENED = ("opened", "offset and live intents are read, the lane has not begun")
    PRODUCED = ("produced", "a transaction is written, its commit has not been asked for")
    COMMITTING = ("committing", "the commit is asked for, its answer has not come")
    ANNOUNCED = ("announced", "the announcement is committed, the fence has not begun")
    FENCED = ("fenced", "the fence is reached, nothing is sent")
    SENDING = ("sending", "a request is under way to GeNiE")
    ANSWERED = ("answered", "GeNiE's 2xx has come, nothing is settled")
    LOOKED_UP = ("looked_up", "GeNiE has said what became of a record, nothing is settled")
    DRAINING = ("draining", "a lane closes and waits for what is under way")


class Deed(Enum):
    """What a process does to itself at the point."""

    KILL = "kill"
    STOP = "stop"


class Orders(Protocol):
    """What is to be done, and by whom."""

    def reach(self, point: Point) -> None:
        """Here is the point: do what is ordered for it, once."""

    async def come_to(self, point: Point) -> None:
        """The same, for whoever can wait until it is over."""


class _Orders:
    """The one order that may stand."""

    def __init__(self) -> None:
        self._order, self._done = Path(os.environ[ORDER]), Path(os.environ[DONE])

    def reach(self, point: Point) -> None:
        """Here is the point: do what is ordered for it, once."""
        if not self._order.exists():
            return
        wanted, deed = self._order.read_text("ascii").split()
        if wanted != point.value:
            return
        self._order.unlink()  # whoever is started next must not do it again
        with self._done.open("a", encoding="ascii") as done:
            done.write(f"{os.getpid()} {point.value} {deed}\n")
        os.kill(os.getpid(), signal.SIGKILL if Deed(deed) is Deed.KILL else signal.SIGSTOP)

    async def come_to(self, point: Point) -> None:
        self.reach(point)


@NAMED
def points() -> None:
    """All points, each passed unless an order stands."""
    install(_Orders())


def install(orders: Orders) -> None:
    """Have these orders asked at all points, for good."""
    _opening(orders)
    _transactions(orders)
    _fence(orders)
    _partner(orders)
    _closing(orders)


def _opening(orders: Orders) -> None:
    async def read_offset(*arguments: Any) -> Any:
        await orders.come_to(Point.TAKEN_OVER)
        return await plain_read(*arguments)

    async def open_lane(*arguments: Any, **named: Any) -> Any:
        opened = await plain_open(*arguments, **named)
        await orders.come_to(Point.OPENED)
        return opened

    plain_read = replace(opening, "read_offset", read_offset)
    plain_open = replace(lane_driver, "open_lane", open_lane)


def _transactions(orders: Orders) -> None:
    async def begin_and_produce(self: LaneProducer, *arguments: Any) -> Any:
        produced = await plain_produce(self, *arguments)
        await orders.come_to(Point.PRODUCED)
        return produced

    async def commit(self: StrictProducer) -> None:
        await _reached_under_way(orders, Point.COMMITTING, plain_commit(self))

    plain_produce = replace(LaneProducer, "begin_and_produce", begin_and_produce)
    plain_commit = replace(StrictProducer, "commit", commit)


def _fence(orders: Orders) -> None:
    async def reach(self: Fence) -> FenceMark:
        await orders.come_to(Point.ANNOUNCED)
        mark = await plain(self)
        await orders.come_to(Point.FENCED)
        return mark

    plain = replace(Fence, "reach", reach)


def _partner(orders: Orders) -> None:
    async def send(self: GenieClient, *arguments: Any) -> Answer:
        answer = await _reached_under_way(orders, Point.SENDING, plain_send(self, *arguments))
        if isinstance(answer, Reply) and answer.verified and answer.status == HTTP_OK:
            await orders.come_to(Point.ANSWERED)
        return answer

    async def look_up(self: GenieClient, *arguments: Any) -> LookupReply | None:
        reply = await plain_look_up(self, *arguments)
        if reply is not None:
            await orders.come_to(Point.LOOKED_UP)
        return reply

    plain_send = replace(GenieClient, "send", send)
    plain_look_up = replace(GenieClient, "look_up", look_up)


def _closing(orders: Orders) -> None:
    def close(self: LaneDriver, drain_ms: int) -> None:
        plain(self, drain_ms)
        asyncio.get_running_loop().call_later(DRAINING_S, orders.reach, Point.DRAINING)

    plain = replace(LaneDriver, "close", close)


async def _reached_under_way(orders: Orders, point: Point, call: Any) -> Any:
    """The result of a call; the point is reached once its request has left, unless its answer came sooner."""
    alarm = asyncio.get_running_loop().call_later(UNDER_WAY_S, orders.reach, point)
    try:
        return await call
    finally:
        alarm.cancel()
