"""A gateway as a process of its own: started, asked, stopped in order, frozen, killed."""

import asyncio
import json
import os
import signal
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from gateway.sandbox.leash import popen
from tests.integration.waiting import until

ROOT = Path(__file__).parents[2]
START_S = 40.0
END_S = 30.0
LOG_LINES_SHOWN = 12


class GatewayProcess:
    """`async with` starts it and kills what is left of it. With `patches` it runs under tests.promises.launch."""

    def __init__(self, settings: Mapping[str, str], log: Path, patches: Sequence[str] = ()) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
        self._environment = {**inherited, **settings, "PYTHONPATH": str(ROOT)}
        module = ["tests.promises.launch", *patches] if patches else ["gateway", "serve"]
        self._command = [sys.executable, "-m", *module]
        self.log = log

    async def __aenter__(self) -> Self:
        with self.log.open("wb") as log:
            self.process = popen(self._command, output=log, environment=self._environment)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.kill()

    async def serving(self) -> None:
        """It has joined the group; lanes open from now on."""
        await self.says("serving")

    async def says(self, event: str) -> Mapping[str, Any]:
        """The first log line of this event."""

        def found() -> Mapping[str, Any] | None:
            if self.ended:
                raise AssertionError(
                    f"the gateway ended with {self.process.returncode} before {event!r}:\n{self.end()}"
                )
            return next((line for line in self.lines() if line["event"] == event), None)

        return await until(found, START_S, f"log line {event!r}")

    async def ready(self, lanes: int) -> None:
        """So many lanes are open."""

        async def opened() -> bool:
            return sum("watermark" in view for view in (await self.status())["lanes"].values()) >= lanes

        await self.says("observing")
        await until(opened, START_S, f"{lanes} lanes open")

    async def status(self) -> Mapping[str, Any]:
        return json.loads(await self._get("/status"))

    async def metrics(self) -> bytes:
        """What it shows to Prometheus."""
        return await self._get("/metrics")

    def most_resident_bytes(self) -> int:
        """The most that it has kept in memory at once."""
        status = Path(f"/proc/{self.process.pid}/status").read_text("ascii")
        (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    async def end_status(self) -> int:
        """Wait until it ends by itself."""
        await until(lambda: self.ended, END_S, "the gateway's end")
        return self.process.returncode

    def terminate(self) -> None:
        """Ask it to stop."""
        self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """kill -9, at once."""
        self.process.kill()
        self.process.wait()

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
