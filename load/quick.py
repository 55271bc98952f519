"""`make bench-quick`: within a minute what an event costs, how long it takes, and that nothing was lost.

Knows two rounds on one stage: a backlog, then arrivals by the clock. Must not know how either is measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from load.bench import kafka
from load.measure import Meter, Progress
from load.result import Result
from load.round import Round, Say
from load.scenario import Scenario
from load.schedule import Schedule, Stretch
from load.stage import Kafka, Stage

BACKLOG = 50_000
RATE = 1_000.0
SECONDS = 5.0

FULL = Scenario(name="quick", sentence="A backlog, as fast as it can.", backlog=BACKLOG)
EASY = Scenario(
    name="quick-paced",
    sentence="Then a thousand a second.",
    schedule=Schedule((Stretch(RATE, SECONDS),)),
    warm_up_seconds=1.0,  # the gateway is warm already
)


@dataclass(frozen=True, slots=True)
class Quick:
    """Both rounds: what an event costs is told by the first, how long it takes by the second."""

    full: Result
    easy: Result

    @property
    def verified(self) -> bool:
        return self.full.verified and self.easy.verified

    def line(self) -> Mapping[str, Any]:
        """What the command ends with."""
        waited, baseline = self.easy.latency_ms, self.full.baseline
        return {
            "gateway_cpu_us_per_event": round(self.full.gateway_cpu_us_per_event, 1),
            "baseline_cpu_us_per_event": None if baseline is None else round(baseline.cpu_us_per_event, 1),
            "events_per_second": round(self.full.events_per_second),
            "latency_ms": None if waited is None else {"p50": waited.p50, "p99": waited.p99},
            "rss_mb": round(max(self.full.rss_mb, self.easy.rss_mb), 1),
            "verified": self.verified,
        }


async def quick(directory: Path, say: Say, full: Scenario = FULL, easy: Scenario = EASY) -> Quick:
    """Both, judged together."""
    say("starting Apache Kafka")
    async with kafka(directory, fast_start=True) as node:
        return await both(node, directory, say, full, easy)


async def both(node: Kafka, directory: Path, say: Say, full: Scenario, easy: Scenario) -> Quick:
    """The same on a node that is there."""
    async with (
        Meter() as meter,
        Stage(node, full, directory / "quick", meter) as stage,
        Progress(node.bootstrap, stage.group) as progress,
    ):
        running = Round(stage, meter, progress, say)
        await running.set_up()
        first, second = await running.run(full), await running.run(easy)
        judged = await running.judge(second)
        return Quick(running.result(first, judged), running.result(second, judged))
