"""A process for each row, as many at a time as the machine has room for.

Processes are forked from a server that has imported everything and patched nothing. Must not know what a row is about.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed, wait
from contextlib import suppress
from functools import partial
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from tests.prove.rows import ROWS, Check, Row, Stories
from tests.prove.tools import RED_ANYWAY, Found, look, red_anyway

AT_A_TIME = 2
BOUND_S = 480.0  # of a row, and
STORY_BOUND_S = 6.0  # more for each story of it: a slow machine that has other work too takes half of that
END_BOUND_S = 10.0  # what a process that is told to end may take to clean up
END_OF_LOG = 3_000  # characters shown of a row that nothing noticed

Answer = TypeVar("Answer")

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload([look.__module__, "pytest_asyncio.plugin", "tests.prove.listening"])


class Runner:
    """Runs rows; `kafka` is the address of a node for those that need one."""

    def __init__(self, kafka: str | None = None, *, thoroughly: bool = False) -> None:
        self._kafka = kafka
        self._thoroughly = thoroughly
        self._running: set[Any] = set()
        self._stopped = False
        self._red_anyway: dict[Check, str | None] = {}
        self._asking = Lock()

    def all(self, rows: Sequence[Row]) -> Iterator[tuple[Row, Found]]:
        """Each row as it is done."""
        _start_server()
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            runs = {pool.submit(self.one, row): row for row in rows}
            try:
                for done in as_completed(runs):
                    yield runs[done], done.result()
            finally:
                self._stopped = True
                for process in list(self._running):
                    _interrupt(process)
                wait(runs, END_BOUND_S)
                for process in list(self._running):
                    process.kill()

    def one(self, row: Row) -> Found:
        """What came of a row; nothing is noticed by a test that fails anyway, or a process that breaks off or takes
        too long."""
        if isinstance(row.by, Check) and not row.by.tests_itself and (why := self._why_red_anyway(row.by)):
            return Found(None, (f"{RED_ANYWAY}: {why}",))
        bound_s = BOUND_S + (row.by.seeds * STORY_BOUND_S if isinstance(row.by, Stories) else 0)
        found, said = self._apart(partial(look, row, self._kafka, thoroughly=self._thoroughly), bound_s)
        if found is None or (found.red is None and not found.story):
            return Found(None, said)
        return found

    def _why_red_anyway(self, test: Check) -> str | None:
        """What it says with every step in place, if it is not green then; the tests of a file run once, together."""
        with self._asking:
            if test not in self._red_anyway:
                named = {row.by for row in ROWS if isinstance(row.by, Check) and row.by.path == test.path} | {test}
                names = sorted(each.name for each in named)
                red, said = self._apart(partial(red_anyway, test.path, names, self._kafka))
                broke_off = dict.fromkeys(names, " / ".join(said[-1:]))
                self._red_anyway |= {each: (broke_off if red is None else red).get(each.name) for each in named}
            return self._red_anyway[test]

    def _apart(self, work: Callable[[], Answer], bound_s: float = BOUND_S) -> tuple[Answer | None, tuple[str, ...]]:
        """What came of this in a process of its own, if it did not break off or take too long; and what it said."""
        if self._stopped:
            return None, ()
        with tempfile.TemporaryDirectory() as directory:
            log = Path(directory) / "log"
            ours, theirs = _SERVER.Pipe(duplex=False)
            process = _SERVER.Process(target=_answer, args=(work, log, theirs))
            process.start()
            self._running.add(process)
            if self._stopped:  # while the server was still importing
                process.kill()
            theirs.close()
            try:
                if not ours.poll(bound_s):
                    return None, (f"it took longer than {bound_s:g} s",)
                answer = ours.recv()
                process.join(END_BOUND_S)
            except EOFError:
                answer = None
            finally:
                _interrupt(process)
                process.join(END_BOUND_S)
                self._running.discard(process)
                if process.is_alive():
                    process.kill()
            return answer, tuple(log.read_text("utf-8", "replace")[-END_OF_LOG:].splitlines())


def _start_server() -> None:
    """Start what processes are forked from, deaf to a Ctrl-C that comes while it still imports. (listening.py ends
    that.)"""
    heard = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGINT, heard)


def _answer(work: Callable[[], object], log: Path, answer: Connection) -> None:
    os.setpgrp()  # Ctrl-C comes from the runner alone: a second one would break off the cleaning up after the first
    with log.open("wb") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    answer.send(work())


def _interrupt(process: Any) -> None:
    """As Ctrl-C does, and all that it has started."""
    with suppress(ProcessLookupError):
        if process.is_alive():
            os.killpg(process.pid, signal.SIGINT)
