"""Breadth first through every state of a world: no promise is broken in any, and from each all ends well.

All ends well: if nothing goes wrong any more, what happens next is one thing after another (the first calm action),
and that must end where nothing is left to do. States that only the passing of time tells from another are kept, but
not counted.
"""

from __future__ import annotations

import gc
import time
from array import array
from contextlib import suppress
from itertools import pairwise
from typing import NamedTuple

from tests.model import invariants
from tests.model.actions import TICK, Action, World, is_calm
from tests.model.invariants import BrokenPromiseError
from tests.model.machine import LaneBrokeError
from tests.model.shape import Shape
from tests.model.state import State
from tests.model.story import Telling

NONE = -1
NEVER_SETTLED = "in a calm world all is settled in the end, and not for ever under way"


class Found(NamedTuple):
    """A broken promise, and the shortest way there."""

    promise: str
    way: tuple[Action, ...]


class Explored(NamedTuple):
    """What the exploration of a world came to."""

    name: str
    states: int
    with_ticks: int
    depth: int
    is_whole: bool
    lanes: int
    endings: frozenset[str]  # the reasons that were ever settled
    seconds: float
    violation: str | None  # the promise
    story: tuple[str, ...]  # the shortest way to it


def explore(shape: Shape) -> Explored:
    """Every state of a world, or as many levels of depth as the world's bound lets begin."""
    began = time.perf_counter()
    gc.disable()  # states are kept and hold no cycles: the collector would only look at them again and again
    try:
        search = _Search(World(shape))
        found = search.run()
    finally:
        gc.enable()
    seconds = time.perf_counter() - began
    return Explored(
        shape.name,
        search.counted,
        len(search.states),
        search.depth,
        search.is_whole,
        len(search.world.machines),
        frozenset(said.reason for ledger in {state.kafka.ledger for state in search.states} for said in ledger),
        seconds,
        found and found.promise,
        tuple(search.tell(found)) if found else (),
    )


class _Search:
    def __init__(self, world: World) -> None:
        self.world = world
        first = world.first()
        self.states: list[State] = [first]
        self.counted = 1
        self.depth = 0
        self.is_whole = True
        self._places: dict[State, int] = {first: 0}
        self._parents = array("q", [NONE])
        self._next = array("q", [NONE])  # the state after the first calm action

    def run(self) -> Found | None:
        """Explore; the first violation, which is one of the shortest."""
        begin, end = 0, 1
        while begin < end:
            if end > self.world.shape.most:
                self.is_whole = False
                break
            for place in range(begin, end):
                if (found := self._expand(place)) is not None:
                    return found
            begin, end = end, len(self.states)
            self.depth += 1
        return self._all_end_well()

    def tell(self, found: Found) -> list[str]:
        """The way to a broken promise, a line for each action."""
        state, telling = self.world.first(), Telling()
        for action in found.way:
            with suppress(BrokenPromiseError, LaneBrokeError):
                state = self.world.act(state, action, telling)
            telling.end_line()
        return [*telling.lines, f"broken: {found.promise}"]

    def _expand(self, place: int) -> Found | None:
        state, world = self.states[place], self.world
        first_calm = True
        for action in world.actions(state):
            try:
                after = world.act(state, action)
            except (BrokenPromiseError, LaneBrokeError) as broken:
                return Found(str(broken), (*self.way(place), action))
            there = self._places.get(after)
            if there is None:
                there = self._places[after] = len(self.states)
                self.states.append(after)
                self._parents.append(place)
                self._next.append(NONE)
                self.counted += action.name != TICK.name
            if first_calm and is_calm(action) and there != place:
                self._next[place], first_calm = there, False
        if first_calm and (missing := self._missing(state)):
            return Found(missing, self.way(place))
        return None

    def _missing(self, state: State) -> str | None:
        """What is missing where nothing is left to do."""
        lane = next((owner.lane for owner in state.owners if not owner.stale), NONE)
        try:
            invariants.check(lane != NONE, "somebody has the lane in the end")
            invariants.at_the_end(self.world.shape, state, self.world.machines.view(lane))
        except BrokenPromiseError as broken:
            return str(broken)
        return None

    def _all_end_well(self) -> Found | None:
        """Every chain of calm actions ends; beyond the last depth the chain is followed without being counted."""
        followed: set[State] = set()
        ends = bytearray(len(self.states))  # 1: on the chain that is followed, 2: known to end well
        for start in range(len(self.states)):
            chain, place = [], start
            while not ends[place] and self._next[place] != NONE:
                ends[place] = 1
                chain.append(place)
                place = self._next[place]
            if ends[place] == 1:
                return Found(NEVER_SETTLED, self.way(start))
            if not ends[place] and not self.is_whole and (found := self._follow(place, followed)) is not None:
                return found
            for passed in (*chain, place):
                ends[passed] = 2
        return None

    def _follow(self, place: int, followed: set[State]) -> Found | None:
        """The calm chain from a state of the last depth to one that is known or the end."""
        state, world, on = self.states[place], self.world, []
        chain: set[State] = set()
        while state not in followed:
            chain.add(state)
            for action in filter(is_calm, world.actions(state)):
                try:
                    after = world.act(state, action)
                except (BrokenPromiseError, LaneBrokeError) as broken:
                    return Found(str(broken), (*self.way(place), *on, action))
                if after != state:
                    break
            else:
                missing = self._missing(state)
                if missing:
                    return Found(missing, (*self.way(place), *on))
                break
            on.append(action)
            if after in chain:
                return Found(NEVER_SETTLED, (*self.way(place), *on))
            state = after
        followed |= chain
        return None

    def way(self, place: int) -> tuple[Action, ...]:
        """The actions from the beginning to a state."""
        places = [place]
        while self._parents[places[-1]] != NONE:
            places.append(self._parents[places[-1]])
        places.reverse()
        return tuple(self._between(before, after) for before, after in pairwise(places))

    def _between(self, before: int, after: int) -> Action:
        state, wanted = self.states[before], self.states[after]
        return next(action for action in self.world.actions(state) if self.world.act(state, action) == wanted)
