"""What each stage of an event's way costs: the real functions of the gateway, one after another, in CPU µs an event.

Knows the list of stages and which of them lie inside others. Must not know how any of them works. A stage is compared
from machine to machine by its yards: its cost over that of a fixed piece of work done beside it.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass

import uvloop

from gateway.app import GARBAGE_EVERY
from gateway.kafka.connection import KafkaUnavailableError
from gateway.kafka.transactions import Doubtful
from gateway.sandbox.broker import Node
from load.stages import inside, kafka, partner
from load.stages.material import Material, Size
from load.stages.stage import Stage
from load.stages.table import table
from load.stages.watch import Watch

__all__ = ["RECIPES", "Size", "Stage", "UnknownStageError", "run", "table"]

TRIES = 3  # of a stage: on a machine that stands still at times, a request or a commit may be lost
_DISTURBED = (Doubtful, KafkaUnavailableError, partner.NotTakenError)


class UnknownStageError(ValueError):
    """There is no such stage."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a stage is measured."""

    name: str
    sentence: str
    measure: Callable[[Material, Watch], Awaitable[None]]
    within: str | None = None
    on_kafka: bool = False
    counts: bool = True  # on the way of an event in batches


RECIPES = (
    Recipe("poll", "the consumer, up to raw records in a lane's hands", kafka.poll, on_kafka=True),
    Recipe("intake", "from an input record's bytes to what a lane takes", inside.intake),
    Recipe("decode", "its Avro", inside.decode, "intake"),
    Recipe("check", "its fields: formats, ranges, and whose it is", inside.check, "intake"),
    Recipe("consent", "the view's lookups, for what was fetched and behind the fence", kafka.consent, on_kafka=True),
    Recipe("lane", "the lane's own state machine", inside.lane),
    Recipe("decide", "consent rules, at the announcement and behind the fence", inside.decide, "lane"),
    Recipe("minimise", "the body that GeNiE may have, and its digest", inside.minimise, "lane"),
    Recipe("understand", "what GeNiE's answer means for each entry", inside.understand, "lane"),
    Recipe("fence", "proof that the view is fresh, one for 1,000 events", kafka.fence, on_kafka=True),
    Recipe("send", "the HTTP client over TLS", partner.send),
    Recipe("encode", "the content of a request", partner.encode, "send"),
    Recipe("sign", "digest and Ed25519 signature of a request", partner.sign, "send"),
    Recipe("verify", "digest and signature of the answer, its results", partner.verify, "send"),
    Recipe("intents", "Avro of the intents", inside.intents),
    Recipe("ledger", "Avro of the ledger's records", inside.ledger),
    Recipe("transaction", "one transaction for 1,000 events, acknowledged", kafka.transaction, on_kafka=True),
    Recipe("metrics", "what is counted", inside.metrics),
    Recipe("single", "send, one event a request", partner.single, counts=False),
)


def run(names: Collection[str] = (), size: Size | None = None, bootstrap: str | None = None) -> list[Stage]:
    """Measure the stages of these names, or all; on a broker of its own unless one is named.

    Raises UnknownStageError."""
    if unknown := sorted(set(names) - {recipe.name for recipe in RECIPES}):
        raise UnknownStageError(f"no stage {', '.join(unknown)}: there are {', '.join(r.name for r in RECIPES)}")
    wanted = [recipe for recipe in RECIPES if not names or recipe.name in names]
    with ExitStack() as stack:
        if bootstrap is None and any(recipe.on_kafka for recipe in wanted):
            bootstrap = stack.enter_context(Node(fast_start=False)).bootstrap
        stack.enter_context(_spared())
        runner = stack.enter_context(asyncio.Runner(loop_factory=uvloop.new_event_loop))
        return [runner.run(_measured(recipe, size or Size(), bootstrap or "")) for recipe in wanted]


async def _measured(recipe: Recipe, size: Size, bootstrap: str) -> Stage:
    for _ in range(TRIES - 1):
        with suppress(*_DISTURBED):
            return await _once(recipe, size, bootstrap)
    return await _once(recipe, size, bootstrap)


async def _once(recipe: Recipe, size: Size, bootstrap: str) -> Stage:
    watch = Watch(size.rounds)
    await recipe.measure(Material(size, bootstrap), watch)
    return Stage(recipe.name, recipe.sentence, recipe.within, recipe.counts, **asdict(watch.measured()))


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
