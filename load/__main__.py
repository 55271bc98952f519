"""`python -m load ...`: load tests. Results go to standard output, the last line is JSON; exit status 1 when void."""

from __future__ import annotations

import argparse
import json
import logging
import math
import shutil
import sys
import tempfile
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from load.quick import Quick
    from load.result import Result
    from load.round import Say
    from load.scenario import Scenario

Done = TypeVar("Done")

INTERRUPTED = 130
WRONG, WRONG_USE, UNREACHABLE = 1, 2, 3
MOST_RATE = 1e6
MOST_MINUTES = 24 * 60.0
BENCH = ("backlog", "backlog", "backlog", "steady", "quiet", "single", "slow", "join")  # several rounds of what counts


def main(arguments: list[str]) -> int:
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.directory is not None and given.directory.exists() and any(given.directory.iterdir()):
        parser.error(f"{given.directory} is not empty: name a directory that is new or empty")
    try:
        status: int = given.do(given)
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted: no result; all that was started is ended\n")
        return INTERRUPTED
    return status


def _parser() -> argparse.ArgumentParser:
    from load.scenarios import SCENARIOS

    told = "\n".join(f"  {scenario.name:<14}{scenario.sentence}" for scenario in SCENARIOS.values())
    parser = argparse.ArgumentParser(
        prog="python -m load",
        description="What an event costs, how many a second, how late; judged by the verifier.",
        epilog=f"scenarios:\n{told}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, does: str, what: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=does, description=does)
        added.add_argument("--json", type=Path, metavar="FILE", help="write all results there")
        added.add_argument("--directory", type=Path, help="keep logs and data there; else they go when all is well")
        added.set_defaults(do=what)
        return added

    command("quick", "within a minute: cost, latency, memory, verdict; ends in one line of JSON", _quick)
    command("bench", "ten minutes: steady, quiet, backlog, single, slow GeNiE, 1 -> 2 processes", _bench)
    command("all", "every scenario", _all)
    run = command("run", "one scenario", _run)
    run.add_argument("--scenario", choices=list(SCENARIOS), default="steady", metavar="NAME", help="see below")
    run.add_argument("--rate", type=_number(MOST_RATE), help="events a second, where they arrive by the clock")
    run.add_argument("--minutes", type=_number(MOST_MINUTES), help="how long they arrive")
    stages = commands.add_parser("stages", help="the gateway's stages one by one")
    stages.add_argument("names", nargs="*", metavar="STAGE", help="these alone")
    stages.set_defaults(do=_stages, directory=None)
    return parser


def _number(most: float) -> Callable[[str], float]:
    def number(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not 0 < value <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no number above 0, up to {most:g}")
        return value

    return number


def _quick(given: argparse.Namespace) -> int:
    from load.quick import quick

    def work(directory: Path, say: Say) -> Coroutine[Any, Any, Quick]:
        return quick(directory, say)

    done = _done(given, work)
    results = [done.full, done.easy]
    _keep(given.json, results)
    _tell(results)
    return _end(done.line(), verified=done.verified)


def _bench(given: argparse.Namespace) -> int:
    from load.scenarios import SCENARIOS

    return _rounds(given, [SCENARIOS[name] for name in BENCH])


def _all(given: argparse.Namespace) -> int:
    from load.scenarios import SCENARIOS

    return _rounds(given, list(SCENARIOS.values()))


def _run(given: argparse.Namespace) -> int:
    from load.scenarios import SCENARIOS, at

    return _rounds(given, [at(SCENARIOS[given.scenario], given.rate, given.minutes)])


def _stages(given: argparse.Namespace) -> int:
    from load import stages

    try:
        found = stages.run(given.names)
    except stages.UnknownStageError as error:
        sys.stderr.write(f"{error}\n")
        return WRONG_USE
    print(stages.table(found))
    return _end({"stages": {stage.name: stage.us for stage in found}}, verified=True)


def _rounds(given: argparse.Namespace, scenarios: Sequence[Scenario]) -> int:
    from load import words
    from load.bench import several

    def work(directory: Path, say: Say) -> Coroutine[Any, Any, list[Result]]:
        return several(scenarios, directory, say, lambda results: _keep(given.json, results))

    results = _done(given, work)
    _tell(results)
    verified = all(result.verified for result in results)
    return _end({"rounds": [words.short(result) for result in results], "verified": verified}, verified=verified)


def _done(given: argparse.Namespace, work: Callable[[Path, Say], Coroutine[Any, Any, Done]]) -> Done:
    """What came of it. Raises SystemExit, with what went wrong and where to look."""
    import uvloop

    from gateway.sandbox.broker import ArtifactError, NodeError, UnreachableError
    from gateway.sandbox.demo.children import ChildError
    from gateway.sandbox.verifier import TopicsError
    from load.measure import MeasureError
    from load.round import RoundError
    from load.screen import Screen

    logging.getLogger("aiokafka").setLevel(logging.ERROR)
    screen = Screen()
    directory = given.directory or Path(tempfile.mkdtemp(prefix="gateway-load-"))
    wrong = None
    try:
        return uvloop.run(work(directory, screen.say))
    except (ArtifactError, ChildError, MeasureError, NodeError, OSError, RoundError, TopicsError) as error:
        wrong = error
    finally:
        screen.end()
        shutil.rmtree(directory / "kafka", ignore_errors=True)
        if given.directory is None and wrong is None:
            shutil.rmtree(directory, ignore_errors=True)
    away = isinstance(wrong, UnreachableError) or getattr(wrong, "unreachable", False)
    sys.stderr.write(f"{type(wrong).__name__}: {wrong}\nlogs are in {directory}\n")
    print(json.dumps({"verified": False, "error": type(wrong).__name__}))
    raise SystemExit(UNREACHABLE if away else WRONG)


def _keep(file: Path | None, results: Sequence[Result]) -> None:
    if file is not None:
        file.write_text(json.dumps([result.to_json() for result in results], indent=1) + "\n", "utf-8")


def _tell(results: Sequence[Result]) -> None:
    from load import words

    for result in results:
        print(words.text(result))


def _end(line: Mapping[str, Any], *, verified: bool) -> int:
    print(json.dumps(line))
    return 0 if verified else WRONG


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
