"""Ends a process that can't keep its promises any more because it did not run for too long.

Knows the pulse of the event loop and how a process ends. Must not know why it hangs. Two watch: a thread of ours,
which can say so in the log, and one of the interpreter's own (faulthandler), for a loop that lets no thread of Python
run. Either way the stacks of all threads, which hold no data, go to standard error, unless that is what hangs. The
interpreter's reads them while their threads may run, and may crash over it (SIGSEGV): the process has ended then, too.

A process that was stopped for as long ends too: its lanes are elsewhere, its transactions have timed out and its view
is old. The lane protocol fences it off anyway; a new process is simply sooner of use.
"""

from __future__ import annotations

import faulthandler
import os
import threading
import time

from gateway.observe.health import LoopPulse
from gateway.observe.logs import get_logger

EXIT_STATUS = 1  # faulthandler knows no other
CHECK_S = 0.5
INTERPRETER_GRACE_S = 2.0  # our own thread goes first, if it can
LAST_WORDS_S = 2.0  # for the log; what it writes to may be what hangs
_STDERR = 2

log = get_logger()


class Watchdog:
    """Watches from `start` to `stop`; a pulse older than `bound_s` ends the process."""

    def __init__(self, pulse: LoopPulse, bound_s: float) -> None:
        self._pulse = pulse
        self._bound_s = bound_s
        self._stopped = threading.Event()
        self._stacks = _never_blocking(_STDERR)

    def start(self) -> None:
        """Watch from now on; the pulse must beat already."""
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        """Watch no more."""
        self._stopped.set()

    def _watch(self) -> None:
        looked_at = time.monotonic()
        while True:
            faulthandler.dump_traceback_later(self._bound_s + INTERPRETER_GRACE_S, exit=True, file=self._stacks)
            if self._stopped.wait(CHECK_S):
                faulthandler.cancel_dump_traceback_later()
                return
            now = time.monotonic()
            if now - looked_at > self._bound_s:
                self._end("process was stopped for too long, it ends", now - looked_at)
            if now - self._pulse.seen_at > self._bound_s:
                self._end("event loop hangs, the process ends", now - self._pulse.seen_at)
            looked_at = now

    def _end(self, why: str, seconds: float) -> None:
        speaking = threading.Thread(
            target=log.critical, args=(why,), kwargs={"seconds": round(seconds, 1)}, daemon=True
        )
        speaking.start()
        speaking.join(LAST_WORDS_S)
        faulthandler.dump_traceback(file=self._stacks)
        os._exit(EXIT_STATUS)


def _never_blocking(output: int) -> int:
    """The same output, opened for us alone, so that what it does not take at once is lost; else memory, read by nobody.

    Others that write to it, in this process or another, may rely on its blocking.
    """
    try:
        return os.open(f"/proc/self/fd/{output}", os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:  # a socket, or a pipe that nobody reads any more
        return os.memfd_create("stacks")
