"""Child processes with a log file each: started, listened to, watched and ended.

Knows processes, their logs and the JSON lines in them. Must not know what the processes do.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from gateway.sandbox.demo.tasks import until
from gateway.sandbox.leash import popen

GATEWAY = "gateway"  # the module
END_SECONDS = 5.0  # after SIGTERM, before SIGKILL
TAIL_LINES = 15
_TAIL_BYTES = 16_384
_SETTINGS_PREFIX = "GATEWAY_"  # of the shell that the demo was called from: it must not reach into the run


class ChildError(Exception):
    """A child did not do what the run needs; the text has the end of its log."""

    def __init__(self, what: str, *, unreachable: bool = False) -> None:
        super().__init__(what)
        self.unreachable = unreachable


class Child:
    """One process that runs a command: `python -m MODULE ARGUMENTS`, or another program."""

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        log: Path,
        environment: dict[str, str] | None = None,
        module: str = GATEWAY,
        program: Path | None = None,
    ) -> None:
        self.name = name
        self.log = log
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(_SETTINGS_PREFIX)}
        with log.open("ab") as output:
            self._process = popen(
                [*((program,) if program else (sys.executable, "-m", module)), *arguments],
                output=output,
                environment=inherited | (environment or {}),
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Its exit status, None while it runs."""
        return self._process.poll()

    def documents(self) -> Iterator[dict[str, Any]]:
        """Every complete JSON object that stands alone on a line of its log, oldest first."""
        with self.log.open("rb") as lines:
            for line in lines:
                if line.startswith(b"{") and line.endswith(b"}\n"):
                    yield orjson.loads(line)

    def said(self, name: str) -> dict[str, Any] | None:
        """The newest JSON object in its log that has this field."""
        return next((found for found in reversed(list(self.documents())) if name in found), None)

    async def says(self, name: str, seconds: float) -> dict[str, Any]:
        """Wait until its log holds a JSON object with this field."""
        in_time = await until(lambda: self.said(name) is not None or self.status is not None, seconds)
        found = self.said(name)
        if found is None:
            raise self.failure("ended too early" if in_time else f"is not ready after {seconds:.0f} s")
        return found

    async def ended(self, seconds: float) -> int:
        """Wait for its exit status."""
        await until(lambda: self.status is not None, seconds)
        if self.status is None:
            raise self.failure(f"has not ended after {seconds:.0f} s")
        return self.status

    async def succeeds(self, seconds: float) -> None:
        """Wait until it ends, and complain unless it ends well."""
        if await self.ended(seconds):
            raise self.failure("failed")

    def failure(self, what: str) -> ChildError:
        """What went wrong, with the end of its log."""
        exited = "" if self.status is None else f" (exit status {self.status})"
        return ChildError(
            f"{self.name} {what}{exited}. The end of its log:\n{self.tail()}", unreachable=self.status == 3
        )

    def tail(self) -> str:
        """The last lines of its log."""
        with self.log.open("rb") as file:
            file.seek(max(0, self.log.stat().st_size - _TAIL_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()
        return "\n".join(f"  {line}" for line in lines[-TAIL_LINES:]) or "  (nothing)"

    def pause(self) -> None:
        """Let it stand still, in the middle of whatever it does."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def terminate(self) -> None:
        """Ask it to end."""
        self._process.terminate()

    def kill(self) -> None:
        """End it as a crash would."""
        self._process.kill()
        self._process.wait()


class Crew:
    """The children of a run. Those on watch must not end by themselves."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._all: list[Child] = []
        self._on_watch: list[Child] = []

    def start(
        self,
        name: str,
        *arguments: str,
        watched: bool = False,
        environment: dict[str, str] | None = None,
        module: str = GATEWAY,
        program: Path | None = None,
    ) -> Child:
        """Run `python -m MODULE ARGUMENTS`, or `program`, with its log in NAME.log, appended to if there is one."""
        child = Child(name, arguments, self._directory / f"{name}.log", environment, module, program)
        self._all.append(child)
        if watched:
            self._on_watch.append(child)
        return child

    def dismiss(self, child: Child) -> None:
        """From now on it may end."""
        self._on_watch.remove(child)

    async def watch(self) -> None:
        """Return never; raise ChildError when one ends that must not."""
        await until(lambda: any(child.status is not None for child in self._on_watch))
        for child in self._on_watch:
            if child.status is not None:
                raise child.failure("ended by itself")

    async def end(self) -> None:
        """End all that still run: in order if they can, with force if they do not."""
        self._on_watch.clear()
        running = [child for child in self._all if child.status is None]
        for child in running:
            child.resume()
            child.terminate()
        await until(lambda: all(child.status is not None for child in running), END_SECONDS)
        for child in running:
            if child.status is None:
                child.kill()
