"""One pod: the chart's container as a process of the real command, started, probed and ended as kubelet does it.

Knows probes, signals and the grace period. Must not know why a pod is started or ended, or what lanes are.
"""

import asyncio
import shutil
import time
import urllib.request
from pathlib import Path

from gateway.sandbox.broker.node import free_port
from gateway.sandbox.demo import tasks
from gateway.sandbox.demo.children import Child
from tests.deploy.charts import Rendered
from tests.deploy.place import Place
from tests.rollout.terms import Probe, Terms

READY_S = 180.0  # a rebalance, and reading the view, on a busy machine


class RolloutError(Exception):
    """The exercise has failed before its verdict: kubelet would have had to kill a pod, or one ended by itself."""


class Pod:
    """Its place stays while containers in it come and go. `static`: whether the group knows it by its name."""

    def __init__(self, name: str, directory: Path, rendered: Rendered, keys: Path, *, static: bool) -> None:
        self.name = name
        self.logs: list[Path] = []
        self._directory = directory
        self._terms = Terms.of(rendered)
        self._place = Place(directory / name, rendered, rendered.pod, keys, name)
        self._port = free_port()  # pods have an address each, processes share this machine's
        self._environment = {**self._place.variables, "GATEWAY_OBSERVE__PORT": str(self._port)}
        if not static:
            del self._environment["GATEWAY_KAFKA__GROUP_INSTANCE_ID"]
        self._child: Child | None = None
        self._started = False  # the startup probe has succeeded
        self.ends: list[tuple[float, float]] = []  # from the signal to the end; s, as time.time

    def start(self) -> None:
        """A new container."""
        assert self._child is None
        log = self._directory / f"{self.name}-{len(self.logs):03d}.log"
        self.logs.append(log)
        self._started = False
        self._child = Child(self.name, self._place.arguments, log, self._environment)

    async def ready(self) -> None:
        """First it must have started, then be ready; each is asked at its probe's pace."""
        startup = self._terms.startup
        await self._says_yes(startup, startup.period_s * startup.failures)
        self._started = True
        await self._says_yes(self._terms.readiness, READY_S)

    async def available(self) -> None:
        """Ready for as long as the chart wants it before the next pod is replaced."""
        since = time.monotonic()
        while time.monotonic() - since < self._terms.min_ready_s:
            await asyncio.sleep(self._terms.readiness.period_s)
            if not await self._asked(self._terms.readiness):
                raise RolloutError(f"{self.name} was ready, and is not any more")

    async def end(self) -> None:
        """SIGTERM; who still runs when the grace is over would be killed, which must never be needed."""
        child, began = self._dismissed(), time.time()
        child.terminate()
        in_time = await tasks.until(lambda: child.status is not None, self._terms.grace_s)
        self.ends.append((began, time.time()))
        if not in_time:
            child.kill()
            raise RolloutError(f"{self.name} needed SIGKILL: it ran {self._terms.grace_s} s after SIGTERM")
        if child.status != 0:
            raise RolloutError(f"{self.name} ended with status {child.status} after SIGTERM:\n{child.tail()}")

    def kill(self) -> None:
        """SIGKILL, as a node's memory or fate has it."""
        child, began = self._dismissed(), time.time()
        child.kill()
        self.ends.append((began, time.time()))

    def remove_volume(self) -> None:
        """The view of consents goes with the pod's place."""
        shutil.rmtree(self._place.volume)
        self._place.volume.mkdir()

    async def watch(self) -> None:
        """Return never: raise RolloutError when it ends by itself, or when kubelet would end it for not being live."""
        failures = 0
        while True:
            await asyncio.sleep(self._terms.liveness.period_s)
            child = self._child
            if child is None or not self._started:
                failures = 0
                continue
            live = await self._asked(self._terms.liveness)
            if child is not self._child:
                continue  # it was ended meanwhile
            if child.status is not None:
                raise RolloutError(f"{self.name} ended by itself with status {child.status}:\n{child.tail()}")
            failures = 0 if live else failures + 1
            if failures >= self._terms.liveness.failures:
                raise RolloutError(f"{self.name} is not live:\n{child.tail()}")

    def _dismissed(self) -> Child:
        """The container, whose end is expected from now on."""
        child, self._child = self._child, None
        assert child is not None
        return child

    async def _says_yes(self, probe: Probe, seconds: float) -> None:
        child, deadline = self._child, time.monotonic() + seconds
        assert child is not None
        while not await self._asked(probe):
            if child.status is not None:
                raise RolloutError(f"{self.name} ended before {probe.path} said yes:\n{child.tail()}")
            if time.monotonic() > deadline:
                raise RolloutError(f"{self.name}: {probe.path} said no for {seconds:.0f} s:\n{child.tail()}")
            await asyncio.sleep(probe.period_s)

    async def _asked(self, probe: Probe) -> bool:
        url = f"http://127.0.0.1:{self._port}{probe.path}"

        def answers() -> bool:
            try:
                with urllib.request.urlopen(url, timeout=probe.timeout_s) as answer:
                    return bool(answer.status == 200)
            except OSError:
                return False

        return await asyncio.to_thread(answers)
