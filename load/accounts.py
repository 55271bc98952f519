"""The commands that keep accounts: `stages`, `check` and `report` of `python -m load`.

Knows arguments and printing. Must not know how anything is measured or written. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from load.result import Result
    from load.round import Say

FINE, WRONG, WRONG_USE = 0, 1, 2


class Add(Protocol):
    """Adds one command."""

    def __call__(self, name: str, does: str, what: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser: ...


def add(command: Add) -> None:
    """Add the three."""
    stages = command("stages", "what each stage of an event's way costs, in CPU µs", _stages)
    stages.add_argument("names", nargs="*", metavar="NAME", help="these alone")
    stages.add_argument(
        "--keep", action="store_true", help="for the report: all of them, and how many bytes an event is"
    )
    check = command("check", "whether an event costs over 15 percent more than accepted, and in which stage", _check)
    check.add_argument("--accept", action="store_true", help="what is measured now is what an event may cost")
    report = command("report", "write what was measured into docs/", _report)
    report.add_argument("rounds", nargs="*", type=Path, metavar="FILE", help="of --json: these rounds are kept first")
    report.add_argument("--view", type=Path, metavar="FILE", help="of load.view: its last line is kept first")


def _stages(given: argparse.Namespace) -> int:
    from load import kept
    from load.stages import UnknownStageError, run, table
    from load.stages.sizes import sizes

    logging.getLogger("aiokafka").setLevel(logging.ERROR)
    if given.keep and given.names:
        sys.stderr.write("--keep keeps all stages: name none\n")
        return WRONG_USE
    try:
        measured = run(given.names)
    except UnknownStageError as error:
        sys.stderr.write(f"{error}\n")
        return WRONG_USE
    print(table(measured))
    if given.keep:
        kept.keep_stages(measured, sizes())
    if given.json is not None:
        given.json.write_text(json.dumps([stage.to_json() for stage in measured], indent=1) + "\n", "utf-8")
    print(json.dumps({stage.name: round(stage.us, 2) for stage in measured}))
    return FINE


def _check(given: argparse.Namespace) -> int:
    from load import check
    from load.stages import run

    machine = check.Machine(lambda: _quick(given), run)
    try:
        if given.accept:
            check.accept(check.measured(machine))
            print(json.dumps({"accepted": True}))
            return FINE
        found = check.check(check.load(), machine)
    except (check.NotAcceptedError, check.VoidError) as error:
        sys.stderr.write(f"{error}\n")
        print(json.dumps({"regressions": None}))
        return WRONG
    for each in found:
        print(each)
    print(json.dumps({"regressions": [each.name for each in found]}))
    return WRONG if found else FINE


def _quick(given: argparse.Namespace) -> Result:
    """The gateway and the naive baseline beside it."""
    from load.quick import Quick, quick
    from load.work import done

    def work(directory: Path, say: Say) -> Coroutine[Any, Any, Quick]:
        return quick(directory, say)

    return done(given.directory, work).full


def _report(given: argparse.Namespace) -> int:
    from load import kept, report
    from load.result import Result

    for path in given.rounds:
        rounds = [Result.from_json(each) for each in json.loads(path.read_text("utf-8"))]
        if void := [each.scenario for each in rounds if not each.verified]:
            sys.stderr.write(f"{path}: {', '.join(void)} count for nothing: nothing of it is kept\n")
            return WRONG
        kept.keep_rounds(rounds)
    if given.view is not None:
        kept.keep_view(json.loads(given.view.read_text("utf-8").splitlines()[-1]))
    written = report.write(kept.read())
    print(json.dumps({"written": [path.name for path in written]}))
    return FINE
