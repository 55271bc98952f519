"""`python -m tests.removals [PART OF A MODULE ...]`: what sites.py finds in the drivers, taken out one at a time.

Ends with one line of JSON. Exit status 1 if something went unnoticed that accepted.toml does not give a reason for,
or if that has what there no longer is. What was caught is remembered, as long as the driver and the test are the same.
"""

import argparse
import json
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.removals.drivers import NAMES, Driver
from tests.removals.judge import Judge

# What runs drivers in its own process, and takes seconds.
TESTS = (
    "tests/unit",
    "tests/property",
    "tests/contract/test_signing.py",
    "tests/integration/test_genie_client.py",
    "tests/integration/test_genie_client_faults.py",
    "tests/integration/test_genie_client_strangers.py",
)
_ACCEPTED = Path(__file__).with_name("accepted.toml")
INTERRUPTED = 130
_QUIET = ("-qq", "--capture=no", "--no-header", "--no-summary", "-p", "no:xdist")


def main(arguments: Sequence[str]) -> int:
    """See the module."""
    parser = argparse.ArgumentParser("python -m tests.removals", description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help="of a module's name; none means every driver")
    parts = parser.parse_args(arguments).parts
    for part in parts:
        if not any(part in name for name in NAMES):
            parser.error(f"no driver is named {part!r}; there are: {', '.join(NAMES)}")
    removals = [removal for name in NAMES for removal in Driver.imported(name).removals()]
    names = {removal.name for removal in removals if not parts or any(part in removal.driver.name for part in parts)}
    judge = Judge(removals, lambda removal: removal.name in names, lambda text: sys.stderr.write(f"{text}\n"))
    status = pytest.main([*_QUIET, *TESTS], plugins=[judge])
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
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; what was caught so far is remembered\n")
        sys.exit(INTERRUPTED)
