"""What every test directory shares: unique names, development keys, and the seconds each directory took."""

import os
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.tools import ToolMissing, ensured, path_of
from gateway.sandbox import pki as pkis

TESTS = Path(__file__).parent
_seconds: Counter[str] = Counter()
_tests: Counter[str] = Counter()


@pytest.fixture
def prefix() -> str:
    """A prefix that makes topic, group and transaction names of one test unlike any other's."""
    return f"t{uuid.uuid4().hex[:8]}."


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> pkis.Pki:
    """One set of development keys, which take longer to make than to use; whoever changes them copies them first."""
    return pkis.make(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="session")
def tool() -> Callable[[str], Path]:
    """Where a pinned tool is (deploy/tools): without it a test is skipped with the reason, and fails in CI."""

    def find(name: str) -> Path:
        try:
            return ensured(name) if os.environ.get("CI") else path_of(name)
        except ToolMissing as error:
            if os.environ.get("CI"):
                pytest.fail(str(error), pytrace=False)
            pytest.skip(str(error))

    return find


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    share = report.nodeid.split("::")[0].rpartition("/")[0]
    _seconds[share] += report.duration
    if report.when == "call":
        _tests[share] += 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Before pytest's own closing line; with several workers the shares add up to more than the run."""
    terminalreporter.section("seconds of each share")
    for share, seconds in sorted(_seconds.items()):
        terminalreporter.write_line(f"{share:<24}{seconds:8.1f} s {_tests[share]:6} tests")
