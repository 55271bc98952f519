"""How each tool looks for what is broken, in a process of its own: from the first patch on it is good for nothing else.

Knows the model checker, pytest and the simulation, and what each says if a promise breaks: anything else that goes
wrong is no proof. Must not know other rows, or how they are shown.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.model.machine import LANE_FAILS
from tests.model.without import explore_without
from tests.parentage import end_with_parent
from tests.promises.launch import PATCHES
from tests.prove.rows import Check, Model, Row, Stories

QUIETLY = (
    *("-q", "--override-ini=addopts=--strict-markers", "-p", "no:cacheprovider"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),  # plugins were imported before the process was forked
)
PLUGINS = ("-p", "pytest_asyncio.plugin", "-p", "pytest_timeout")
SAYS_SO = (AssertionError, pytest.fail.Exception)  # how a test says that what it looks at is not so

RED_ANYWAY = "red with the step in place too"
ANOTHER_REASON = "red for another reason than what the test looks at"
ANOTHER_PROMISE = "this is not the promise that the row names"

END_BOUND_S = 5.0  # for a campaign that is broken off: half of what its row gets

_FIRST_BAD = re.compile(r"seed (\d+) breaks a promise: ")
_WRONG = "WRONG "


class _Simulated(NamedTuple):
    status: int
    said: str


class Found(NamedTuple):
    """What came of a row: what turned red, if anything did, a way there, and how long the shortest is, if the tool
    knows that. If nothing did, the story is what the tool said."""

    red: str | None
    story: tuple[str, ...] = ()
    length: str = "–"


def look(row: Row, kafka: str | None, *, thoroughly: bool) -> Found:
    """Take the step out and look; `thoroughly` means until a promise is broken, not only a rule that keeps it."""
    if isinstance(row.by, Model):
        return _model(row, thoroughly=thoroughly and bool(row.breaks))
    if isinstance(row.by, Stories):
        return _stories(row, row.by)
    _stand_on(kafka)
    return _itself(row.by, row.removal) if row.by.tests_itself else _test(row.by, row.removals)


def red_anyway(path: Path, names: Iterable[str], kafka: str | None) -> Mapping[str, str]:
    """Which of these tests of a file don't pass although every step is in its place, and what they say."""
    _stand_on(kafka)
    seen = _run(*(f"{path}::{name}" for name in names))
    told = {name: "it does not run" for name in names if name not in seen.passed}
    return told | dict(seen.broken) | dict(seen.red)


def _model(row: Row, *, thoroughly: bool) -> Found:
    explored = explore_without(*row.removals, promises_alone=thoroughly)
    if thoroughly and not any(explored.violation in promise.in_the_model for promise in row.breaks):
        return Found(None, (*explored.story, ANOTHER_PROMISE))
    if (explored.violation or "").startswith(LANE_FAILS):
        return Found(None, (*explored.story, ANOTHER_REASON))
    story = explored.story[:-1]  # the last line says what is broken
    return Found(explored.violation, story, str(len(story)))


def _stories(row: Row, by: Stories) -> Found:
    said = _simulate("--seeds", str(by.seeds), "--no-shrink", "--without", row.removal).said.splitlines()
    bad = next(filter(None, map(_FIRST_BAD.match, said)), None)
    if bad is None:
        return Found(None, tuple(said))
    kinds = tuple(f"{kind}: " for promise in row.breaks for kind in promise.in_a_story)
    wrong = [line.removeprefix(_WRONG) for line in said if line.startswith(_WRONG)]
    broken = [line for line in wrong if line.startswith(kinds)]
    if not broken:
        return Found(None, (*said, ANOTHER_PROMISE))
    if _simulate("--seed", bad[1]).status:
        return Found(None, (*said, RED_ANYWAY))
    return Found(broken[0], tuple(said), f"seed {bad[1]}")


def _simulate(*arguments: str) -> _Simulated:
    """Ctrl-C comes to the campaign too, which ends by itself then; whatever else ends this process ends it."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.simulation", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=end_with_parent,  # noqa: PLW1509 - this process has one thread
    ) as campaign:
        try:
            _, said = campaign.communicate()
        except KeyboardInterrupt:
            with suppress(subprocess.TimeoutExpired):
                campaign.wait(END_BOUND_S)
            campaign.kill()
            raise
    return _Simulated(campaign.returncode, said)


def _itself(test: Check, removal: str) -> Found:
    """It passes as it is, and again with a gateway that lacks the step, for then it has noticed."""
    seen = _run(*(f"{test.path}::{test.name}[{case}]" for case in ("as it is", f"without {removal}")))
    noticed = len(seen.passed) == 2 and not seen.red and not seen.broken
    return Found("the verifier's count, or what the test looks at" if noticed else None)


def _test(test: Check, removals: Iterable[str]) -> Found:
    for name in removals:
        PATCHES[name]()
    seen = _run(f"{test.path}::{test.name}")
    if seen.broken:
        return Found(None, (f"{ANOTHER_REASON}: {seen.broken[0][1]}",))
    return Found(seen.red[0][1] if seen.red else None)


class _Seen:
    """A pytest plugin that keeps what passed, what said that something is not so, and what broke by itself; by name,
    with the words."""

    def __init__(self) -> None:
        self.passed: list[str] = []
        self.red: list[tuple[str, str]] = []
        self.broken: list[tuple[str, str]] = []

    def pytest_runtest_makereport(self, item: pytest.Function, call: pytest.CallInfo[None]) -> None:
        if call.excinfo is not None:
            error = call.excinfo.value
            words = f"{type(error).__name__}: {error}".partition("\n")[0]
            says_so = call.when == "call" and isinstance(error, SAYS_SO)
            (self.red if says_so else self.broken).append((item.originalname, words))
        elif call.when == "call":
            self.passed.append(item.originalname)

    def pytest_timeout_set_timer(self, item: Any, settings: Any) -> bool:
        """No test is ended here: a slow machine proves nothing, and what hangs has the runner's bound."""
        return True


def _run(*arguments: str) -> _Seen:
    seen = _Seen()
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # most of them take longer to import than a test to run
    status = pytest.main([*QUIETLY, *PLUGINS, *arguments], plugins=[seen])
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        seen.broken.append(("", f"pytest ended with status {int(status)}"))
    return seen


def _stand_on(kafka: str | None) -> None:
    if kafka is not None:
        os.environ["TEST_KAFKA"] = kafka
