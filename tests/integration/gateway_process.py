"""A gateway as a process of its own: started, asked, stopped in order, frozen, killed."""

import asyncio
import json
import multiprocessing
import os
import signal
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from prometheus_client.parser import text_string_to_metric_families

from gateway.sandbox.leash import popen
from tests.integration.waiting import until
from tests.promises import launch

START_S = 40.0
END_S = 30.0
LOG_LINES_SHOWN = 12
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload([launch.__name__])


class GatewayProcess:
    """`async with` starts it and kills what is left of it.

    It is forked from a server that has imported everything, which saves a second; `command` runs the real command.
    """

    def __init__(
        self, settings: Mapping[str, str], log: Path, patches: Sequence[str] = (), *, command: bool = False
    ) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
        self.environment = {**inherited, **settings}
        self._patches = patches
        self._command = command
        self.log = log

    async def __aenter__(self) -> Self:
        if self._command:
            self.log.write_bytes(b"")
            with self.log.open("ab") as log:  # as in launch.py
                command = [sys.executable, "-m", "gateway", "serve"]
                process = popen(command, output=log, environment=self.environment)
            self.pid, self._end_status = process.pid, process.poll
        else:
            self.log.touch()
            arguments = (self._patches, self.environment, self.log)
            forked = _SERVER.Process(target=launch.main_of_fork, args=arguments, daemon=True)
            forked.start()
            self.pid, self._end_status = forked.pid or 0, lambda: forked.exitcode
        return self

    async def __aexit__(self, *_: object) -> None:
        self.kill()
        await self.end_status()

    async def serving(self) -> None:
        """It has joined the group; lanes open from now on."""
        await self.says("serving")

    async def says(self, event: str) -> Mapping[str, Any]:
        """The first log line of this event."""

        def found() -> Mapping[str, Any] | None:
            if self.ended:
                raise AssertionError(f"the gateway ended with {self._end_status()} before {event!r}:\n{self.end()}")
            return next((line for line in self.lines() if line["event"] == event), None)

        return await until(found, START_S, f"log line {event!r}")

    async def ready(self, lanes: int) -> None:
        """So many lanes are open."""

        async def opened() -> bool:
            return sum("watermark" in view for view in (await self.status())["lanes"].values()) >= lanes

        await self.says("observing")
        await until(opened, START_S, f"{lanes} lanes open")

    async def lanes(self) -> set[str]:
        """The lanes that are open here; none before it answers, and none while it ends."""
        try:
            await self.says("observing")
            views = (await self.status())["lanes"]
        except OSError:
            return set()
        return {lane for lane, view in views.items() if "watermark" in view}

    async def status(self) -> Mapping[str, Any]:
        return json.loads(await self._get("/status"))

    async def metrics(self) -> bytes:
        """What it shows to Prometheus."""
        return await self._get("/metrics")

    async def value(self, metric: str, **labels: str) -> float:
        """The sum of a metric over all of its samples with these labels; 0 without any."""
        families = text_string_to_metric_families((await self.metrics()).decode())
        samples = (sample for family in families for sample in family.samples if sample.name == metric)
        return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())

    def most_resident_bytes(self) -> int:
        """The most that it has kept in memory at once."""
        status = Path(f"/proc/{self.pid}/status").read_text("ascii")
        (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024

    @property
    def ended(self) -> bool:
        return self._end_status() is not None

    async def end_status(self) -> int | None:
        """Wait until it ends."""
        await until(lambda: self.ended, END_S, "the gateway's end")
        return self._end_status()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, unless it has ended."""
        if not self.ended:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to stop."""
        self.signal(signal.SIGTERM)

    async def end_in_order(self) -> None:
        """Ask it to stop; it does, and has nothing to complain of."""
        self.terminate()
        assert await self.end_status() == 0, self.end()

    def kill(self) -> None:
        """kill -9."""
        self.signal(signal.SIGKILL)

    def lines(self) -> list[dict[str, Any]]:
        """The log so far; what is no JSON is a line of a library, or of a removal."""
        return [json.loads(line) for line in self.log.read_text("utf-8").splitlines() if line.startswith('{"')]

    def end(self) -> str:
        """The last lines of the log, for a failing test."""
        return "\n".join(self.log.read_text("utf-8").splitlines()[-LOG_LINES_SHOWN:])

    async def _get(self, path: str) -> bytes:
        port = (await self.says("observing"))["port"]

        def get() -> bytes:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=END_S) as answer:
                return answer.read()

        return await asyncio.to_thread(get)
