"""`python -m tests.removals [PART OF A MODULE ...] [--kafka]`: each await and check of the drivers, taken out.

Ends with one line of JSON. Exit status 1 if something went unnoticed that accepted.toml does not give a reason for,
or if that has what there no longer is. What was caught is remembered, as long as the driver and the test are the same.
"""

import json
import os
import sys
import tomllib
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from gateway.sandbox.broker import Node
from tests.removals.drivers import NAMES, Driver
from tests.removals.judge import Judge

TESTS = ("tests/unit", "tests/property", "tests/contract/test_signing.py")
# Those that run drivers in their own process.
WITH_KAFKA = (
    "test_consent_view.py",
    "test_exact.py",
    "test_genie_client.py",
    "test_genie_client_faults.py",
    "test_genie_client_strangers.py",
    "test_lane_start.py",
    "test_lane_start_dry_run.py",
    "test_lane_start_ledger.py",
    "test_lane_start_traces.py",
    "test_source.py",
    "test_topics.py",
    "test_transactions.py",
)
_ACCEPTED = Path(__file__).with_name("accepted.toml")
_QUIET = ("-qq", "--capture=no", "--no-header", "--no-summary", "-p", "no:xdist")


def main(arguments: Sequence[str]) -> int:
    """See the module."""
    parts = [argument for argument in arguments if not argument.startswith("-")]
    removals = [removal for name in NAMES for removal in Driver.imported(name).removals()]
    names = {removal.name for removal in removals if not parts or any(part in removal.driver.name for part in parts)}
    judge = Judge(removals, lambda removal: removal.name in names, lambda text: sys.stderr.write(f"{text}\n"))
    with ExitStack() as stack:
        tests = TESTS
        if "--kafka" in arguments:
            os.environ["TEST_KAFKA"] = stack.enter_context(Node()).bootstrap
            tests += tuple(f"tests/integration/{name}" for name in WITH_KAFKA)
        status = pytest.main([*_QUIET, *tests], plugins=[judge])
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        return int(status)
    accepted = tomllib.loads(_ACCEPTED.read_text())
    gone = sorted(accepted.keys() - {removal.name for removal in removals})
    unknown = [name for name in judge.survived if name not in accepted]
    for name in gone:
        sys.stderr.write(f"accepted.toml: there is no longer {name}\n")
    for name in sorted(accepted.keys() & judge.caught.keys()):
        sys.stderr.write(f"accepted.toml: need not have {name}: {judge.caught[name]}\n")
    counts = {"removals": len(names), "caught": len(judge.caught), "accepted": len(judge.survived) - len(unknown)}
    sys.stdout.write(json.dumps({**counts, "survived": unknown}) + "\n")
    return 1 if unknown or gone else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
