"""`python -m tests.chaos [--minutes 30] [--seed 1]`: chaos on the real thing; the last line is the result as JSON.

Light, because every gateway process that is forked imports it.
"""

import argparse
import math
import shutil
import sys
import tempfile
import time
from pathlib import Path

LEAST_MINUTES, MOST_MINUTES = 0.1, 24 * 60.0
MOST_SEED = (1 << 32) - 1
INTERRUPTED = 130


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Chaos on the real thing.")
    parser.add_argument("--minutes", type=_minutes, default=30.0, help="how long events flow, at least")
    parser.add_argument("--seed", type=_seed, default=None, help="what goes wrong and when; a new one if not given")
    parser.add_argument("--directory", type=Path, help="where everything is kept; a new one that goes if all is well")
    parser.add_argument(
        "--without", type=_step, action="append", default=[], help="a step taken out (tests/promises/removals.py)"
    )
    given = parser.parse_args(arguments)
    seed = given.seed if given.seed is not None else time.time_ns() % 1_000_000
    directory = given.directory or Path(tempfile.mkdtemp(prefix="gateway-chaos-"))
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"{directory} can't be made: {error.strerror}; name a directory that is new or empty")
    if any(directory.iterdir()):
        parser.error(f"{directory} is not empty: what an earlier run left there would be judged too")
    try:
        status = _run(given.minutes, seed, directory, tuple(given.without))
    except KeyboardInterrupt:
        sys.stderr.write(f"interrupted, no verdict; journal, logs and data are in {directory}\n")
        return INTERRUPTED
    if status == 0 and given.directory is None:
        shutil.rmtree(directory)
    return status


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = math.nan
    if not LEAST_MINUTES <= minutes <= MOST_MINUTES:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from {LEAST_MINUTES:g} to {MOST_MINUTES:g}")
    return minutes


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) > MOST_SEED:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 to {MOST_SEED}")
    return int(text)


def _step(text: str) -> str:
    from tests.promises.removals import NAMED

    if text not in NAMED:
        raise argparse.ArgumentTypeError(f"no step is named {text!r}; there are: {', '.join(sorted(NAMED))}")
    return text


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
