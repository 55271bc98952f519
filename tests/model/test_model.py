"""The short version of `make model`, and whether the checker itself can be believed."""

from collections.abc import Mapping
from functools import cache
from random import Random

import pytest

from gateway.core.lane import Lane
from tests.model import worlds
from tests.model.actions import World
from tests.model.machine import Machines
from tests.model.search import Explored, explore
from tests.model.shape import Shape
from tests.model.state import State
from tests.model.words import Moment

STATES = 100_000
WALKS, STEPS = 12, 60
ENDINGS = {
    "accepted",
    "consent_withdrawn",
    "held",
    "newer_at_genie",
    "not_avro",
    "outcome_unknown",
    "rejected_by_genie",
    "resolved_by_lookup",
    "same_event",
    "unknown_schema_id",
}


@cache
def explored(name: str) -> Explored:
    """A small version of a world."""
    return explore(next(shape for shape in worlds.ALL if shape.name == name).small())


@pytest.mark.parametrize("name", [shape.name for shape in worlds.ALL])
def test_every_state_of_a_world_keeps_the_promises(name: str) -> None:
    """No promise is broken in any state, and from each all is settled once troubles are over."""
    assert explored(name).violation is None, "\n".join(explored(name).story)


def test_the_worlds_are_not_empty() -> None:
    """So many states that tell each other apart by more than time have been looked at."""
    assert sum(explored(shape.name).states for shape in worlds.ALL) >= STATES


def test_the_worlds_end_in_many_ways() -> None:
    """The rare endings are among what was looked at."""
    assert set().union(*(explored(shape.name).endings for shape in worlds.ALL)) >= ENDINGS


class Apart(Machines):
    """Lanes that are never taken for one another: each has a number of its own."""

    def _intern(self, moment: Moment, lane: Lane) -> tuple[int, Mapping[str, int]]:
        self._numbers.clear()
        return super()._intern(moment, lane)


@pytest.mark.parametrize("shape", worlds.ALL, ids=lambda shape: shape.name)
def test_lanes_with_one_fingerprint_do_the_same(shape: Shape) -> None:
    """On any walk a lane that is taken for one met before goes on as one that is not."""
    merged, apart = World(shape), World(shape)
    apart.machines = Apart(shape)
    rng = Random(shape.name)
    for _ in range(WALKS):
        here, there = merged.first(), apart.first()
        for _ in range(STEPS):
            action = rng.choice(list(merged.actions(here)))
            here, there = merged.act(here, action), apart.act(there, action)
            assert _without_lanes(here) == _without_lanes(there)


def test_two_ways_to_one_state_meet() -> None:
    """What has nothing to do with each other may come in any order, and what came to nothing leaves no trace."""
    world = World(next(shape for shape in worlds.ALL if shape.name == "scope changes"))
    asked = _after(world, world.first(), "start", "takes over", "reads", "commit", "commit")
    assert _after(world, asked, "change", "tick") == _after(world, asked, "tick", "change")
    failed = _after(world, asked, "fence failed")
    assert failed._replace(left=asked.left) == asked


def test_states_that_do_something_else_differ() -> None:
    """A lane that still may send is not one that is too late."""
    world = World(next(shape for shape in worlds.ALL if shape.name == "scope changes"))
    asked = _after(world, world.first(), "start", "takes over", "reads", "commit", "commit")
    late = _after(world, asked, "tick")
    assert late.owners[0].lane != asked.owners[0].lane
    assert _after(world, late, "tick", "tick", "tick") == _after(world, late, "tick", "tick")


def _after(world: World, state: State, *names: str) -> State:
    for name in names:
        state = world.act(state, next(action for action in world.actions(state) if action.name == name))
    return state


def _without_lanes(state: State) -> State:
    return state._replace(owners=tuple(owner._replace(lane=owner.lane >= 0) for owner in state.owners))
