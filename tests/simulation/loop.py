"""An asyncio loop whose time is a number, and the simulated processes that run on it.

Promised: nothing of it waits, so an hour passes in the time that its work takes; handles run in the order in which they
became ready, timers of one moment in the order in which they were made; sets of its tasks and futures iterate in the
order of their making in every run, since their hash is a count and no address; threads, sockets and signals of the
operating system are not there (an executor's work is done at once; a signal is what `Host.signal` says). Work takes no
time, but that each turn of the loop takes TURN_S. Who spins, or waits for what can't come, ends the run
(SimulationStuck). Garbage is collected before and after a run, so that no finalizer runs at a moment of its own.

A `Host` is a process: what was started by it, and all that this starts, has it in its context. A frozen host's handles
are put aside until it thaws: then those that were ready run first, then what the network brought meanwhile, then its
timers in order, as in a process after SIGCONT. Of a dead host nothing runs any more, no `finally` either: its tasks are
kept, unrun, until the loop closes. Code that freezes or kills its own host runs on to its next `await`, so whoever does
that awaits at once (`stand_still`).

Must not know what runs on it.
"""

import asyncio
import contextvars
import gc
import heapq
import sys
import warnings
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from enum import Enum
from functools import cache
from itertools import count
from typing import Any

from tests.simulation.handles import Arrival, Future, Handle, Task, Timer

MAX_STEPS = 5_000_000  # handles of one run
MAX_STEPS_A_SECOND = 20_000
MAX_STEPS_A_HOST = 10_000  # a second, where there are several; aiokafka asks a deposed leader again at once
MAX_STEPS_AT_ONCE = 50_000  # without time passing: somebody asks again and again
TURN_S = 0.000_02  # what a turn of a real loop takes at least, so that whoever waits for a time gets past it
MAX_VIRTUAL_S = 24 * 3600.0
LEAST_S = 1e-6
MAX_COMPLAINTS = 100  # kept of what callbacks raised
LISTED_WAITING = 40  # tasks that a stuck run names

HOST: contextvars.ContextVar["Host | None"] = contextvars.ContextVar("host", default=None)


class SimulationStuck(Exception):  # noqa: N818 - the fact of this name
    """Nothing more can happen, or no end is in sight; the text names what waits."""


class State(Enum):
    """What a host does."""

    RUNNING = "running"
    FROZEN = "frozen"
    DEAD = "dead"


