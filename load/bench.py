"""Rounds one after another on one Kafka, and what they come to.

Knows which rounds a command means. Must not know how one is measured or shown.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.sandbox.broker import Node
from load.measure import Meter
from load.result import Result
from load.round import Round, Say
from load.scenario import Scenario
from load.stage import Kafka, Stage


@asynccontextmanager
async def kafka(directory: Path) -> AsyncIterator[Kafka]:
    """A node for all rounds, with Java's full compiler: it is warm after the first."""
    node = Node(directory / "kafka", fast_start=False)
    try:
        await node.start_async()
        yield Kafka(node.bootstrap, node.pid)
    finally:
        node.kill()  # at once: nobody reads it any more


async def one(node: Kafka, scenario: Scenario, directory: Path, say: Say) -> Result:
    """One round from its first consent to the verdict."""
    directory.mkdir(parents=True)
    async with Meter() as meter, Stage(node, scenario, directory, meter) as stage:
        running = Round(stage, meter, say)
        await running.set_up()
        run = await running.run()
        say("latencies, and the verifier")
        waited, verdict = await asyncio.gather(running.latencies(run), stage.verdict())
        return running.result(run, waited, verdict)


@asynccontextmanager
async def workplace(kept: Path | None) -> AsyncIterator[Path]:
    """Where a command keeps what it makes: a directory that is gone afterwards, or the one that was named."""
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept
        return
    made = Path(tempfile.mkdtemp(prefix="gateway-load-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


async def several(scenarios: Sequence[Scenario], kept: Path | None, say: Say) -> AsyncIterator[Result]:
    """Each scenario in turn."""
    async with workplace(kept) as directory, kafka(directory) as node:
        for number, scenario in enumerate(scenarios, 1):
            yield await one(node, scenario, directory / f"{number:02}-{scenario.name}", say)
