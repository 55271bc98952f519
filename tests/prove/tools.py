"""How each tool looks for what is broken, in a process of its own: from the first patch on it is good for nothing else.

Knows the model checker, pytest and the simulation. Must not know other rows, or how they are shown.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from typing import NamedTuple

import pytest

from tests.model.without import explore_without
from tests.promises.launch import PATCHES
from tests.prove.rows import Check, Model, Row, Stories

QUIETLY = (
    *("-q", "--override-ini=addopts=--strict-markers", "-p", "no:cacheprovider"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),  # plugins were imported before the process was forked
)
HANGS_S = 10  # a test without Kafka that takes longer hangs: that is noticed, too
PLUGINS = ("-p", "pytest_asyncio.plugin", "-p", "pytest_timeout")


FIRST_BAD = re.compile(r"seed (\d+) breaks a promise: (.*)")


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
        return _stories(row.by, row.removal)
    if kafka is not None:
        os.environ["TEST_KAFKA"] = kafka
    return _itself(row.by, row.removal) if row.by.tests_itself else _test(row.by, row.removals)


def _model(row: Row, *, thoroughly: bool) -> Found:
    explored = explore_without(*row.removals, promises_alone=thoroughly)
    if thoroughly and not any(explored.violation in promise.in_the_model for promise in row.breaks):
        return Found(None, (*explored.story, "this is not the promise that the row names"))
    story = explored.story[:-1]  # the last line says what is broken
    return Found(explored.violation, story, str(len(story)))


def _stories(by: Stories, removal: str) -> Found:
    command = [sys.executable, "-m", "tests.simulation", "--seeds", str(by.seeds), "--no-shrink", "--without", removal]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    said, last = tuple(told.stderr.splitlines()), (told.stdout.splitlines() or ["{}"])[-1]
    bad = next(filter(None, map(FIRST_BAD.match, said)), None)
    if bad is None or not json.loads(last)["violations"]:
        return Found(None, said)
    return Found(bad[2], said, f"seed {bad[1]}")


def _itself(test: Check, removal: str) -> Found:
    """It passes as it is, and again with a gateway that lacks the step, for then it has noticed."""
    seen = _run(*(f"{test.path}::{test.name}[{case}]" for case in ("as it is", f"without {removal}")))
    return Found("the verifier's count, or what the test looks at" if len(seen.passed) == 2 and not seen.red else None)


def _test(test: Check, removals: Iterable[str]) -> Found:
    for name in removals:
        PATCHES[name]()
    bound = () if test.needs_kafka else (f"--timeout={HANGS_S}",)
    seen = _run(f"{test.path}::{test.name}", *bound)
    return Found(seen.red[0] if seen.red and not seen.errors else None)


class _Seen:
    """A pytest plugin that keeps what passed, what failed and with which words."""

    def __init__(self) -> None:
        self.passed: list[str] = []
        self.red: list[str] = []
        self.errors: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            words = (crash.message if crash else str(report.longrepr)).partition("\n")[0]
            (self.red if report.when == "call" else self.errors).append(words)
        elif report.when == "call" and report.passed:
            self.passed.append(report.nodeid)


def _run(*arguments: str) -> _Seen:
    seen = _Seen()
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # most of them take longer to import than a test to run
    status = pytest.main([*QUIETLY, *PLUGINS, *arguments], plugins=[seen])
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        seen.errors.append(f"pytest ended with status {int(status)}")
    return seen
