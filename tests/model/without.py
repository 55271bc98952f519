"""A world without one step of the lane, for a process of its own, because a patch stays."""

from dataclasses import replace as changed

from tests.model import invariants, removals, worlds
from tests.model.search import Explored, explore
from tests.promises.patching import replace

MOST = 60_000  # states; every removal is found among fewer


def explore_without(*steps: str, promises_alone: bool = False) -> Explored:
    """The world that must turn red without the first of these, and here it is without all of them: by a rule that
    keeps a promise, or by a broken promise alone."""
    shape = next(shape for shape in worlds.ALL if shape.name == removals.FOUND_IN[steps[0]])
    if promises_alone:
        replace(invariants, "rule", lambda kept, sentence: None)
    for step in steps:
        removals.NAMED[step]()
    return explore(changed(shape, most=MOST))
