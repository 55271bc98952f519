"""`python -m tests.edges`: every fault and what the gateway does about it; the last line is the result as JSON.

`--write` writes docs/faults.md anew instead; `--check` says whether it is what the tests say. Other arguments are
pytest's, and only what they select is counted. Status 3 means that nothing could be run.
"""

import json
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.sandbox.broker import ArtifactError, Node, NodeError
from tests.__main__ import WORKERS
from tests.faults import Collected, Fault, document

DOCUMENT = Path(__file__).parent.parent / "docs" / "faults.md"
ONLY_FAULTS = ["-m", "fault", "-p", "no:cacheprovider"]
RAN = frozenset({pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED})
COULD_NOT = 3


@dataclass(frozen=True, slots=True)
class Collection:
    """The faults of the tests that were asked for, and how looking for them ended."""

    proofs: dict[Fault, list[str]]
    status: int

    @property
    def error(self) -> str:
        """Why some of them may be missing, if so."""
        if self.status == pytest.ExitCode.NO_TESTS_COLLECTED:
            return "no test of a fault is selected"
        return f"collecting the tests ended with status {int(self.status)}" if self.status else ""


class Results:
    """A pytest plugin that remembers which tests did not pass."""

    def __init__(self) -> None:
        self.passed: set[str] = set()
        self.failed: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not report.passed:
            self.failed.add(report.nodeid)
        elif report.when == "call":
            self.passed.add(report.nodeid)

    def hold(self, tests: list[str]) -> bool:
        """Whether all of these passed."""
        return self.passed.issuperset(tests) and not self.failed.intersection(tests)


def summary(proofs: dict[Fault, list[str]], results: Results, error: str = "") -> dict[str, object]:
    """The last line of a run; `error` is there if something else than a test failed."""
    failed = sorted(fault.name for fault, tests in proofs.items() if not results.hold(tests))
    said: dict[str, object] = {"faults": len(proofs), "passed": len(proofs) - len(failed), "failed": failed}
    return said | {"error": error} if error else said


def collect(arguments: Iterable[str] = ()) -> Collection:
    """The faults of the tests that these arguments select, without running any."""
    collected = Collected()
    quietly = ["--collect-only", "-qq", "--no-summary"]
    status = pytest.main([*ONLY_FAULTS, *quietly, *arguments], plugins=[collected])
    return Collection(collected.proofs, status)


def run(arguments: list[str]) -> int:
    """All that is selected, and the last line, whatever happens."""
    collection, results = collect(arguments), Results()
    error = collection.error
    if not error:
        try:
            with Node() as node:
                os.environ["TEST_KAFKA"] = node.bootstrap
                status = pytest.main([*ONLY_FAULTS, *WORKERS, *arguments], plugins=[results])
            error = "" if status in RAN else f"pytest ended with status {int(status)}"
        except (ArtifactError, NodeError) as failure:
            error = str(failure)
    said = summary(collection.proofs, results, error)
    sys.stdout.write(f"{json.dumps(said, ensure_ascii=False)}\n")
    return COULD_NOT if error else int(bool(said["failed"] or results.failed))


def page() -> str:
    """docs/faults.md as the tests have it."""
    collection = collect()
    if collection.error:
        sys.exit(collection.error)
    return document(collection.proofs)


def main(arguments: list[str]) -> int:
    if arguments == ["--write"]:
        DOCUMENT.write_text(page(), "utf-8")
        return 0
    if arguments == ["--check"]:
        if DOCUMENT.read_text("utf-8") == page():
            return 0
        sys.stderr.write(f"{DOCUMENT.name} is not what the tests say: python -m tests.edges --write\n")
        return 1
    return run(arguments)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
