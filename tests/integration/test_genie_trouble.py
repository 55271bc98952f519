"""Every trouble of GeNiE's, on one run of real gateway processes: they resume by themselves and lose nothing."""

import asyncio
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.faults import Where, fault
from tests.integration.gateway_world import LANES, World
from tests.integration.genie_course import Course, Result
from tests.integration.genie_trouble_stories import STORIES, STORIES_IN_A_HURRY, Told
from tests.integration.genie_troubles import LATER, SOME, TROUBLES, Trouble

RETRY_AFTER_MS = 1_000


@dataclass
class Run:
    """What is left of the run."""

    results: dict[str, Result] = field(default_factory=dict)
    told: dict[str, str] = field(default_factory=dict)  # story -> what was wrong


@pytest.fixture(scope="module")
def run(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The whole run, once; without a clean verdict no fault of it has passed."""
    return asyncio.run(everything(kafka, tmp_path_factory.mktemp("troubles")))


async def everything(kafka: str, directory: Path) -> Run:
    run = Run()
    async with World(kafka, f"t{uuid.uuid4().hex[:8]}.", directory) as world:
        await go_through(run, world, ["stops_are_short"], TROUBLES, STORIES)
        await go_through(run, world, ["gives_up_soon", "a_small_budget", "comes_back_soon"], [], STORIES_IN_A_HURRY)
        await world.judged()
    return run


async def go_through(run: Run, world: World, hurry: list[str], troubles: list[Trouble], stories: list[Told]) -> None:
    """All of these, with one gateway."""
    async with world.gateway(*hurry) as gateway:
        await gateway.ready(LANES)
        course = Course(world, gateway)
        for trouble in troubles:
            run.results[trouble.name] = await course.through(trouble)
        for story in dict.fromkeys(told.story for told in stories):
            run.told[story.__name__] = await course.listen(story)
        await world.save_metrics(gateway)
        await gateway.end_in_order()


def proof(of: Trouble | Told) -> object:
    """A case, with what docs/faults.md says of it."""
    return pytest.param(of, marks=fault(Where.GENIE, of.name, does=of.does, seen=of.seen), id=of.name)


@pytest.mark.parametrize("trouble", [proof(each) for each in TROUBLES])
def test_trouble(run: Run, trouble: Trouble) -> None:
    """The fault strikes and is seen; once it is gone every event ends by itself, and as it must."""
    result = run.results[trouble.name]
    assert not result.problem
    parked = ["rejected_by_genie"] if trouble.parks_one else []
    assert result.reasons == ["accepted"] * (SOME - len(parked)) + parked
    assert f'gateway_genie_request_seconds_count{{kind="{trouble.kind}"}}' in result.grew
    assert ("gateway_genie_retries_total" in result.grew) >= trouble.tried_again
    assert result.stopped == ({trouble.stop.value} if trouble.stop else set())
    if trouble.stop is not None:
        assert f'gateway_lane_stops_total{{code="{trouble.stop.value}"}}' in result.grew
    assert not (trouble.taken_once and "duplicate" in result.statuses)
    if trouble.does == LATER:
        assert min(result.pauses) >= RETRY_AFTER_MS


@pytest.mark.parametrize("told", [proof(each) for each in (*STORIES, *STORIES_IN_A_HURRY)])
def test_story(run: Run, told: Told) -> None:
    """Nothing in the story went otherwise than told."""
    assert run.told[told.story.__name__] == ""
