"""The rows as people read them: on a terminal, and in docs/removals.md. Knows no process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from tests.model import removals
from tests.prove.rows import ROWS, TESTS, Check, Model, Row, Stories
from tests.prove.tools import Found

PAGE = TESTS.parent / "docs" / "removals.md"
NONE = "–"
NOBODY = "nothing notices"

_HEAD = """\
# What breaks without each step

Written by `python -m tests.prove --write`. `make prove` takes each step of the lane protocol out of the code, one at a
time, and looks whether something turns red; what takes seconds is part of `make test`.

The model checker explores every state of a small world around the real `core/lane.py` until a promise is broken (in
`make test`: until a rule is broken that keeps it). The number is the length of the shortest story: so many things
happen, from an empty world to the broken promise, each of them possible. `python -m tests.prove "open order"` tells
the story. A named test passes as it is, and in a process without the step it says itself that something is not so: an
error of another kind, or a test that hangs, is no proof. The tests of promises start real gateways without the step, on
a real Kafka. A story of the simulation must break the promise that the row names, and none with the step in place.
Where no promise breaks, the row says what the step is for.

"""
_COLUMNS = ("step", "what is taken out", "what breaks", "noticed by", "length")


def noticed_by(row: Row) -> str:
    """Tool and place."""
    match row.by:
        case Model():
            return f"model: {_world(row)}"
        case Stories(seeds):
            return f"simulation, {seeds} stories"
        case Check(name):
            return name


def length(found: Found) -> str:
    """Of the shortest way; or that nothing was noticed."""
    return NOBODY if found.red is None else found.length


def lines(results: Iterable[tuple[Row, Found]]) -> list[str]:
    """For a terminal, in columns."""
    cells = [("", "step", "taken out", "breaks", "noticed by", "length")]
    for row, found in results:
        broken = " ".join(str(promise.value) for promise in row.breaks) or NONE
        step = (f"({row.step.letter})", row.step.value)
        cells.append((*step, " + ".join(row.removals), broken, noticed_by(row), length(found)))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(map(str.ljust, line, widths)).rstrip() for line in cells]


def page(lengths: Mapping[str, str]) -> str:
    """docs/removals.md, given the length of each row by its other cells."""
    return _HEAD + "\n".join([*markdown(ROWS, lengths), ""])


def markdown(rows: Iterable[Row], lengths: Mapping[str, str]) -> Iterator[str]:
    """The table."""
    yield f"| {' | '.join(_COLUMNS)} |"
    yield "|---" * len(_COLUMNS) + "|"
    for row in rows:
        yield f"{cells(row)} | {lengths.get(cells(row), NOBODY)} |"


def cells(row: Row) -> str:
    """All of a row's line but its length."""
    broken = "; ".join(f"{promise.value}: {promise.sentence}" for promise in row.breaks) or f"none; {row.instead}"
    step = f"**({row.step.letter}) {row.step.value}**: {row.step.sentence}"
    match row.by:
        case Model():
            by = f"model checker, world “{_world(row)}”"
        case Stories():
            by = "simulation"
        case Check(name):
            by = f"[{name}](../{row.by.path.relative_to(TESTS.parent)})"
    return f"| {step} | {row.taken_out} | {broken} | {by}"


def lengths_in(text: str) -> dict[str, str]:
    """The lengths that a written table has, by the other cells of their rows."""
    rows = (line.removesuffix(" |").rpartition(" | ") for line in text.splitlines() if line.startswith("| **"))
    return {cells: length for cells, _, length in rows}


def _world(row: Row) -> str:
    return removals.FOUND_IN[row.removals[0]]
