"""The lanes of a process: what happens when one does not close within its bound."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.structs import TopicPartition

from gateway.kafka import lanes
from gateway.kafka.connection import KafkaConnection
from gateway.kafka.lane_driver import LaneFailedError

LANE = TopicPartition("lease.payments", 3)


class Stuck:
    """A driver that does not close."""

    name = "lease.payments:3"

    def __init__(self) -> None:
        self.drain_ms: int | None = None

    async def run(self) -> None:
        await asyncio.Event().wait()

    def close(self, drain_ms: int) -> None:
        self.drain_ms = drain_ms


async def test_a_lane_that_does_not_close_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the bound of its drain it is named, and whoever awaits the rebalance is told: it must not go on with it."""
    monkeypatch.setattr(lanes, "CLOSE_BOUND_S", 0.01)
    stuck: Any = Stuck()
    made = lanes.Lanes(KafkaConnection("nowhere:1", "test"), "group", lambda _: stuck, 10, pytest.fail)
    feed: Any = SimpleNamespace(partition=LANE)
    made.open(feed)
    with pytest.raises(LaneFailedError, match=r"not closed within 0\.02 s: lane lease\.payments:3") as late:
        await made.close([LANE])
    assert "group, kafka.bootstrap_servers nowhere:1). Check" in str(late.value)
    assert stuck.drain_ms == 10
