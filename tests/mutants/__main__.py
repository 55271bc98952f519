"""`python -m tests.mutants [core module ...]`: is every change of the core noticed by a test? Ends in one line of JSON.

An interrupted run goes on where it was, as long as nothing has changed that a verdict depends on. What survives is
shown; `mutmut show NAME` and `mutmut browse` show more. Exit status 1 if fewer than nine in ten are caught.
"""

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence

from tests.mutants import anew, equivalent, library
from tests.mutants.library import Verdict

ENOUGH = 0.9
COULD_NOT, INTERRUPTED = 3, 130


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description="Mutation testing of gateway/core.")
    parser.add_argument("modules", nargs="*", metavar="module", help="of gateway/core: lane, order, ...; else all")
    modules = parser.parse_args(arguments).modules
    there = sorted(path.stem for path in (library.ROOT / library.CORE).glob("*.py") if path.stem != "__init__")
    for module in modules:
        if module not in there:
            parser.error(f"no core module is named {module!r}; there are: {', '.join(there)}")
    os.chdir(library.ROOT)  # mutmut's paths are all from there
    library.forget_what_is_outdated()
    if not library.run(modules):
        return COULD_NOT
    verdicts = library.verdicts(modules)
    if not verdicts:
        sys.stderr.write(f"error: nothing of {', '.join(modules) or library.CORE.name} can be changed: no verdict\n")
        return COULD_NOT
    try:
        verdicts |= anew.run([name for name, verdict in verdicts.items() if verdict is Verdict.SURVIVED])
    except anew.RenamedError as error:
        sys.stderr.write("error: give these tests plain ids: " + ", ".join(map(ascii, error.args)) + "\n")
        return COULD_NOT
    return _judge(verdicts, whole=not modules)


def _judge(verdicts: Mapping[str, Verdict], whole: bool) -> int:
    changes = {name: library.change(name) for name, verdict in verdicts.items() if verdict is Verdict.SURVIVED}
    excused, unused = equivalent.sort_out(changes)
    survived = sorted(changes.keys() - excused)
    _show(verdicts, excused)
    for name in survived:
        sys.stdout.write(f"{name}\n    {changes[name].was}\n    {changes[name].now}\n")
    for entry in unused if whole else ():
        sys.stdout.write(f"equivalent.toml: nothing survives any more that is {entry}\n")
    number = Counter(verdicts.values())
    caught = number[Verdict.CAUGHT] + number[Verdict.TIMED_OUT]
    told = {
        "mutants": len(verdicts),
        "caught": caught,
        "timed_out": number[Verdict.TIMED_OUT],
        "equivalent": len(excused),
        "survived": survived,
    }
    sys.stdout.write(f"{json.dumps(told, ensure_ascii=False)}\n")
    return int(caught < ENOUGH * len(verdicts) or (whole and bool(unused)))


def _show(verdicts: Mapping[str, Verdict], excused: frozenset[str]) -> None:
    """One line for each module."""
    counts: dict[str, Counter[str]] = {}
    for name, verdict in verdicts.items():
        counts.setdefault(library.module(name), Counter())["equivalent" if name in excused else verdict.value] += 1
    columns = [*(verdict.value for verdict in Verdict), "equivalent"]
    sys.stdout.write(f"{'core module':14}{'mutants':>10}{''.join(f'{column:>12}' for column in columns)}\n")
    for module, count in sorted(counts.items()):
        cells = "".join(f"{count[column]:>12}" for column in columns)
        sys.stdout.write(f"{module:14}{count.total():>10}{cells}\n")


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; the next run goes on from here\n")
        sys.exit(INTERRUPTED)
