"""The lane's driver without a Kafka: a call of it alone, and what it says when it ends the process."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.core import facts
from gateway.core.holds import Hold, Holds, HoldScope
from gateway.kafka import lane_driver
from gateway.kafka.fence import FenceMark
from gateway.kafka.lane_driver import LaneDriver, LaneFailedError
from gateway.kafka.opening import LaneName
from gateway.kafka.registry import RegistryAway
from gateway.kafka.transactions import Doubt, Doubtful
from gateway.observe.metrics import Metrics


class Feed:
    """One that nothing comes from."""

    partition = None
    is_new = False

    def stop(self) -> None:
        """Nothing runs."""

    async def confirm_membership(self) -> None:
        """The group knows us."""


@pytest.fixture
def driver() -> LaneDriver:
    around: Any = SimpleNamespace(
        connection=SimpleNamespace(bootstrap="kafka-1:9092"),
        client=None,
        codec=None,
        topics=SimpleNamespace(intents="intents"),
        metrics=Metrics("", ""),
        view=SimpleNamespace(holds=None),
        now=lambda: 1_000,
    )
    parts: Any = (None, Feed(), None)
    return LaneDriver(around, LaneName("credit-gateway", "lease.payments", 3), *parts)


def says_where_and_what_to_do(error: LaneFailedError, what: str) -> None:
    for words in ("lane lease.payments:3", what, "group credit-gateway", "kafka.bootstrap_servers kafka-1:9092"):
        assert words in str(error)
    assert str(error).endswith("The next start goes on from what is committed.")


async def test_a_second_doubt_says_where_and_what_to_do(driver: LaneDriver) -> None:
    """The one line that ends the process names lane, group and brokers, and what to look at."""
    await driver._consider_reopening()
    with pytest.raises(LaneFailedError) as failed:
        await driver._consider_reopening()
    says_where_and_what_to_do(failed.value, "a second doubtful commit within 60 s")
    assert "Look at the log" in str(failed.value)


async def test_a_lane_that_does_not_open_says_where_and_what_to_do(
    driver: LaneDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Past the bound it says what was in the way last."""

    async def away(*_: object, **__: object) -> None:
        monkeypatch.setattr(asyncio, "sleep", lambda _: asyncio.get_running_loop().create_future())
        raise RegistryAway("the registry is away")

    monkeypatch.setattr(lane_driver, "open_lane", away)
    monkeypatch.setattr(lane_driver, "OPEN_BOUND_S", 0.01)
    with pytest.raises(LaneFailedError) as failed:
        await driver._open()
    says_where_and_what_to_do(failed.value, "not open within 0.01 s: the registry is away")


async def test_a_lane_is_new_until_its_first_commit(driver: LaneDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """From then on a committed offset that is gone is lost, and the lane must not start from the beginning."""
    driver._feed.is_new = True
    doubts = [Doubtful(Doubt.TIMEOUT, "commit")]

    async def commit(*_: object) -> None:
        if doubts:
            raise doubts.pop()

    monkeypatch.setattr(driver, "_producer", SimpleNamespace(commit=commit))
    for method in ("_tell", "_doubt"):
        monkeypatch.setattr(driver, method, lambda _: None)
    await driver._commit(facts.Commit(0, ""))
    assert driver._feed.is_new
    await driver._commit(facts.Commit(0, ""))
    assert not driver._feed.is_new


async def test_a_fence_brings_what_is_known_once_it_is_reached(
    driver: LaneDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A withdrawal and a hold that arrive while it is under way are among it: for these it was waited."""
    held, told = Holds([Hold("hold-1", HoldScope.ALL, None, None)]), []
    view = SimpleNamespace(holds=Holds(), get_many=lambda subjects: dict.fromkeys(subjects, "given"))

    async def reach() -> FenceMark:
        view.holds, view.get_many = held, lambda subjects: dict.fromkeys(subjects, "withdrawn")
        return FenceMark(900)

    monkeypatch.setattr(driver._around, "view", view)
    monkeypatch.setattr(driver._around, "fence", SimpleNamespace(reach=reach), raising=False)
    monkeypatch.setattr(driver, "_tell", told.append)
    driver._obey([facts.StartFence(frozenset({"subject-1a"}))])
    await asyncio.gather(*driver._tasks)
    assert told == [facts.FenceReached(900, {"subject-1a": "withdrawn"}, held)]
