"""Options of the commands that ask the ledger, and how such a command gets at it.

Must not know what any command asks.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from gateway.cli import completions
from gateway.cli.desk_options import at_desk
from gateway.cli.errors import CommandError, Exit

if TYPE_CHECKING:
    from gateway.oncall.desk import Desk
    from gateway.oncall.ledger.source import Ledger, Wanted

Subjects = Annotated[
    list[str] | None, typer.Option("--subject", help="Of this customer, by subject_ref; may be repeated.")
]
Inputs = Annotated[
    list[str] | None,
    typer.Option("--input", help="About this input, topic:partition:offset, replays included; may be repeated."),
]
EventIds = Annotated[list[str] | None, typer.Option("--event-id", help="Of this event; may be repeated.")]
Keys = Annotated[list[str] | None, typer.Option("--key", help="With this idempotency key; may be repeated.")]
Outcomes = Annotated[
    list[str] | None,
    typer.Option("--outcome", autocompletion=completions.outcomes, help="That ended so; may be repeated."),
]
Reasons = Annotated[
    list[str] | None,
    typer.Option("--reason", autocompletion=completions.reasons, help="For this reason; may be repeated."),
]
Sent = Annotated[
    list[str] | None,
    typer.Option(
        "--transmitted", autocompletion=completions.transmitted, help="Whether GeNiE has it: yes, no, unknown."
    ),
]

T = TypeVar("T")


def wanted(
    since: int | None,
    until: int | None,
    *,
    subjects: Iterable[str] | None = None,
    inputs: Iterable[str] | None = None,
    event_ids: Iterable[str] | None = None,
    keys: Iterable[str] | None = None,
    outcomes: Iterable[str] | None = None,
    reasons: Iterable[str] | None = None,
    transmitted: Iterable[str] | None = None,
) -> Wanted:
    """What was asked for; a word that no record can have is a mistake, not an empty answer."""
    from gateway.oncall.ledger.source import Wanted

    return Wanted(
        since=since,
        until=until,
        subjects=_all(subjects),
        inputs=frozenset(map(_place, inputs)) if inputs else None,
        event_ids=_all(event_ids),
        keys=_all(keys),
        outcomes=_closed("--outcome", outcomes, completions.outcomes()),
        reasons=_closed("--reason", reasons, completions.reasons()),
        transmitted=_closed("--transmitted", transmitted, completions.transmitted()),
    )


def at_ledger(
    bootstrap: str,
    prefix: str,
    registry: str,
    index: str,
    do: Callable[[Desk, Ledger], Coroutine[Any, Any, T]],
) -> T:
    """What `do` answers at the open ledger."""
    from gateway.oncall.ledger.source import open_ledger

    async def doing(desk: Desk) -> T:
        async with open_ledger(desk, index) as ledger:
            return await do(desk, ledger)

    return at_desk(bootstrap, prefix, registry, doing)


def unread(records: int) -> str:
    """The sentence about records that could not be read; empty if there are none."""
    if not records:
        return ""
    return (
        f"NOT in this: {records:,} records of the ledger topic that can't be read. `gateway ledger verify` names them."
    )


def _all(values: Iterable[str] | None) -> frozenset[str] | None:
    return frozenset(values) if values else None


def _closed(option: str, values: Iterable[str] | None, offer: completions.Offer) -> frozenset[str] | None:
    known = {word for word, _ in offer}
    for value in values or ():
        if value not in known:
            raise CommandError(Exit.WRONG_USE, f"{option} {value}: give one of {', '.join(sorted(known))}")
    return _all(values)


def _place(text: str) -> tuple[str, int, int]:
    topic, *numbers = text.rsplit(":", 2)
    if not topic or len(numbers) != 2 or not all(number.isdecimal() for number in numbers):
        raise CommandError(Exit.WRONG_USE, f"--input {text}: give topic:partition:offset")
    return topic, int(numbers[0]), int(numbers[1])
