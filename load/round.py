"""One round on a stage: what arrives, what is measured between which moments, and the result of it.

Knows the order of things. Must not know how parts are started or numbers are read.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.sandbox.demo.tasks import alongside
from gateway.sandbox.verifier import Defect
from load import beside, latency
from load.measure import Meter, Progress
from load.result import Baseline, Kind, Latency, Result, Sandbox
from load.scenario import SUBJECTS, Scenario
from load.stage import LOAD_SECONDS, Stage
from load.window import Sample, Window, slope

LOOK_SECONDS = 0.1  # between two looks at how far the gateway is
LONGEST_SECONDS = 7_200.0  # of any one round
SETTLE_MINUTES = 2.0  # of a round: memory's trend counts from then on

Say = Callable[[str], None]


class RoundError(Exception):
    """The round did not come to an end; the text says what stands still, and where to look."""


@dataclass(frozen=True, slots=True)
class Run:
    """What was seen of a round before anybody judged it."""

    scenario: Scenario
    window: Window
    events_per_second: float
    since_ms: int = 0  # when the measured arrivals began; 0 where nothing arrived by a clock
    behind_ms: float = 0.0
    extra: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judged:
    """What was found afterwards."""

    verdict: Mapping[str, Any]
    latency: Latency | None
    baseline: Baseline | None


class Round:
    """Drives one stage, and looks on."""

    def __init__(self, stage: Stage, meter: Meter, progress: Progress, say: Say) -> None:
        self.stage = stage
        self._meter = meter
        self._progress = progress
        self._say = say
        self._produced = 0

    async def set_up(self) -> None:
        """Gateways run, and all consents are in Kafka; their views follow before anything is sent."""
        scenario = self.stage.scenario
        self._say(f"{scenario.subjects:,} consents, {scenario.gateways} gateway process(es)")
        writing = self.stage.load_consents()
        if scenario.subjects > SUBJECTS:  # more than a view follows in the meantime: it is caught up with first
            await writing.succeeds(LOAD_SECONDS)
        for _ in range(scenario.gateways):
            await self.stage.start_gateway()
        await writing.succeeds(LOAD_SECONDS)

    async def run(self, scenario: Scenario) -> Run:
        """All of the scenario, whatever its kind: that of the stage, or one that differs from it in arrivals alone."""
        work = self._backlog(scenario) if scenario.schedule is None else self._paced(scenario)
        async with asyncio.timeout(LONGEST_SECONDS):
            return await alongside(work, self.stage.crew.watch())

    async def _backlog(self, scenario: Scenario) -> Run:
        """All of it is written at once, by a producer that is much faster than any gateway.

        When the first sample is taken nothing is under way, and nothing is at the last: a gateway reads far ahead, so
        between two moments under load much would be counted that was done before, or left out that is done behind."""
        self._say(f"warm-up: {scenario.warm_up_events:,} events")
        await self._fill(scenario.warm_up_events)
        first = await self._until(self._produced)
        self._say(f"{scenario.backlog:,} events")
        await self._fill(scenario.backlog)
        full = await self._sample()
        extra = {} if scenario.joins_after is None else await self._joined(scenario.joins_after)
        last = await self._until(self._produced)
        whole, since_full = Window(first, last), Window(full, last)
        # A backlog so small that much of it was settled before the rest was written says little of speed.
        rate = (since_full if since_full.events > whole.events / 2 else whole).events_per_second
        return Run(scenario, whole, rate, extra=extra)

    async def _fill(self, events: int) -> None:
        self._produced += events
        await self.stage.fill(events).succeeds(LOAD_SECONDS)

    async def _joined(self, after: float) -> dict[str, float]:
        """One more gateway starts in the middle; how many events a second before that and behind it."""
        began = await self._sample()
        await asyncio.sleep(after)
        alone = await self._sample()
        self._say("one more gateway process joins")
        await self.stage.start_gateway()
        joined = await self._sample()
        await asyncio.sleep(after)
        together = await self._sample()
        return {
            "alone_events_per_second": Window(began, alone).events_per_second,
            "joining_seconds": joined.at - alone.at,
            "together_events_per_second": Window(joined, together).events_per_second,
        }

    async def _paced(self, scenario: Scenario) -> Run:
        schedule = scenario.paced
        settled_before = await self._progress.settled()
        self._produced += schedule.events
        self._say(f"{schedule.events:,} events arrive in {schedule.seconds:.0f} s")
        producer = self.stage.produce(schedule)
        await self._until(settled_before + scenario.warm_up_events)
        since_ms, first = int(time.time() * 1000), await self._sample()
        extra = await self._outage(scenario, settled_before)
        done = (await producer.says("done", schedule.seconds + LOAD_SECONDS))["done"]
        last = await self._until(settled_before + schedule.events)
        if extra:
            extra["recovered_after_s"] = last.at - extra.pop("back_at")
        since_ms = max(since_ms, done["started_at_ms"] + int(scenario.warm_up_seconds * 1000))
        window = Window(first, last)
        rate, behind_ms = window.events_per_second, done["behind_ms"]
        return Run(scenario, window, rate, since_ms, behind_ms, extra)

    async def _outage(self, scenario: Scenario, settled_before: int) -> dict[str, float]:
        """Let GeNiE be away as the scenario says; when it came back."""
        if scenario.outage is None:
            return {}
        await asyncio.sleep(scenario.outage.after)
        self._say(f"GeNiE is away for {scenario.outage.seconds:.0f} s")
        await self.stage.genie_away(away=True)
        await asyncio.sleep(scenario.outage.seconds)
        await self.stage.genie_away(away=False)
        self._say("GeNiE is back")
        gathered = settled_before + scenario.paced.events - (await self._sample()).counts.settled
        return {"back_at": time.monotonic(), "to_come_when_back": gathered}

    async def _sample(self) -> Sample:
        return await self._meter.sample(self.stage.metrics_urls)

    async def _until(self, settled: int) -> Sample:
        """Wait until so many are settled. Raises RoundError when nothing moves for the scenario's patience."""
        moved_at, most = time.monotonic(), -1
        while (now := await self._progress.settled()) < settled:
            if now > most:
                moved_at, most = time.monotonic(), now
            elif time.monotonic() - moved_at > self.stage.scenario.patience:
                logs = ", ".join(str(gateway.child.log) for gateway in self.stage.gateways)
                raise RoundError(
                    f"{settled - now:,} of {settled:,} events are not settled, and none was for "
                    f"{self.stage.scenario.patience:.0f} s: see {logs}"
                )
            self._say(f"{now:,} of {settled:,} events settled")
            await asyncio.sleep(LOOK_SECONDS)
        return await self._sample()

    async def judge(self, run: Run) -> Judged:
        """What is found afterwards, all at once: nothing of it is measured by the clock."""
        self._say("the verifier, latencies, and the baseline")
        bootstrap, prefix = self.stage.kafka.bootstrap, self.stage.prefix
        verdict, waited, baseline = await asyncio.gather(
            self.stage.verdict(),
            latency.read(bootstrap, prefix, run.since_ms) if run.since_ms else _nothing(),
            beside.baseline(self.stage, self._produced // 2),
        )
        return Judged(verdict, waited, baseline)

    def result(self, run: Run, judged: Judged) -> Result:
        """All of it."""
        scenario, window, verdict = run.scenario, run.window, judged.verdict
        cpu = window.cpu_us_per_event
        trend = [(minute, mb) for minute, mb in self._meter.memory if minute > SETTLE_MINUTES]
        return Result(
            scenario=scenario.name,
            mode=scenario.mode,
            gateways=len(self.stage.gateways),
            partitions=scenario.partitions,
            subjects=scenario.subjects,
            events=window.events,
            seconds=window.seconds,
            events_per_second=run.events_per_second,
            gateway_cpu_us_per_event=cpu.get(Kind.GATEWAY, 0.0),
            cpu_us_per_event=cpu,
            latency_ms=judged.latency,
            wire_bytes_per_event=window.wire_bytes_per_event,
            rss_mb=self._meter.most_rss_mb,
            per_event=window.per_event,
            sandbox=Sandbox(window.genie_cores, scenario.genie_ms, window.answer_ms, run.behind_ms),
            verdict=counts(verdict),
            provided=int(verdict.get("partner_received", 0)),
            settled=window.outcomes,
            commit_ms=window.commit_ms,
            rss_slope_mb_per_minute=slope(trend) if scenario.memory_trend else None,
            extra=run.extra,
            baseline=judged.baseline,
        )


async def _nothing() -> None:
    """Where nothing arrives by a clock, waiting says nothing."""


def counts(verdict: Mapping[str, Any]) -> dict[str, int]:
    """The verifier's counts, each of which must be 0."""
    names = [*(defect.value for defect in Defect), "sent_while_held"]
    return {name: int(verdict[name]) for name in names if name in verdict}
