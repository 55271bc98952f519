"""A process for each row, as many at a time as the machine has room for.

Processes are forked from a server that has imported everything and patched nothing. Must not know what a row is about.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed, wait
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tests.prove.rows import Row
from tests.prove.tools import Found, look

AT_A_TIME = 2
BOUND_S = 480.0  # of a row
END_BOUND_S = 10.0  # what a process that is told to end may take to clean up
END_OF_LOG = 3_000  # characters shown of a row that nothing noticed

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload([look.__module__, "pytest_asyncio.plugin"])


class Runner:
    """Runs rows; `kafka` is the address of a node for those that need one."""

    def __init__(self, kafka: str | None = None, *, thoroughly: bool = False) -> None:
        self._kafka = kafka
        self._thoroughly = thoroughly
        self._running: set[Any] = set()
        self._stopped = False

    def all(self, rows: Sequence[Row]) -> Iterator[tuple[Row, Found]]:
        """Each row as it is done."""
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
        """What came of a row; nothing is noticed by a process that breaks off or takes too long."""
        if self._stopped:
            return Found(None)
        with tempfile.TemporaryDirectory() as directory:
            log = Path(directory) / "log"
            ours, theirs = _SERVER.Pipe(duplex=False)
            process = _SERVER.Process(target=_look, args=(row, self._kafka, self._thoroughly, log, theirs))
            process.start()
            self._running.add(process)
            theirs.close()
            try:
                if not ours.poll(BOUND_S):
                    return Found(None, (f"it took longer than {BOUND_S:g} s",))
                found: Found = ours.recv()
                process.join(END_BOUND_S)
            except EOFError:
                found = Found(None)
            finally:
                _interrupt(process)
                process.join(END_BOUND_S)
                self._running.discard(process)
                if process.is_alive():
                    process.kill()
            if found.red is None and not found.story:
                return Found(None, tuple(log.read_text("utf-8", "replace")[-END_OF_LOG:].splitlines()))
            return found


def _look(row: Row, kafka: str | None, thoroughly: bool, log: Path, answer: Connection) -> None:
    os.setpgrp()  # Ctrl-C comes from the runner alone: a second one would break off the cleaning up after the first
    with log.open("wb") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    answer.send(look(row, kafka, thoroughly=thoroughly))


def _interrupt(process: Any) -> None:
    """As Ctrl-C does, and all that it has started."""
    with suppress(ProcessLookupError):
        if process.is_alive():
            os.killpg(process.pid, signal.SIGINT)
