"""Processes that say what a test wants, on the port and by the server of real ones."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from gateway.observe.health import HealthServer, Status
from gateway.observe.metrics import Metrics
from tests.oncall.desk_world import NOW, DeskWorld

FAR = 1_000_000  # beyond every control record
IDLE_LANE = {
    "watermark": 0,
    "position": 0,
    "unsettled": 0,
    "oldest_at": None,
    "window_span": 0,
    "window_limit": 16_384,
    "in_flight": 0,
    "stopped": False,
    "closing": False,
    "awaits_registry": False,
    "committed_at": NOW - 3_000,
    "delay": None,
}


class Seat:
    """One process: change what it says, then run a command."""

    def __init__(self, instance: str, lanes: Mapping[str, Mapping[str, Any]]) -> None:
        self.instance = instance
        self.metrics = Metrics("1.2.3", instance)
        self.lanes: dict[str, Mapping[str, Any]] = {name: {**IDLE_LANE, **lane} for name, lane in lanes.items()}
        self.reasons: tuple[str, ...] = ()
        self.genie: dict[str, Any] = {
            "breaker_open": False,
            "slots": 8,
            "slots_in_use": 0,
            "slots_waited_for": 0,
            "clock_difference_ms": 0,
            "last": "2xx",
            "last_at": NOW - 4_000,
            "ok_at": NOW - 4_000,
            "trouble": "none",
        }
        self.consents: dict[str, Any] = {
            "subjects": 3,
            "lag": 0,
            "whole_at": NOW - 1_000,
            "holds": [],
            "controls": {"0": {"offset": FAR, "applied_at": NOW + 40}},
        }
        self.at = ""

    def status(self) -> Status:
        """As a gateway would say it."""
        return Status(
            ready=not self.reasons,
            reasons=self.reasons,
            lanes=self.lanes,
            kafka_silence=1.0,
            loop_seen_at=time.monotonic(),
            process={"instance": self.instance, "version": "1.2.3", "member_id": f"{self.instance}-member"},
            genie=self.genie,
            consents=self.consents,
        )


@contextmanager
def seated(*seats: Seat) -> Iterator[list[str]]:
    """Let them answer; the options that name them."""
    servers = [HealthServer("127.0.0.1", 0, seat.metrics, seat.status) for seat in seats]
    try:
        for seat, server in zip(seats, servers, strict=True):
            seat.at = f"127.0.0.1:{server.start()}"
        yield [option for seat in seats for option in ("--at", seat.at)]
    finally:
        for server in servers:
            server.stop()


def seats_of(world: DeskWorld) -> tuple[Seat, Seat]:
    """Two that have all lanes of a world between them."""
    names = world.names
    one = Seat("one", {f"{names.payments}:0": {}, f"{names.scores}:0": {}, f"{names.replays}:0": {}})
    return one, Seat("two", {f"{names.payments}:1": {}, f"{names.scores}:1": {}})


def unported(text: str, *seats: Seat) -> str:
    """With each process's place made one of every run, as long as ports mostly are."""
    for number, seat in enumerate(seats):
        text = text.replace(seat.at, f"127.0.0.1:1111{number}")
    return text
