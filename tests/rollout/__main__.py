"""`python -m tests.rollout [--short] [--json] [--seed 1]`: the chart's pods are updated, drained, killed and scaled
under load; the last line is the result as JSON.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from deploy.tools import ToolMissing, path_of
from tests.chaos.journal import Journal
from tests.deploy.charts import Chart
from tests.rollout.exercise import INSTANCE_ID, Exercise
from tests.rollout.pod import RolloutError

MOST_SEED = (1 << 32) - 1
NO_VERDICT, UNREACHABLE, INTERRUPTED = 1, 3, 130


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.rollout", description="Rollouts on the real thing.")
    parser.add_argument("--short", action="store_true", help="one rolling update of two pods, and one kill")
    parser.add_argument("--json", action="store_true", help="nothing but the last line")
    parser.add_argument("--seed", type=_seed, default=None, help="which pods, and the load; a new one if not given")
    parser.add_argument("--directory", type=Path, help="where everything is kept; a new one that goes if all is well")
    parser.add_argument("--without", choices=[INSTANCE_ID], action="append", default=[], help="a step taken out")
    given = parser.parse_args(arguments)
    try:
        helm = path_of("helm")
    except ToolMissing as error:
        sys.stderr.write(f"error: {error}\n")
        return UNREACHABLE
    seed = given.seed if given.seed is not None else time.time_ns() % 1_000_000
    directory = given.directory or Path(tempfile.mkdtemp(prefix="gateway-rollout-"))
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        parser.error(f"{directory} is not empty: what an earlier run left there would be judged too")
    try:
        with (Quiet if given.json else Journal)(directory / "journal.jsonl") as journal:
            journal.say(f"seed {seed}, everything is in {directory}")
            chart = Chart(helm, directory)
            exercise = Exercise(chart, directory, journal, seed, short=given.short, without=tuple(given.without))
            status = _run(exercise, journal)
    except KeyboardInterrupt:
        sys.stderr.write(f"interrupted, no verdict; journal, logs and data are in {directory}\n")
        return INTERRUPTED
    if status == 0 and given.directory is None:
        shutil.rmtree(directory)
    return status


class Quiet(Journal):
    """Writes down what another one would also tell."""

    def say(self, text: str) -> None:
        self.note("said", text=text)


def _run(exercise: Exercise, journal: Journal) -> int:
    try:
        report = uvloop.run(exercise.go())
    except (RolloutError, AssertionError, TimeoutError) as error:
        sys.stderr.write(f"error: {error}\nno verdict; journal, logs and data are in {journal.path.parent}\n")
        return NO_VERDICT
    for wrong in report.wrong:
        sys.stderr.write(f"WRONG {wrong}\n")
    if report.wrong:
        sys.stderr.write(f"journal, logs and data are in {journal.path.parent}\n")
    sys.stdout.write(f"{json.dumps(report.line())}\n")
    return 1 if report.wrong else 0


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) > MOST_SEED:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 to {MOST_SEED}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
