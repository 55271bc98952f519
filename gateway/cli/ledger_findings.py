"""How `gateway ledger verify` and `reconcile` show what they found. Must not know how it is found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.errors import CommandError, Exit

if TYPE_CHECKING:
    from gateway.oncall.ledger.findings import Findings, Kind

State = Annotated[
    Path | None,
    typer.Option(
        "--state",
        dir_okay=False,
        show_default=False,
        help="Keep in this file how far it is: broken off, the same command goes on from there.",
    ),
]
Examples = Annotated[
    int, typer.Option("--examples", min=0, max=100_000, help="How many of each kind are listed; --json lists all.")
]


def listed(findings: Findings, examples: int) -> Iterator[str]:
    """Each kind that was found, with what it means, what to do, and some of them."""
    from gateway.oncall.ledger.findings import Kind

    for kind in Kind:
        count = findings.counts[kind.code]
        if not count:
            continue
        yield ""
        yield f"{kind.code}: {count:,}. {kind.sentence}"
        yield f"  {kind.remedy}"
        yield from some(
            [f"{each.place}{f'  {each.what}' if each.what else ''}" for each in findings.of(kind)], count, examples
        )


def some(lines: Sequence[str], count: int, examples: int) -> Iterator[str]:
    """The first of them, and how many more there are."""
    yield from (f"  - {line}" for line in lines[:examples])
    if count > examples:
        yield f"  and {count - min(examples, len(lines)):,} more"


def found(findings: Findings) -> dict[str, Any]:
    """The same for a program."""
    from gateway.oncall.ledger.findings import Kind

    return {kind.code: _found(findings, kind) for kind in Kind if findings.counts[kind.code]}


def _found(findings: Findings, kind: Kind) -> dict[str, Any]:
    each = [{"place": one.place, "what": one.what} for one in findings.of(kind)]
    return {"count": findings.counts[kind.code], "means": kind.sentence, "do": kind.remedy, "listed": each}


def period(since: int | None, until: int | None) -> str:
    """From when to when."""
    from gateway.oncall import times

    begin = "the beginning" if since is None else times.shown(since)
    return f"from {begin} to {'now' if until is None else times.shown(until)}"


def going_on(state: Path | None) -> str:
    """What is said to who breaks it off."""
    if state is None:
        return "broken off; with --state FILE it could be gone on with"
    return f"broken off; the same command goes on from {state}"


def refused(error: Exception) -> CommandError:
    """A state file that can't be used."""
    return CommandError(Exit.WRONG_USE, str(error))
