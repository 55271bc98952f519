"""What goes on beside an apply or a status that runs: a cancel, time, another apply, lanes that settle."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from gateway.oncall.audit import Deed, audited
from gateway.oncall.desk import Desk
from gateway.oncall.replay import applying
from gateway.oncall.replay.applying import Applied, Applying
from gateway.oncall.replay.course import CANCEL, Course
from gateway.oncall.replay.plan_file import PlanError
from gateway.oncall.replay.requests import RequestWriter, TakenOverError
from tests.oncall.desk_world import NOW, DeskWorld
from tests.oncall.replay_story import ANN, Case, write_first

DAY_MS = 86_400_000
Deeds = Callable[[Desk], Coroutine[Any, Any, object]]


@pytest.fixture
def case(desk_world: DeskWorld, tmp_path: Path) -> Case:
    """Four records."""
    desk_world.now = NOW
    return Case(desk_world, tmp_path / "plan.json")


def apply_while(case: Case, deeds: Deeds, monkeypatch: pytest.MonkeyPatch, at_once: int) -> Applied:
    """Apply the plan, so many requests in a transaction; after the first of them somebody does this."""
    monkeypatch.setattr(applying, "MOST_AT_ONCE", at_once)
    write = RequestWriter.write

    async def apply(desk: Desk) -> Applied:
        done = asyncio.Event()

        async def write_then(*arguments: Any) -> Any:
            written = await write(*arguments)
            if not done.is_set():
                done.set()
                await deeds(desk)
            return written

        monkeypatch.setattr(RequestWriter, "write", write_then)
        return await Applying(desk, case.plan, ANN, 1_000, lambda _: None, stalled_s=0).run()

    applied: Applied = case.world.at_desk(apply)
    return applied


def cancelled_when(asked: int) -> str:
    return rf"the plan was cancelled by ann at .* \(00:00:00Z\), when {asked} of 4 replays were asked for"


def test_a_cancel_that_fenced_nobody_is_noticed(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """An apply that waits for lanes has nothing to write, so nothing to be fenced at: it reads the audit."""
    monkeypatch.setattr(applying, "MOST_UNSETTLED", 2)

    async def cancel(desk: Desk) -> None:
        await audited(desk, ANN, Deed(CANCEL, plan_id=case.plan.plan_id))

    with pytest.raises(PlanError, match=cancelled_when(2)):
        apply_while(case, cancel, monkeypatch, at_once=2)
    assert case.requested() == case.offsets[:2]


def test_a_cancel_that_fenced_an_apply_is_told_by_its_name(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not as another apply, after which the same command would go on."""

    async def cancel(desk: Desk) -> None:
        await applying.cancel(desk, case.plan, ANN)

    with pytest.raises(PlanError, match=cancelled_when(1)):
        apply_while(case, cancel, monkeypatch, at_once=1)
    assert case.requested() == case.offsets[:1]


def test_another_apply_is_told_as_such(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody cancelled."""

    async def take_over(desk: Desk) -> None:
        writer = RequestWriter(desk, case.plan)
        await writer.take_over()
        await writer.close()

    with pytest.raises(TakenOverError):
        apply_while(case, take_over, monkeypatch, at_once=1)


def test_a_plan_that_grows_too_old_on_the_way_is_not_gone_on_with(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """At one replay a second a large plan takes days; what a person approved was decided a day ago."""
    monkeypatch.setattr(applying, "MOST_UNSETTLED", 2)

    async def wait(_: Desk) -> None:
        case.world.now = NOW + DAY_MS + 1

    with pytest.raises(PlanError, match=r"older than 24 hours \(made .*\), when 2 of 4 replays were asked for"):
        apply_while(case, wait, monkeypatch, at_once=2)
    assert case.requested() == case.offsets[:2]


def test_what_is_settled_while_requests_are_read_is_not_missed(case: Case) -> None:
    """An apply asks and a lane settles after the requests were read, before the ledger is: the next look has it."""

    async def follow(desk: Desk) -> tuple[int, int, int]:
        course, read = Course(desk, case.plan), desk.read

        async def read_then(topic: str, *arguments: Any) -> Any:
            moved = await read(topic, *arguments)
            if topic == desk.names.replays:
                await asyncio.to_thread(write_first, case, 4)
                await asyncio.to_thread(case.settle, *[("PROVIDED", "accepted")] * 4)
                await asyncio.to_thread(case.world.flush)
            return moved

        await asyncio.to_thread(write_first, case, 1)
        desk.read = read_then  # type: ignore[method-assign] - what happens between two readings
        await course.follow()
        early = len(course.ended)
        desk.read = read  # type: ignore[method-assign] - as it was
        await course.follow()
        return early, len(course.requested), len(course.ended)

    early, requested, ended = case.world.at_desk(follow)
    assert (early, requested, ended) == (0, 4, 4)
