"""`python -m load ...`: load tests. Results go to standard output, the last line is JSON; exit status 1 when void."""

from __future__ import annotations

import argparse
import json
import math
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from load.work import WRONG, done

if TYPE_CHECKING:
    from load.quick import Quick
    from load.result import Result
    from load.round import Say
    from load.scenario import Scenario

INTERRUPTED = 130
MOST_RATE = 1e6
MOST_MINUTES = 24 * 60.0
BENCH = ("backlog", "backlog", "backlog", "steady", "quiet", "single", "slow", "join")  # several rounds of what counts


def main(arguments: list[str]) -> int:
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.directory is not None and given.directory.exists() and any(given.directory.iterdir()):
        parser.error(f"{given.directory} is not empty: name a directory that is new or empty")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # both end it in order
    try:
        status: int = given.do(given)
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted: no result; all that was started is ended\n")
        return INTERRUPTED
    return status


def _parser() -> argparse.ArgumentParser:
    from load import accounts
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
    accounts.add(command)
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

    found = done(given.directory, work)
    results = [found.full, found.easy]
    _keep(given.json, results)
    _tell(results)
    return _end(found.line(), verified=found.verified)


def _bench(given: argparse.Namespace) -> int:
    from load.scenarios import SCENARIOS

    return _for_the_report(given, [SCENARIOS[name] for name in BENCH])


def _all(given: argparse.Namespace) -> int:
    from load.scenarios import SCENARIOS

    return _for_the_report(given, list(SCENARIOS.values()))


def _run(given: argparse.Namespace) -> int:
    from load.scenarios import SCENARIOS, at

    return _end_of(_rounds(given, [at(SCENARIOS[given.scenario], given.rate, given.minutes)]))


def _for_the_report(given: argparse.Namespace, scenarios: Sequence[Scenario]) -> int:
    """Rounds that count go into docs/."""
    from load import kept, report

    results = _rounds(given, scenarios)
    kept.keep_rounds([result for result in results if result.verified])
    report.write(kept.read())
    return _end_of(results)


def _rounds(given: argparse.Namespace, scenarios: Sequence[Scenario]) -> list[Result]:
    from load.bench import several

    def work(directory: Path, say: Say) -> Coroutine[Any, Any, list[Result]]:
        return several(scenarios, directory, say, lambda results: _keep(given.json, results))

    return done(given.directory, work)


def _end_of(results: Sequence[Result]) -> int:
    from load import words

    _tell(results)
    verified = all(result.verified for result in results)
    return _end({"rounds": [words.short(result) for result in results], "verified": verified}, verified=verified)


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
