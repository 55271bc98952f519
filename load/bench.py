"""Rounds one after another on one Kafka, and what they come to.

Knows which rounds a command means. Must not know how one is measured or shown.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median

from gateway.sandbox.broker import Node
from load.measure import Meter, Progress
from load.result import Result
from load.round import Round, Say
from load.scenario import Scenario
from load.scenarios import at
from load.stage import Kafka, Stage

CAPACITY = "backlog"  # the rounds that tell what this machine can do


@asynccontextmanager
async def kafka(directory: Path, *, fast_start: bool = False) -> AsyncIterator[Kafka]:
    """A node for all rounds; with Java's full compiler it takes longer to be warm, and costs less then."""
    node = Node(directory / "kafka", fast_start=fast_start)
    try:
        await node.start_async()
        yield Kafka(node.bootstrap, node.pid)
    finally:
        node.kill()  # at once: nobody reads it any more


async def one(node: Kafka, scenario: Scenario, directory: Path, say: Say) -> Result:
    """One round from its first consent to the verdict."""
    async with (
        Meter() as meter,
        Stage(node, scenario, directory, meter) as stage,
        Progress(node.bootstrap, stage.group) as progress,
    ):
        running = Round(stage, meter, progress, say)
        await running.set_up()
        run = await running.run(scenario)
        return running.result(run, await running.judge(run))


async def several(
    scenarios: Sequence[Scenario], directory: Path, say: Say, so_far: Callable[[Sequence[Result]], None]
) -> list[Result]:
    """Each scenario in turn; after each, `so_far` is told all that there are."""
    results: list[Result] = []
    say("starting Apache Kafka")
    async with kafka(directory) as node:
        for number, planned in enumerate(scenarios, 1):
            say(f"{planned.name} ({number} of {len(scenarios)}): {planned.sentence}")
            scenario = _fitted(planned, results)
            results.append(await one(node, scenario, directory / f"{number:02}-{scenario.name}", say))
            so_far(results)
    return results


def _fitted(scenario: Scenario, before: Sequence[Result]) -> Scenario:
    """At its share of what this machine can do, as far as that is known."""
    full = [result.events_per_second for result in before if result.scenario == CAPACITY]
    if not scenario.capacity_share or not full:
        return scenario
    return at(scenario, rate=scenario.capacity_share * median(full), minutes=None)
