"""The order in which pods come, go and are replaced is Kubernetes', as the chart chose it."""

import asyncio
from dataclasses import replace
from typing import cast

import pytest

from tests.rollout.pod import Pod
from tests.rollout.stateful_set import StatefulSet
from tests.rollout.terms import Probe, Terms

PROBE = Probe("/ready", period_s=5, timeout_s=5, failures=3)
TERMS = Terms("pod", PROBE, PROBE, PROBE, 70, 10, True, 1, True, 45, 60, 5_000)


class Noted:
    """A pod that writes down what is done to it."""

    def __init__(self, ordinal: int, notes: list[str]) -> None:
        self._note = lambda what: notes.append(f"{what} {ordinal}")

    def start(self) -> None:
        self._note("start")

    async def ready(self) -> None:
        await asyncio.sleep(0)  # others get their turn
        self._note("ready")

    async def available(self) -> None:
        self._note("available")

    async def end(self) -> None:
        self._note("end")

    def kill(self) -> None:
        self._note("kill")

    def remove_volume(self) -> None:
        self._note("volume")


async def three(terms: Terms) -> tuple[StatefulSet, list[str]]:
    notes: list[str] = []
    pods = StatefulSet(terms, lambda ordinal: cast("Pod", Noted(ordinal, notes)))
    await pods.scale(3)
    return pods, notes


@pytest.mark.parametrize(
    ("at_once", "course"),
    [
        (True, "start 0, start 1, start 2, ready 0, ready 1, ready 2"),
        (False, "start 0, ready 0, start 1, ready 1, start 2, ready 2"),
    ],
)
async def test_pods_are_added_as_the_chart_says(at_once: bool, course: str) -> None:
    _, notes = await three(replace(TERMS, at_once=at_once))
    assert ", ".join(notes) == course


async def test_an_update_goes_from_the_last_to_the_first_one_at_a_time() -> None:
    pods, notes = await three(TERMS)
    notes.clear()
    await pods.update()
    each = [f"end {at}, start {at}, ready {at}, available {at}" for at in (2, 1, 0)]
    assert ", ".join(notes) == ", ".join(each)
    assert pods.restarts == 3


@pytest.mark.parametrize(
    ("away", "course"),
    [
        (1, "end 2, start 2, ready 2, end 0, start 0, ready 0"),
        (2, "end 2, start 2, end 0, start 0, ready 2, ready 0"),
    ],
)
async def test_a_drain_evicts_as_many_as_the_budget_allows(away: int, course: str) -> None:
    pods, notes = await three(replace(TERMS, away=away))
    notes.clear()
    await pods.drain([pods.pods[2], pods.pods[0]])
    assert ", ".join(notes) == course


@pytest.mark.parametrize(("goes", "course"), [(True, "end 2, volume 2, end 1, volume 1"), (False, "end 2, end 1")])
async def test_the_last_go_first_and_their_volumes_as_the_chart_says(goes: bool, course: str) -> None:
    pods, notes = await three(replace(TERMS, volume_goes=goes))
    notes.clear()
    await pods.scale(1)
    assert ", ".join(notes) == course
    assert len(pods.pods) == 1


async def test_who_is_killed_is_started_in_its_place() -> None:
    pods, notes = await three(TERMS)
    notes.clear()
    await pods.kill(pods.pods[1])
    assert notes == ["kill 1", "start 1", "ready 1"]
