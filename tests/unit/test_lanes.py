"""The lanes of a process: how they end, and what happens when one does not close within its bound."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from aiokafka.structs import TopicPartition

from gateway.kafka import lanes
from gateway.kafka.cluster import Topic
from gateway.kafka.connection import KafkaConnection
from gateway.kafka.endings import BrokenOffError
from gateway.kafka.lane_driver import LaneFailedError
from gateway.kafka.opening import LaneName
from gateway.kafka.source import TopicReplacedError

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


class Driver(Stuck):
    """A driver that ends as it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.end: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        await self.end

    def close(self, drain_ms: int) -> None:
        super().close(drain_ms)
        self.end.get_loop().call_soon(self.end.set_result, None)


def opened(driver: Any, failed: Callable[[BaseException], None] = pytest.fail) -> lanes.Lanes:
    """The lanes of a process that has one."""
    made = lanes.Lanes(KafkaConnection("nowhere:1", "test"), "group", lambda _: driver, 10, failed)
    made.open(SimpleNamespace(partition=LANE))  # type: ignore[arg-type]
    return made


async def test_a_lane_that_closes_in_time_is_waited_for() -> None:
    """The rebalance goes on only once it has ended; whatever else is lost needs no waiting."""
    driver = Driver()
    made = opened(driver)
    await made.close([LANE, TopicPartition("lease.payments", 4)])
    assert driver.end.done()
    await made.close([LANE])
    assert list(made.drivers()) == []


async def test_an_error_of_a_lane_ends_the_process() -> None:
    """One that is broken off from within too; one that is cancelled or ends in order does not."""
    failures: list[BaseException] = []
    escaped: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: escaped.append(context))
    ends = [Driver() for _ in range(4)]
    made = [opened(driver, failures.append) for driver in ends]
    tasks = [task for each in made for _, task in each._running.values()]
    await asyncio.sleep(0)
    error = ZeroDivisionError()
    ends[0].end.set_exception(error)
    ends[1].end.set_result(None)
    tasks[2].cancel()
    ends[3].end.cancel()
    await asyncio.wait(tasks)
    await asyncio.sleep(0)
    assert [type(failure) for failure in failures] == [ZeroDivisionError, BrokenOffError]
    assert not escaped


@pytest.mark.parametrize("is_new", [True, False])
async def test_a_topic_made_anew_has_its_lanes_disowned_after_they_closed(
    monkeypatch: pytest.MonkeyPatch, is_new: bool
) -> None:
    """What was committed of it since is no place in it; any other end leaves the offsets as they are."""
    driver, disowned = Driver(), []

    async def disown(connection: KafkaConnection, name: LaneName) -> None:
        assert driver.end.done()
        disowned.append(name)

    monkeypatch.setattr(lanes, "disown", disown)
    error = TopicReplacedError(Topic("lease.payments", UUID(int=1), {0: 1, 1: 1}, 1), "group")
    await opened(driver).close_all(error if is_new else ValueError())
    assert driver.end.done()
    assert disowned == ([LaneName("group", "lease.payments", number) for number in (0, 1)] if is_new else [])