class VirtualLoop(asyncio.BaseEventLoop):
    """Use as `VirtualLoop().run(coroutine)`; `network` is set before anything connects."""

    def __init__(self, *, max_steps: int = MAX_STEPS, max_virtual_s: float = MAX_VIRTUAL_S) -> None:
        self._runs = False
        super().__init__()
        self.network: Any = None
        self.steps = 0
        self.complaints: list[dict[str, Any]] = []  # what callbacks raised: nobody else hears of it
        self._now = self._looked_at = 0.0
        self._steps_then = 0
        self._max_steps, self._max_virtual_s = max_steps, max_virtual_s
        self._line: deque[Handle] = deque()
        self._timers: list[tuple[float, int, Handle]] = []
        self._numbers = count(1)
        self._hosts: list[Host] = []
        self._kept: list[Any] = []  # of dead hosts: what is collected runs its `finally`

    # --- what asyncio asks of a loop ----------------------------------------------------------------------

    def time(self) -> float:
        return self._now

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        handle = Handle(callback, args, self, context)
        self._line.append(handle)
        return handle

    call_soon_threadsafe = call_soon

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> Any:
        """Some time passes with every delay, or who waits for the rest of a span would find some left for ever."""
        return self.call_at(self._now + (max(delay, LEAST_S) if delay > 0 else 0.0), callback, *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Any:
        timer = Timer(callback, args, self, context)
        timer._when = when
        heapq.heappush(self._timers, (when, next(self._numbers), timer))
        return timer

    def arrive_at(self, when: float, callback: Any, *args: Any, context: contextvars.Context) -> None:
        """Like call_at, for what the network brings to whoever has this context."""
        heapq.heappush(self._timers, (when, next(self._numbers), Arrival(callback, args, self, context)))

    def create_future(self) -> Any:
        return Future(next(self._numbers), self)

    def create_task(self, coro: Any, *, name: str | None = None, context: Any = None) -> Any:
        number = next(self._numbers)
        host = HOST.get() if context is None else context.get(HOST)
        return Task(number, host, coro, loop=self, name=name or f"task {number}", context=context)

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        """At once, in this thread; whoever waits goes on a step later."""
        future = self.create_future()
        try:
            self.call_soon(_settle, future, future.set_result, func(*args))
        except Exception as error:  # whatever it raises belongs to whoever waits
            self.call_soon(_settle, future, future.set_exception, error)
        return future

    async def create_connection(self, protocol_factory: Any, host: Any = None, port: Any = None, **_: Any) -> Any:
        return await self.network.connect(protocol_factory, host, port)

    def add_signal_handler(self, sig: int, callback: Any, *args: Any) -> None:
        host = HOST.get()
        if host is None:
            raise RuntimeError("only a host takes signals")
        host.handlers[sig] = (callback, args)

    def remove_signal_handler(self, sig: int) -> bool:
        host = HOST.get()
        return host is not None and host.handlers.pop(sig, None) is not None

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        host = HOST.get()
        if len(self.complaints) < MAX_COMPLAINTS and (host is None or host.alive):
            self.complaints.append({**context, "at": self._now, "host": host and host.name})

    # --- running ------------------------------------------------------------------------------------------

    def run(self, main: Coroutine[Any, Any, Any]) -> Any:
        """Run to the end of `main`; what else there is is dropped, as at the end of the world.

        Garbage is collected then and not before, since `finally` blocks may run when it is.
        """
        was_enabled = gc.isenabled()
        gc.disable()
        _look_away()
        try:
            return self.run_until_complete(main)
        finally:
            self.close()
            if was_enabled:
                gc.enable()

    def is_running(self) -> bool:
        return self._runs

    def run_until_complete(self, future: Any) -> Any:
        task = asyncio.ensure_future(future, loop=self)
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(firstiter=self._asyncgen_firstiter_hook, finalizer=self._asyncgen_finalizer_hook)
        events._set_running_loop(self)
        self._runs = True
        try:
            self._run_while(lambda: not task.done())
        finally:
            self._runs = False
            events._set_running_loop(None)
            sys.set_asyncgen_hooks(*hooks)
        return task.result()

    def close(self) -> None:
        for host in self._hosts:
            host.kill()
            host.aside.clear()
        self._line.clear()
        self._timers.clear()
        self._hosts.clear()
        self._kept.clear()
        collect_quietly()
        super().close()

    def _run_while(self, wanted: Callable[[], bool]) -> None:
        line, host_of = self._line, HOST
        while wanted():
            if not line:
                self._pass_time()
            bound = min(self._max_steps, self.steps + MAX_STEPS_AT_ONCE)
            while line:
                handle = line.popleft()
                callback = handle._callback
                if callback is None:  # cancelled
                    continue
                context = handle._context
                host = context.get(host_of)
                if host is not None and not host.running:
                    host.aside.append(handle)
                    continue
                self.steps += 1
                try:
                    context.run(callback, *handle._args)
                except (SystemExit, KeyboardInterrupt):
                    raise
                except BaseException as error:  # as asyncio does: it is told, and goes no further
                    told = {"message": f"exception in {callback}", "exception": error}
                    context.run(self.call_exception_handler, told)
                if self.steps >= bound:
                    raise SimulationStuck(f"{self.steps} steps, at {self._now:.3f} s: {self._waiting()}")

    def _pass_time(self) -> None:
        """To the next moment at which something is due."""
        timers, line = self._timers, self._line
        while timers and timers[0][2]._callback is None:
            heapq.heappop(timers)
        if not timers:
            raise SimulationStuck(f"nothing is due any more at {self._now:.3f} s: {self._waiting()}")
        self._now = max(self._now + TURN_S, timers[0][0])
        if self._now >= self._looked_at + 1.0:
            self._look_for_spinning()
        if self._now > self._max_virtual_s:
            raise SimulationStuck(f"no end after {self._now:.0f} s: {self._waiting()}")
        while timers and timers[0][0] <= self._now:
            line.append(heapq.heappop(timers)[2])

    def _look_for_spinning(self) -> None:
        """Whoever asks again and again without waiting burns a processor, and is a defect although all goes well."""
        steps = self.steps - self._steps_then
        if steps > max(MAX_STEPS_A_SECOND, MAX_STEPS_A_HOST * sum(host.running for host in self._hosts)):
            raise SimulationStuck(f"{steps} steps in a second, at {self._now:.3f} s: {self._waiting()}")
        self._looked_at, self._steps_then = self._now, self.steps

    def _waiting(self) -> str:
        tasks = sorted(asyncio.all_tasks(self), key=_number)
        told = [f"{task.host.name if task.host else 'world'}: {_where(task)}" for task in tasks[:LISTED_WAITING]]
        return "; ".join(told) + (f" and {len(tasks) - len(told)} more" if len(tasks) > len(told) else "")

    def know(self, host: "Host") -> None:
        """A host of this loop; it is kept to the end, and with it all that it left undone."""
        self._hosts.append(host)

    def keep_for_dead(self, host: "Host") -> None:
        """Hold on to what a dead host was doing, so that none of it is collected and runs to its end."""
        self._kept.extend(task for task in asyncio.all_tasks(self) if task.host is host)


class Host:
    """One simulated process: freeze, thaw, kill. A restarted one is another host of the same name."""

    def __init__(self, name: str, loop: VirtualLoop) -> None:
        self.name = name
        self.skew_ms = 0.0  # its wall clock is ahead by so much
        self.state = State.RUNNING
        self.running = True  # the same, read at every step
        self.aside: list[Handle] = []
        self.handlers: dict[int, tuple[Any, Any]] = {}
        self.context = contextvars.copy_context()
        self.context.run(HOST.set, self)
        self._loop = loop
        self._at_death: list[Callable[[], None]] = []
        loop.know(self)

    def __repr__(self) -> str:
        return f"<Host {self.name} {self.state.value}>"

    @property
    def alive(self) -> bool:
        return self.state is not State.DEAD

    def start(self, main: Callable[[], Coroutine[Any, Any, Any]], name: str | None = None) -> "asyncio.Task[Any]":
        """Run a coroutine function as (part of) this process."""
        context = self.context.copy()
        return self._loop.create_task(context.run(main), name=name or self.name, context=context)

    def signal(self, number: int) -> bool:
        """As from outside; whether it listens to this one."""
        callback, args = self.handlers.get(number, (None, ()))
        if callback is None or not self.alive:
            return False
        self._loop.arrive_at(self._loop.time(), callback, *args, context=self.context.copy())
        return True

    def freeze(self) -> None:
        """SIGSTOP, or a pause of the machine: its clock goes on."""
        if self.state is State.RUNNING:
            self._become(State.FROZEN)

    def thaw(self) -> None:
        """SIGCONT."""
        if self.state is State.FROZEN:
            self._become(State.RUNNING)
            self._loop._line.extend(sorted(self.aside, key=_rank))
            self.aside.clear()

    def kill(self) -> None:
        """SIGKILL: nothing of it runs any more, and whoever registered `at_death` is told."""
        if self.alive:
            self._become(State.DEAD)
            self._loop.keep_for_dead(self)
            for callback in self._at_death:
                contextvars.Context().run(callback)

    def at_death(self, callback: Callable[[], None]) -> None:
        """What the operating system does when the process is killed; called outside of it."""
        self._at_death.append(callback)

    def _become(self, state: State) -> None:
        self.state, self.running = state, state is State.RUNNING


def collect_quietly() -> None:
    """What the dead left undone wants to end, and complains, when it is collected; and so may what that makes."""
    told, sys.unraisablehook = sys.unraisablehook, _not_told
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # coroutines that nobody awaited any more
            gc.collect()
            gc.collect(0)
    finally:
        sys.unraisablehook = told


async def stand_still() -> None:
    """Whoever has frozen or killed its own host waits here: until it thaws, or for ever."""
    await asyncio.sleep(0)


@cache
def _look_away() -> None:
    """What was loaded before the first run need not be looked through when the garbage of each is collected."""
    gc.collect()
    gc.freeze()


def _not_told(_: Any) -> None:
    """That a coroutine which was dropped wanted to wait for something in a `finally`."""


def _settle(future: Any, how: Any, result: Any) -> None:
    if not future.done():
        how(result)


def _rank(handle: Handle) -> int:
    return handle.rank


def _number(task: Any) -> int:
    return task.number


def _where(task: "asyncio.Task[Any]") -> str:
    frames = task.get_stack(limit=1)
    place = f"{frames[-1].f_code.co_name}:{frames[-1].f_lineno}" if frames else "?"
    return f"{task.get_name()} in {place}"
