"""Gateway processes, each on a seat that is never empty for long: whatever ends, another one takes its place.

Knows how a process is started, hurt and watched, and which of its ends are right. Must not know the plan.
"""

import asyncio
import signal
import time
from collections.abc import Mapping
from pathlib import Path

from gateway.sandbox.demo import tasks
from tests.chaos.journal import Journal
from tests.chaos.points import DONE, ORDER, Deed, Point
from tests.integration.gateway_process import GatewayProcess
from tests.integration.waiting import until

KILLED, IN_ORDER, HUNG, FORGOTTEN, GAVE_UP = -signal.SIGKILL, 0, 1, 2, 3
CRASHED = -signal.SIGSEGV  # the interpreter's own watchdog, over a stack that went on while it was read
_FORGOTTEN_SAYS = "kafka.group_instance_id: found"
_HUNG_SAYS = ("process was stopped for too long", "event loop hangs", "Timeout (")  # the watchdog's words
_HAD_LANES = '"event":"lane open"'
LOOK_EVERY_S = 0.2
READY_S = 120.0
# A process that gave up is not started again at once, lest all do nothing else while the broker is away: as an
# orchestrator does it, later each time until one has had lanes.
AGAIN_S, MOST_AGAIN_S = 1.0, 8.0
LEAVE_S = 60.0  # to drain and let go, whatever happens meanwhile


class ChaosError(Exception):
    """The run has failed before its verdict: a gateway ended as it must not, or nothing moves any more."""


class Seat:
    """`run` keeps a process on it; the deeds are done to the process that is there."""

    def __init__(
        self, name: str, settings: Mapping[str, str], directory: Path, journal: Journal, *patches: str
    ) -> None:
        self.name = name
        self.busy = False  # something is being done to it
        self.wanted = True  # whether a process is to be there
        self._kills = 0  # from outside
        self.gave_up = 0  # ends of its own accord, because a part was away
        self.logs: list[Path] = []
        self.process: GatewayProcess | None = None
        self._directory = directory
        self._journal = journal
        self._order, self._done = directory / f"{name}.order", directory / f"{name}.done"
        self._settings = {**settings, ORDER: str(self._order), DONE: str(self._done)}
        self._patches = (*patches, "points")  # what is taken out is gone before it is watched
        self._forgetful: set[int] = set()  # what is right from the first crash of a broker on
        self._hurt: set[int] = set()  # ends that are right for this process, because of what was done to it
        self._over = False
        self._pause_s = 0.0
        self._looked = (0.0, 0)
        self._done.touch()

    async def run(self) -> None:
        """Until `close`; raises ChaosError when a process ends as it must not."""
        while not self._over:
            await tasks.until(lambda: self.wanted or self._over)
            await self._one()
            await asyncio.sleep(self._pause_s)

    async def close(self) -> None:
        """End it in order: it must be able to."""
        await self.working()
        self._over = True
        await self.leave()

    # --- what it is doing -----------------------------------------------------------------------------------

    @property
    def works(self) -> bool:
        """Whether a process is there and has open lanes."""
        return self.process is not None and not self.process.ended and self._open_lanes() > 0

    @property
    def done(self) -> list[tuple[int, str, str]]:
        """The orders that were carried out: process, point, deed."""
        lines = (line.split() for line in self._done.read_text("ascii").splitlines())
        return [(int(pid), point, deed) for pid, point, deed in lines]

    @property
    def kills(self) -> int:
        """By -9."""
        return self._kills + sum(deed == Deed.KILL.value for _, _, deed in self.done)

    def _open_lanes(self) -> int:
        now = time.monotonic()
        if self.process is not None and now - self._looked[0] > LOOK_EVERY_S:
            events = [line["event"] for line in self.process.lines()]
            self._looked = (now, events.count("lane open") - events.count("lane closed"))
        return self._looked[1]

    # --- what is done to it ---------------------------------------------------------------------------------

    def order(self, point: Point, deed: Deed) -> None:
        """From now on, or from its next start, it does this to itself at the point."""
        draft = self._order.with_suffix(".draft")
        draft.write_text(f"{point.value} {deed.value}", "ascii")
        draft.rename(self._order)

    def countermand(self) -> None:
        """No order stands any more."""
        self._order.unlink(missing_ok=True)

    def kill(self) -> None:
        self._kills += 1
        self._hurt.add(KILLED)
        self._signal(signal.SIGKILL)

    def stop(self) -> None:
        self._hurt.add(HUNG)
        self._signal(signal.SIGSTOP)

    def broker_killed(self) -> None:
        """Brokers that crash may forget to which processes they gave instance ids, those of later processes too: the
        state that they go on from may be an old one (gateway/kafka/offsets_log.py)."""
        self._forgetful = {FORGOTTEN}
        self._hurt |= self._forgetful

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def end_in_order(self) -> None:
        self._hurt.add(IN_ORDER)
        self._signal(signal.SIGTERM)

    async def leave(self) -> None:
        """End its process in order; its end is waited for."""
        process = self.process
        if process is None:
            return
        self.end_in_order()
        await until(lambda: process.ended, LEAVE_S, f"the end of {self.name} after SIGTERM")

    async def working(self) -> None:
        """Wait until it has lanes."""
        await until(lambda: self.works, READY_S, f"open lanes on {self.name}")

    async def tell_lanes(self) -> None:
        """What each lane says of itself, and what was logged last: for whoever looks why nothing moves."""
        process = self.process
        if process is None:
            self._journal.say(f"{self.name}: no process")
            return
        try:
            lanes = (await process.status())["lanes"]
        except (OSError, AssertionError) as error:
            lanes = {"no status": type(error).__name__}
        for lane, view in lanes.items():
            self._journal.say(f"{self.name} (pid {process.pid}), lane {lane}: {view}")
        self._journal.say(f"{self.name}: {process.end()}")

    # --- inside ---------------------------------------------------------------------------------------------

    def _signal(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.signal(number)

    async def _one(self) -> None:
        """One process, from start to end."""
        log = self._directory / f"{self.name}-{len(self.logs):03d}.log"
        self.logs.append(log)
        self._looked = (0.0, 0)
        self._hurt = {GAVE_UP} | self._forgetful  # what it gives up for is not known here: the run counts
        async with GatewayProcess(self._settings, log, self._patches) as process:
            self.process = process
            self._journal.note("start", seat=self.name, pid=process.pid, log=log.name)
            try:
                await tasks.until(lambda: process.ended)
            finally:
                self.process = None
            status = await process.end_status()
            self._journal.note("end", seat=self.name, pid=process.pid, status=status)
            self._judge(status, process)

    def _judge(self, status: int | None, process: GatewayProcess) -> None:
        did = {deed for pid, _, deed in self.done if pid == process.pid}
        right = self._hurt | ({KILLED} if Deed.KILL.value in did else set()) | ({HUNG} if did else set())
        right |= {CRASHED} if HUNG in right else set()
        said = process.log.read_text("utf-8", errors="replace")
        if status not in right or (status in {HUNG, CRASHED} and not any(words in said for words in _HUNG_SAYS)):
            raise ChaosError(f"{self.name} ended with status {status}:\n{process.end()}")
        if status == FORGOTTEN and _FORGOTTEN_SAYS not in said:
            raise ChaosError(f"{self.name} refuses to go on:\n{process.end()}")
        self.gave_up += status == GAVE_UP
        longer = self._pause_s * 2 if _HAD_LANES not in said else 0.0
        self._pause_s = min(max(AGAIN_S, longer), MOST_AGAIN_S) if status == GAVE_UP else 0.0
