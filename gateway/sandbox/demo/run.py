"""One run from the first process to the verdict.

Knows the order of things: parts up, events flow and consents change, all settled, verified, reported, shown.
Must not know how any of these is done.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from gateway.sandbox.demo import evidence, examples, gauges, reporting, summary
from gateway.sandbox.demo.board import Pace, Snapshot
from gateway.sandbox.demo.children import Child, ChildError
from gateway.sandbox.demo.follow import LedgerFollower
from gateway.sandbox.demo.killer import Killer
from gateway.sandbox.demo.plan import Plan
from gateway.sandbox.demo.screen import Screen
from gateway.sandbox.demo.stage import Stage
from gateway.sandbox.demo.tally import Tally
from gateway.sandbox.demo.tasks import alongside, until

CHECK_SECONDS = 0.25
STILL_SECONDS = 60.0  # nothing settled for so long: nothing more will be
VERIFY_SECONDS = 600.0
INPUTS = ("lease.payments", "norel.scores")


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that came to its verdict."""

    report: reporting.Report
    wrong: Sequence[str]  # empty if all is well
    verdict: RenderableType


class Demo:
    """One run. `sentences`: what each reason means, by code."""

    def __init__(self, stage: Stage, screen: Screen, sentences: Mapping[str, str]) -> None:
        self._stage = stage
        self._plan: Plan = stage.plan
        self._screen = screen
        self._sentences = sentences
        self._tally = Tally(remember_keys=self._plan.kills)
        self._killer = Killer(stage, self._tally)
        self._began = time.monotonic()
        self._paces = Pace(), Pace()
        self._producers: Child | None = None

    async def run(self, directory: Path) -> Finished:
        """Let the events flow until all are settled, then judge and show. Raises ChildError, TopicsError."""
        self._producers = self._stage.produce()
        watch = self._stage.crew.watch
        async with LedgerFollower(self._stage.bootstrap, self._tally) as follower:
            await alongside(self._flow(), follower.run(), watch(), self._show())
        self._screen.show(await self._snapshot("all settled"), final=True)
        return await alongside(self._judge(directory), watch())

    # --- while events flow --------------------------------------------------------------------------------

    async def _flow(self) -> None:
        """Return when every event is settled and every kill is done, or when nothing moves any more."""
        if self._plan.for_speed:
            await until(self._all_produced)
        self._stage.start_gateways()
        await self._stage.gateways_ready()
        await asyncio.gather(self._all_settled(), self._killer.run())

    def _all_produced(self) -> bool:
        """All made, and all but the last few acknowledged; so the producers need not say it at the right moment."""
        return self._running().status is not None or self._progress().get("events") == self._plan.events

    async def _all_settled(self) -> None:
        moved_at, before = time.monotonic(), -1
        while not self._is_complete() and time.monotonic() - moved_at < STILL_SECONDS:
            if self._tally.records + self._produced() != before:
                moved_at, before = time.monotonic(), self._tally.records + self._produced()
            await asyncio.sleep(CHECK_SECONDS)

    def _is_complete(self) -> bool:
        producers = self._running()
        if producers.status is None:
            return False
        if producers.status != 0:
            raise producers.failure("failed")
        return self._tally.settled >= _inputs(_done(producers))

    async def _show(self) -> None:
        while True:
            self._screen.show(await self._snapshot("events flow"))
            await asyncio.sleep(self._screen.pause_seconds)

    async def _snapshot(self, doing: str) -> Snapshot:
        metrics = await self._stage.metrics()
        genie = await self._stage.genie_stats() or {}
        progress = self._progress()
        seconds = time.monotonic() - self._began
        produced, settled = self._produced(), self._tally.settled
        return Snapshot(
            seconds=seconds,
            doing=doing if produced or settled else "parts start",
            events=self._plan.events,
            produced=produced,
            settled=settled,
            produced_rate=self._paces[0].rate(seconds, produced),
            settled_rate=self._paces[1].rate(seconds, settled),
            outcomes=dict(self._tally.outcomes),
            taken=gauges.taken(metrics),
            in_flight=gauges.in_flight(metrics),
            consent_changes=progress.get("changes", 0),
            answers=genie.get("answers", {}),
            entries=genie.get("entries", {}),
            lookups=sum(genie.get("lookups", {}).values()),
            faults=genie.get("faults", {}),
            kills=len(self._killer.kills),
        )

    def _running(self) -> Child:
        if self._producers is None:
            raise ChildError("the producers were not started")
        return self._producers

    def _progress(self) -> Mapping[str, Any]:
        told = self._running().said("progress")
        progress: Mapping[str, Any] = told["progress"] if told else {}
        return progress

    def _produced(self) -> int:
        producers = self._running()
        if producers.status == 0:
            return _inputs(_done(producers))
        return int(self._progress().get("events", 0))

    # --- when all is settled ------------------------------------------------------------------------------

    async def _judge(self, directory: Path) -> Finished:
        metrics = directory / "metrics.txt"
        metrics.write_text(await self._stage.metrics(), "utf-8")
        verifying = self._stage.verify(metrics)
        announced = await evidence.read(self._stage.bootstrap)
        genie = await self._stage.genie_stats()
        if genie is None:
            raise ChildError("GeNiE's counts can't be read: its admin port does not answer")
        if await verifying.ended(VERIFY_SECONDS) not in (0, 1):
            raise verifying.failure("failed")
        verdict = verifying.said("lost")
        if verdict is None:
            raise verifying.failure("gave no verdict")
        gap = evidence.gap_in(announced, self._tally, self._stage.genie.receipts)
        produced = _done(self._running())
        reached = evidence.reached(announced, gap, self._tally, genie, produced, self._killer.kills)
        report = reporting.report(verdict, reached, self._tally.events_per_second, self._endpoints())
        wrong = list(reporting.shortcomings(self._plan, report))
        chosen = await examples.choose(self._stage.bootstrap, self._tally.examples, gap, self._stage.genie.receipts)
        shown = summary.verdict(report, wrong, _defects(verdict))
        self._screen.print(
            *summary.examples(chosen, self._sentences),
            summary.outcomes(self._tally.reasons, self._sentences),
            summary.reached(report),
            shown,
        )
        return Finished(report, wrong, shown)

    def _endpoints(self) -> dict[str, str]:
        endpoints = {
            "kafka": self._stage.bootstrap,
            "genie": self._stage.genie.url,
            "metrics": self._stage.gateways[0].metrics_url,
        }
        if self._stage.prometheus_url:
            endpoints["prometheus"] = self._stage.prometheus_url
        return endpoints


def _done(producers: Child) -> dict[str, Any]:
    """What the producers said in the end."""
    done = producers.said("produced")
    if done is None:
        raise producers.failure("did not say what they produced")
    return done


def _inputs(done: Mapping[str, Any]) -> int:
    """Events that a reader of committed records gets."""
    return sum(done["produced"].get(topic, 0) for topic in INPUTS)


def _defects(verdict: Mapping[str, Any]) -> list[str]:
    """A few defects in words."""
    return [
        f"{name}: {example['where']} {example['key'] or ''}: {example['what']}"
        for name, found in verdict["examples"].items()
        for example in found
    ]
