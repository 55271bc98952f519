"""`python -m tests.chaos [--minutes 30] [--seed 1]`: chaos on the real thing; the last line is the result as JSON.

Light, because every gateway process that is forked imports it.
"""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Chaos on the real thing.")
    parser.add_argument("--minutes", type=float, default=30.0, help="how long events flow, at least")
    parser.add_argument("--seed", type=int, default=None, help="what goes wrong and when; a new one if not given")
    parser.add_argument("--directory", type=Path, help="where everything is kept; a new one that goes if all is well")
    parser.add_argument("--without", action="append", default=[], help="a step taken out (tests/promises/removals.py)")
    given = parser.parse_args(arguments)
    seed = given.seed if given.seed is not None else time.time_ns() % 1_000_000
    directory = given.directory or Path(tempfile.mkdtemp(prefix="gateway-chaos-"))
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        parser.error(f"{directory} is not empty: what an earlier run left there would be judged too")
    status = _run(given.minutes, seed, directory, tuple(given.without))
    if status == 0 and given.directory is None:
        shutil.rmtree(directory)
    return status


def _run(minutes: float, seed: int, directory: Path, without: tuple[str, ...]) -> int:
    import json
    import logging

    import uvloop

    from tests.chaos.journal import Journal
    from tests.chaos.plan import Plan
    from tests.chaos.run import COUNTS, Run

    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # the broker is away on purpose, often
    with Journal(directory / "journal.jsonl") as journal:
        try:
            report = uvloop.run(Run(Plan(minutes, seed), directory, journal, without).go())
        except Exception as error:
            journal.say(f"{type(error).__name__}: {error}")
            journal.say(f"no verdict; journal, logs and data are in {directory}")
            line = dict.fromkeys(("minutes", "kills", "broker_faults", "events", *COUNTS)) | {
                "minutes": round(journal.seconds / 60, 1)
            }
            sys.stdout.write(f"{json.dumps(line)}\n")
            return 1
        for wrong in report.wrong:
            journal.say(f"WRONG {wrong}")
        if report.wrong:
            journal.say(f"journal, logs and data are in {directory}; again with --seed {seed}")
        sys.stdout.write(f"{json.dumps(report.line())}\n")
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
