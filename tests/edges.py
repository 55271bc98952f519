"""`python -m tests.edges`: every fault and what the gateway does about it; the last line is the result as JSON.

`--write` writes docs/faults.md anew instead; `--check` says whether it is what the tests say. Other arguments are
pytest's.
"""

import json
import os
import sys
from pathlib import Path

import pytest

from gateway.sandbox.broker import ArtifactError, Node, NodeError
from tests.__main__ import WORKERS
from tests.faults import Collected, Fault, document

DOCUMENT = Path(__file__).parent.parent / "docs" / "faults.md"
ONLY_FAULTS = ["-m", "fault", "-p", "no:cacheprovider"]


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


def summary(proofs: dict[Fault, list[str]], results: Results) -> dict[str, object]:
    """The last line of a run."""
    failed = sorted(fault.name for fault, tests in proofs.items() if not results.hold(tests))
    return {"faults": len(proofs), "passed": len(proofs) - len(failed), "failed": failed}


def run(arguments: list[str]) -> int:
    proofs, results = collect(), Results()
    with Node() as node:
        os.environ["TEST_KAFKA"] = node.bootstrap
        status = pytest.main([*ONLY_FAULTS, *WORKERS, *arguments], plugins=[results])
    said = summary(proofs, results)
    sys.stdout.write(f"{json.dumps(said, ensure_ascii=False)}\n")
    return 1 if status or said["failed"] else 0


def collect() -> dict[Fault, list[str]]:
    """The faults of all tests, without running any."""
    collected = Collected()
    if status := pytest.main([*ONLY_FAULTS, "--collect-only", "-qq", "--no-summary"], plugins=[collected]):
        sys.exit(status)
    return collected.proofs


def main(arguments: list[str]) -> int:
    if arguments in (["--write"], ["--check"]):
        text = document(collect())
        if arguments == ["--write"]:
            DOCUMENT.write_text(text, "utf-8")
        elif DOCUMENT.read_text("utf-8") != text:
            sys.stderr.write(f"{DOCUMENT.name} is not what the tests say: python -m tests.edges --write\n")
            return 1
        return 0
    try:
        return run(arguments)
    except (ArtifactError, NodeError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 3


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
