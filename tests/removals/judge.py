"""Runs tests against removals: which get there, and whether one of them fails.

Knows pytest's session and processes. Must not know syntax trees. All is imported and collected once; each removal is
judged in a fork of this process, which nothing outlives.
"""

from __future__ import annotations

import builtins
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.removals.drivers import Removal, mark_all
from tests.removals.sites import REACHED

REACH_BOUND_S = 900.0  # to run every test once
JUDGE_BOUND_S = 120.0  # to judge one removal
ALONE_BOUND_S = 60.0  # to run one test, which takes seconds
TEST_BOUND_S = 10.0  # of one test, or so many times as long as it takes else: a removal may hang what waits
TEST_TIMES_LONGER = 10
_JUDGED, _REACHED = "removals/judged", "removals/reached"

T = TypeVar("T")
Reach = dict[str, Any]  # of one test: the seconds it took, and the indexes of the removals that it gets to


class Judge:
    """A pytest plugin that takes over once all is collected."""

    def __init__(self, removals: list[Removal], chosen: Callable[[Removal], bool], tell: Callable[[str], None]) -> None:
        self._removals = removals
        self._chosen = chosen
        self._tell = tell
        self._config: pytest.Config
        self._failed = False  # the test that ran last
        self.caught: dict[str, str] = {}  # what took place of each that was noticed
        self.survived: list[str] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Whoever called pytest tells of it, in place of pytest."""
        raise excinfo.value

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._failed = self._failed or report.failed

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Instead of running the tests one after the other."""
        self._config = session.config
        tests = {item.nodeid: item for item in session.items}
        reached = self._reached(session.items)
        chosen = [(index, removal) for index, removal in enumerate(self._removals) if self._chosen(removal)]
        for number, (index, removal) in enumerate(chosen, start=1):
            there = sorted(
                (reach["seconds"], nodeid) for nodeid, reach in reached.items() if index in reach["removals"]
            )
            began = time.monotonic()
            verdict = self._judge(removal, [_bounded(tests[nodeid], seconds) for seconds, nodeid in there])
            told = f"{verdict} ({len(there)} tests, {time.monotonic() - began:.1f} s)"
            self._tell(f"[{number}/{len(chosen)}] {removal.place} {removal.site.name}: {told}")
        return True

    # --- which tests get there ----------------------------------------------------------------------------

    def _reached(self, items: Sequence[pytest.Item]) -> dict[str, Reach]:
        """For each test that succeeds; a file is run again only if it or the removals are others."""
        about = sha256("\n".join(removal.name for removal in self._removals).encode()).hexdigest()
        known, kept, again = self._config.cache.get(_REACHED, {}), {}, []
        for item in items:
            kept_of_file = known.get(key := f"{item.path}:{about}:{_digest(item.path)}")
            if kept_of_file is None:
                again.append((key, item))
            else:
                kept[key] = kept_of_file
        if again:
            self._tell(f"{len(again)} tests are run once to see where they get")
            found = _forked(lambda: self._run_marked([item for _, item in again]), REACH_BOUND_S)
            if found is None:
                raise pytest.UsageError(f"the tests did not end within {REACH_BOUND_S:g} s")
            for key, item in again:
                of_file = kept.setdefault(key, {})
                if item.nodeid in found:
                    of_file[item.nodeid] = found[item.nodeid]
                else:
                    self._tell(f"left out, for it fails as things are: {item.nodeid}")
            self._config.cache.set(_REACHED, {**known, **kept})
        return {nodeid: reach for of_file in kept.values() for nodeid, reach in of_file.items()}

    def _run_marked(self, items: Sequence[pytest.Item]) -> dict[str, Reach]:
        here: set[int] = set()
        setattr(builtins, REACHED, here.add)
        mark_all(self._removals)
        found: dict[str, Reach] = {}
        for item, following in _pairs(items):
            here.clear()
            began = time.monotonic()
            if self._succeeds(item, following):
                found[item.nodeid] = {"seconds": round(time.monotonic() - began, 3), "removals": sorted(here)}
        return found

    # --- one removal --------------------------------------------------------------------------------------

    def _judge(self, removal: Removal, items: Sequence[pytest.Item]) -> str:
        """A verdict from an earlier run holds while the driver and the test that noticed are the same."""
        judged = self._config.cache.get(_JUDGED, {})
        by_file = {str(item.path): _digest(item.path) for item in items}
        path, *digests = judged.get(removal.name, [""])
        if path and digests == [removal.digest, by_file.get(path)]:
            self.caught[removal.name] = path
            return "caught before"
        noticed = self._noticed(removal, items)
        if noticed == "":
            self.survived.append(removal.name)
            return "SURVIVED"
        self.caught[removal.name] = noticed
        path = next(str(item.path) for item in items if item.nodeid == noticed)
        self._config.cache.set(_JUDGED, {**judged, removal.name: [path, removal.digest, by_file[path]]})
        return f"caught by {noticed}"

    def _noticed(self, removal: Removal, items: Sequence[pytest.Item]) -> str:
        """The test that fails, hangs or dies without it, if one does. All together they may just be slow on a busy
        machine: if they do not end in time, it takes one that does not even when it runs alone."""
        noticed = _forked(lambda: self._first_to_fail(removal, items), JUDGE_BOUND_S) if items else ""
        if noticed is not None:
            return noticed
        for item in items:
            if _forked(lambda item=item: self._first_to_fail(removal, [item]), ALONE_BOUND_S) != "":
                return item.nodeid
        return ""

    def _first_to_fail(self, removal: Removal, items: Sequence[pytest.Item]) -> str:
        removal.make()
        return next((item.nodeid for item, following in _pairs(items) if not self._succeeds(item, following)), "")

    def _succeeds(self, item: pytest.Item, following: pytest.Item | None) -> bool:
        self._failed = False
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        return not self._failed


def _bounded(item: pytest.Item, seconds: float) -> pytest.Item:
    item.add_marker(pytest.mark.timeout(max(TEST_BOUND_S, TEST_TIMES_LONGER * seconds)), append=False)
    return item


def _pairs(items: Sequence[T]) -> list[tuple[T, T | None]]:
    return list(zip(items, [*items[1:], None], strict=True)) if items else []


def _digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def _forked(call: Callable[[], T], bound_s: float) -> T | None:
    """What a fork of this process makes of it; None past the bound, or if it dies. Nothing that it started is left.

    Raises RuntimeError with what went wrong there.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.setsid()
        os.close(reading)
        _silence()
        try:
            said = {"answer": call()}
        except BaseException as error:
            said = {"error": repr(error)}
        with os.fdopen(writing, "wb") as out:
            out.write(json.dumps(said).encode())
        os._exit(0)
    os.close(writing)
    answer = b""
    give_up_at = time.monotonic() + bound_s
    try:
        while select.select([reading], [], [], max(0.0, give_up_at - time.monotonic()))[0]:
            if not (part := os.read(reading, 1 << 16)):
                break
            answer += part
    finally:
        os.close(reading)
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
    said = json.loads(answer) if answer else {"answer": None}
    if "error" in said:
        raise RuntimeError(said["error"])
    return said["answer"]


def _silence() -> None:
    sys.stdout.flush()
    with Path(os.devnull).open("r+b") as nothing:
        for stream in (0, 1, 2):
            os.dup2(nothing.fileno(), stream)
