"""Looks at the lanes all along, for what no record tells: a window that is full, an opening over live intents; and at
each when it begins to close, which is soon over.

Knows what a lane shows of itself. Must not know what is done to it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from unittest import mock

from gateway.core.delays import Delay
from gateway.kafka.lane_driver import LaneDriver
from tests.simulation.parts import Parts
from tests.simulation.seats import Seat
from tests.simulation.shape import Shape

LOOK_EVERY_S = 0.8
_UNDER_WAY = ("in_flight", "waiting", "looking_up")  # of what a lane shows


class Lookout:
    """`run` it beside the story; `seen` counts."""

    def __init__(self, parts: Parts, seats: list[Seat], shape: Shape, seen: Counter[str]) -> None:
        self._parts = parts
        self._seats = seats
        self._shape = shape
        self._seen = seen
        self._opening: set[str] = set()  # lanes whose opening was looked at

    async def run(self) -> None:
        plain = LaneDriver.close

        def close(driver: LaneDriver, drain_ms: int) -> None:
            plain(driver, drain_ms)
            view = driver.view()
            self._seen["closes with records under way"] += any(view.get(part) for part in _UNDER_WAY)

        with mock.patch.object(LaneDriver, "close", close):
            await self._look_around()

    async def _look_around(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            for seat in self._seats:
                gateway = seat.process.gateway
                if seat.process.alive and gateway is not None:
                    failed = gateway._metrics._fence_failures._value.get()
                    self._seen["a fence failed"] = max(self._seen["a fence failed"], round(failed))
                    for driver in gateway._drivers():
                        self._look(seat, driver.name.topic, driver.name.partition, driver.view())
                        lane = driver._lane
                        self._seen["paused"] += lane is not None and lane.delay(driver._around.now()) is Delay.HOLD

    def _look(self, seat: Seat, topic: str, partition: int, view: object) -> None:
        assert isinstance(view, dict)
        lane = f"{seat.name} {topic}:{partition}"
        if view.get("opening"):
            if lane not in self._opening:
                self._opening.add(lane)
                metadata = self._parts.committed(topic, partition)
                self._seen["live intents at opening"] += bool(metadata and metadata.intents)
                self._seen["settled set at opening"] += bool(metadata and metadata.settled)
            return
        self._opening.discard(lane)
        self._seen["window full"] += view["window_span"] >= self._shape.window
        self._seen["stopped"] += bool(view["stopped"])
        self._seen["waits for the registry"] += bool(view["awaits_registry"])
