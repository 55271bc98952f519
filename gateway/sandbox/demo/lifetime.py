"""The life of a run: its directory, Ctrl-C, `--stay`, and that nothing stays behind.

Knows beginnings and ends. Must not know what happens between them.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import tempfile
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import uvloop

from gateway.sandbox.broker import ensure_jars
from gateway.sandbox.demo import monitor
from gateway.sandbox.demo.plan import Plan
from gateway.sandbox.demo.reporting import Report
from gateway.sandbox.demo.run import Demo, Finished
from gateway.sandbox.demo.screen import Screen
from gateway.sandbox.demo.stage import Stage
from gateway.sandbox.demo.tasks import alongside

DIRECTORY_PREFIX = "gateway-demo-"


class InterruptedRunError(Exception):
    """Ctrl-C or SIGTERM came before the verdict."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the caller wants besides the run itself."""

    report: Path | None
    svg: Path | None
    stay: bool
    prometheus: Path | None = None  # a program that is to watch


def perform(plan: Plan, wishes: Wishes, screen: Screen, sentences: Mapping[str, str]) -> Finished:
    """One whole run. Raises ChildError, ArtifactError or InterruptedRunError; then nothing of it runs any more."""
    ensure_jars()
    directory = Path(tempfile.mkdtemp(prefix=DIRECTORY_PREFIX))
    keep = True  # what went wrong is found in its logs
    try:
        finished = uvloop.run(_perform(plan, wishes, screen, sentences, directory))
        keep = bool(finished.wrong)
        return finished
    except InterruptedRunError:
        keep = False
        raise
    finally:
        if keep:
            screen.say(f"logs, settings and receipts are kept in {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)


async def _perform(
    plan: Plan, wishes: Wishes, screen: Screen, sentences: Mapping[str, str], directory: Path
) -> Finished:
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with AsyncExitStack() as stack:
        stack.callback(screen.close)
        screen.say(f"starting Apache Kafka, GeNiE, the gateway and producers (logs and settings in {directory})")
        entering = stack.enter_async_context(Stage(plan, directory, wishes.prometheus))
        stage = await alongside(entering, _interrupted(stopping))
        if stage.prometheus_url:
            screen.say(f"Prometheus, for dashboards and questions: {stage.prometheus_url}{monitor.without_rules()}")
        demo = Demo(stage, screen, sentences)
        finished = await alongside(demo.run(directory), _interrupted(stopping))
        if wishes.report:
            wishes.report.write_bytes(finished.report.as_json())
        if wishes.svg:
            screen.picture(wishes.svg, finished.verdict)
        if wishes.stay:
            screen.say(_to_try(finished.report, stage))
            await alongside(stopping.wait(), stage.crew.watch())
    return finished


async def _interrupted(stopping: asyncio.Event) -> None:
    await stopping.wait()
    raise InterruptedRunError


def _to_try(report: Report, stage: Stage) -> str:
    kafka = report.endpoints["kafka"]
    watched = f"\n  open {stage.prometheus_url}/alerts" if stage.prometheus_url else ""
    return f"""
everything stays up until Ctrl-C. In a second terminal, for example:
  export GATEWAY_CONFIG={stage.gateways[0].settings}
  gateway status
  gateway lanes show --watch
  gateway parked stats
  curl {report.endpoints["metrics"]}{watched}
  curl {stage.genie.admin}/stats
  gateway dev faults set unavailable=0.5 --admin {stage.genie.admin}
  gateway dev produce --bootstrap {kafka} --events 2000 --rate 500 --seed 2
  gateway dev verify --bootstrap {kafka} --receipts {stage.genie.receipts} --logs {stage.gateway_logs[0]}
  tail -f {stage.gateway_logs[0]}"""
