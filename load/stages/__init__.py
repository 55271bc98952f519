"""What each stage of an event's way costs: the real functions of the gateway, one after another, in CPU µs an event.

Knows the list of stages and which of them lie inside others. Must not know how any of them works. A stage is compared
from machine to machine by its yards: its cost over that of a fixed piece of work done beside it.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvloop

from gateway.app import GARBAGE_EVERY
from load.stages import inside, partner
from load.stages.material import Material, Size
from load.stages.watch import Measured, Watch

__all__ = ["RECIPES", "Size", "Stage", "UnknownStageError", "run"]


class UnknownStageError(ValueError):
    """There is no such stage."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What one stage costs."""

    name: str
    sentence: str
    within: str | None  # the stage that it is a part of
    cost: Measured


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a stage is measured."""

    name: str
    sentence: str
    measure: Callable[[Material, Watch], Awaitable[None]]
    within: str | None = None


RECIPES = (
    Recipe("decode", "Avro, checks, names and digests of an input record", inside.decode),
    Recipe("lane", "the lane's own state machine", inside.lane),
    Recipe("decide", "consent rules, at the announcement and behind the fence", inside.decide, "lane"),
    Recipe("minimise", "the body that GeNiE may have, and its digest", inside.minimise, "lane"),
    Recipe("understand", "what GeNiE's answer means for each entry", inside.understand, "lane"),
    Recipe("send", "the HTTP client over TLS", partner.send),
    Recipe("encode", "the content of a request", partner.encode, "send"),
    Recipe("sign", "digest and Ed25519 signature of a request", partner.sign, "send"),
    Recipe("verify", "digest and signature of the answer, its results", partner.verify, "send"),
    Recipe("intents", "Avro of the intents", inside.intents),
    Recipe("ledger", "Avro of the ledger's records", inside.ledger),
    Recipe("metrics", "what is counted", inside.metrics),
    Recipe("single", "send, one event a request", partner.single, "one by one"),
)


def run(names: Collection[str] = (), size: Size | None = None) -> list[Stage]:
    """Measure the stages of these names, or all; raises UnknownStageError."""
    if unknown := sorted(set(names) - {recipe.name for recipe in RECIPES}):
        raise UnknownStageError(f"no stage {', '.join(unknown)}: there are {', '.join(r.name for r in RECIPES)}")
    wanted = [recipe for recipe in RECIPES if not names or recipe.name in names]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, _spared():
        return [runner.run(_measured(recipe, size or Size())) for recipe in wanted]


async def _measured(recipe: Recipe, size: Size) -> Stage:
    watch = Watch(size.rounds)
    await recipe.measure(Material(size), watch)
    found = watch.measured()
    return Stage(recipe.name, recipe.sentence, recipe.within, found)


@contextmanager
def _spared() -> Iterator[None]:
    """The collector as a gateway that serves has it."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_EVERY)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
