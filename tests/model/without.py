"""A world without one step of the lane, in a process of its own, because a patch stays."""

import multiprocessing
from dataclasses import replace

from tests.model import removals, worlds
from tests.model.search import Explored, explore

MOST = 60_000  # states; every removal is found among fewer


def explore_without(step: str) -> Explored:
    """The world that must turn red without this step."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(_explore, (step,))


def _explore(step: str) -> Explored:
    shape = next(shape for shape in worlds.ALL if shape.name == removals.FOUND_IN[step])
    removals.NAMED[step]()
    return explore(replace(shape, most=MOST))
