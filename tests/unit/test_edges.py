"""docs/faults.md and the result of `make edges`."""

import subprocess
import sys

from tests.edges import Results, summary
from tests.faults import Fault, Where

FAULT = Fault(Where.GENIE, "silence", "waits", "gateway_genie_slots")


def test_document_is_what_the_tests_say() -> None:
    """docs/faults.md is written from the tests, and is not stale."""
    command = [sys.executable, "-m", "tests.edges", "--check"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_fault_with_a_failing_test_is_named() -> None:
    """A fault passes only if all its tests do; a test that was skipped or never ran has not passed."""
    results = Results()
    results.passed = {"a", "b"}
    other = Fault(Where.KAFKA, "away", "waits", "ready")
    skipped = Fault(Where.OWN, "no disk", "ends", "exit status")
    assert summary({FAULT: ["a"], other: ["a", "b"]}, results) == {"faults": 2, "passed": 2, "failed": []}
    results.failed = {"b"}
    assert summary({FAULT: ["a"], other: ["a", "b"], skipped: ["c"]}, results) == {
        "faults": 3,
        "passed": 1,
        "failed": ["away", "no disk"],
    }
