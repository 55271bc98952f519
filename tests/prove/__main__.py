"""`python -m tests.prove [part of a name ...] [--json]`: each step of the protocol taken out, and what notices.

Ends in one line of JSON; exit status 1 if nothing notices that a step is gone. Of rows that are named, the stories are
told. `--write` writes docs/removals.md afterwards, in which rows that were not run keep what was found last; `--check`
says, running none, whether it has these rows.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from gateway.sandbox.broker import ArtifactError, Node, NodeError
from tests.prove import table
from tests.prove.rows import ROWS, Check, Row
from tests.prove.runner import Runner
from tests.prove.tools import Found

WRONG_USE, COULD_NOT, INTERRUPTED = 2, 3, 130

Results = dict[Row, Found]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.prove", description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of names of steps or removals; none means all")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each row instead of the table")
    written = parser.add_mutually_exclusive_group()
    written.add_argument("--write", action="store_true", help="write docs/removals.md")
    written.add_argument("--check", action="store_true", help="whether docs/removals.md has these rows; runs none")
    asked = parser.parse_args(arguments)
    if asked.check:
        return _check()
    rows = [row for row in ROWS if not asked.names or any(name in row.name for name in asked.names)]
    if not rows:
        sys.stderr.write(f"error: no row is named so; steps: {', '.join(_steps(ROWS))}\n")
        return WRONG_USE
    try:
        with _kafka(rows) as kafka:
            results = _run(rows, kafka, as_json=asked.json)
    except (ArtifactError, NodeError) as error:
        sys.stderr.write(f"error: {error}\n")
        return COULD_NOT
    if asked.write:
        now = {table.cells(row): table.length(found) for row, found in results.items()}
        table.PAGE.write_text(table.page(table.lengths_in(_written()) | now), "utf-8")
    if not asked.json:
        _show(results, stories=bool(asked.names))
    uncaught = [row.name for row, found in results.items() if found.red is None]
    steps = _steps(results)
    missed = _steps(row for row, found in results.items() if found.red is None)
    told = {"steps": len(steps), "caught": len(steps) - len(missed), "uncaught": uncaught}
    sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
    return 1 if uncaught else 0


def _run(rows: Sequence[Row], kafka: str | None, *, as_json: bool) -> Results:
    """All rows, in their order; each is told as it is done."""
    done: Results = {}
    for row, found in Runner(kafka, thoroughly=True).all(rows):
        done[row] = found
        if as_json:
            sys.stdout.write(json.dumps(_told(row, found), ensure_ascii=False) + "\n")
            sys.stdout.flush()
        else:
            sys.stderr.write(f"{len(done):>3} of {len(rows)}  {row.name}: {found.red or table.NOBODY}\n")
    return {row: done[row] for row in rows}


def _told(row: Row, found: Found) -> dict[str, object]:
    return {
        "letter": row.step.letter,
        "step": row.step.value,
        "removal": row.removal,
        "promises": [promise.value for promise in row.breaks],
        "noticed_by": table.noticed_by(row),
        "red": found.red,
        "length": table.length(found),
    }


def _show(results: Results, *, stories: bool) -> None:
    for row, found in results.items():
        if stories or found.red is None:
            story = "".join(f"{number:>4}  {line}\n" for number, line in enumerate(found.story, 1))
            sys.stdout.write(f"{row.name}\n{story}      broken: {found.red or table.NOBODY}\n\n")
    sys.stdout.write("\n".join(table.lines(results.items())) + "\n")


def _check() -> int:
    text = _written()
    if text == table.page(table.lengths_in(text)):
        return 0
    sys.stderr.write(f"{table.PAGE.name} has other rows than tests/prove: python -m tests.prove --write\n")
    return 1


def _written() -> str:
    return table.PAGE.read_text("utf-8") if table.PAGE.exists() else ""


def _steps(rows: Iterable[Row]) -> list[str]:
    return list(dict.fromkeys(row.step.value for row in rows))


@contextmanager
def _kafka(rows: Sequence[Row]) -> Iterator[str | None]:
    """A node, if a row needs one."""
    if not any(isinstance(row.by, Check) and row.by.needs_kafka for row in rows):
        yield None
        return
    with Node() as node:
        yield node.bootstrap


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
