"""Troubles of the gateway's own machine, brought about in its process: at once, or by SIGUSR1."""

import re
import resource
import signal
import time
from collections.abc import Callable

from gateway.observe.watchdog import Watchdog
from tests.promises.patching import Named, replace

NAMED = Named()
HOUR_NS = 3_600_000_000_000
FEW_FILES = 200  # a gateway of the tests needs more
ENOUGH_FILES = 4_096


@NAMED
def no_watchdog() -> None:
    """Nothing ends a process that was stopped: what it then does is the lane protocol's alone."""
    replace(Watchdog, "start", lambda self: None)


def _on_signal(trouble: Callable[[], object]) -> None:
    """Handlers run in the thread of the event loop."""
    signal.signal(signal.SIGUSR1, lambda *_: trouble())


@NAMED
def hangs_on_signal() -> None:
    """A call that never returns, as a disk or a lock may make it."""
    _on_signal(lambda: time.sleep(3_600))


@NAMED
def spins_on_signal() -> None:
    """A call that never returns and lets no other thread of Python run."""
    _on_signal(lambda: re.match(r"(a+)+$", "a" * 64 + "b"))


def _set_clock(by_ns: int) -> None:
    wall_ns, wall = time.time_ns, time.time
    replace(time, "time_ns", lambda: wall_ns() + by_ns)
    replace(time, "time", lambda: wall() + by_ns / 1e9)


@NAMED
def clock_is_behind() -> None:
    """This machine's clock is an hour behind everybody else's."""
    _set_clock(-HOUR_NS)


@NAMED
def clock_is_set_on_signal() -> None:
    """Somebody sets the clock back by an hour."""
    _on_signal(lambda: _set_clock(-HOUR_NS))


@NAMED
def few_files() -> None:
    """The system lets the process open few files."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (FEW_FILES, FEW_FILES))


@NAMED
def few_files_at_first() -> None:
    """The system lets the process open few files, until it asks for more."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (FEW_FILES, ENOUGH_FILES))
