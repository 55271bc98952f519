"""One gateway after the other in one seat: started again, as a supervisor would, whenever it has ended.

Knows which ends are right. Must not know what is done to it, or why.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections import Counter
from collections.abc import Callable

from gateway.cli.errors import Exit
from gateway.cli.serve import _status
from tests.simulation.loop import Host
from tests.simulation.process import IN_ORDER, KILLED, Process

AGAIN_S = 1.0  # after an end by itself, so that none starts a thousand times in vain
Tell = Callable[[str], None]


class Seat:
    """`run` it until `close`."""

    def __init__(self, process: Process, tell: Tell) -> None:
        self.process = process
        self.ends: Counter[str] = Counter()  # by itself
        self.wrong: list[str] = []  # ends that no trouble of others explains
        self.killed: list[Host] = []
        self.killed_at: list[int] = []  # ms
        self.busy = False  # something is being done to it
        self._tell = tell
        self._open = True
        self._asked = False  # to end

    @property
    def name(self) -> str:
        return self.process.name

    @property
    def works(self) -> bool:
        """Whether all its lanes that the group gave it are open, and there are some."""
        gateway = self.process.gateway
        if not self.process.alive or self.process.host is None or not self.process.host.running or gateway is None:
            return False
        drivers = gateway._drivers()
        return bool(drivers) and all(driver.is_open for driver in drivers)

    async def run(self) -> None:
        """Start, wait, start again."""
        while self._open:
            self._asked = False
            host = self.process.start()
            ended = await self.process.wait()
            if ended == KILLED:
                self.killed.append(host)
                self.killed_at.append(time.time_ns() // 1_000_000)
            if ended == KILLED or (ended == IN_ORDER and self._asked):
                continue
            self._note(ended)
            if self._open:
                await asyncio.sleep(AGAIN_S)

    async def close(self) -> None:
        """SIGTERM, and no other after it."""
        self._open = False
        if self.process.alive:
            self.terminate()
            await self.process.wait()

    def terminate(self) -> None:
        """SIGTERM."""
        self._asked = True
        self.process.terminate()

    def lose_view(self) -> None:
        """Killed, and its disk is gone."""
        self.process.kill()
        shutil.rmtree(self.process.settings.view.path, ignore_errors=True)

    def _note(self, ended: str) -> None:
        self.ends[ended] += 1
        error = self.process.error
        self._tell(f"gateway {self.name} ends by itself: {ended}: {error}")
        if not isinstance(error, Exception) or _status(error) is not Exit.UNREACHABLE:
            self.wrong.append(f"gateway {self.name} ended by itself: {ended}: {error}")
