"""How each tool looks for what is broken, in a process of its own: from the first patch on it is good for nothing else.

Knows the model checker and pytest. Must not know rows of a table, or other processes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple

import pytest

from tests.model.without import explore_without
from tests.promises.launch import PATCHES
from tests.prove.rows import Check, Model, Row

QUIETLY = (
    *("-q", "--override-ini=addopts=--strict-markers", "-p", "no:cacheprovider"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),  # plugins were imported before the process was forked
)
PLUGINS = ("-p", "pytest_asyncio.plugin", "-p", "pytest_timeout")


class Found(NamedTuple):
    """What came of a row: what turned red, if anything did, and the shortest way there, if the tool knows ways."""

    red: str | None
    story: tuple[str, ...] = ()


def look(row: Row, kafka: str | None, *, thoroughly: bool) -> Found:
    """Take the step out and look; `thoroughly` means until a promise is broken, not only a rule that keeps it."""
    if isinstance(row.by, Model):
        return _model(row, thoroughly=thoroughly)
    if kafka is not None:
        os.environ["TEST_KAFKA"] = kafka
    return _itself(row.by, row.removal) if row.by.tests_itself else _test(row.by, row.removals)


def _model(row: Row, *, thoroughly: bool) -> Found:
    explored = explore_without(*row.removals, promises_alone=thoroughly)
    return Found(explored.violation, explored.story[:-1])  # the last line says what is broken


def _itself(test: Check, removal: str) -> Found:
    """It passes as it is, and again with a gateway that lacks the step, for then it has noticed."""
    seen = _run(*(f"{test.path}::{test.name}[{case}]" for case in ("as it is", f"without {removal}")))
    return Found("the verifier's count, or what the test looks at" if len(seen.passed) == 2 and not seen.red else None)


def _test(test: Check, removals: Iterable[str]) -> Found:
    for name in removals:
        PATCHES[name]()
    seen = _run(f"{test.path}::{test.name}")
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


def _run(*tests: str) -> _Seen:
    seen = _Seen()
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # most of them take longer to import than a test to run
    status = pytest.main([*QUIETLY, *PLUGINS, *tests], plugins=[seen])
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        seen.errors.append(f"pytest ended with status {int(status)}")
    return seen
