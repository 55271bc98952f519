"""Options of the commands for on-call and the privacy desk, and how such a command gets at the topics.

Must not know what any command does there.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from gateway.cli.errors import CommandError, Exit
from gateway.cli.kafka_options import ask_kafka, connect, login_at

if TYPE_CHECKING:
    from gateway.kafka.scan import Tell
    from gateway.oncall.audit import Operator
    from gateway.oncall.desk import Desk

TELL_EVERY_S = 5.0  # where nobody watches: a line now and then

OperatorName = Annotated[
    str,
    typer.Option(
        "--operator", envvar=["GATEWAY_OPERATOR", "USER"], show_default=False, help="Who asks: goes into the audit."
    ),
]
Why = Annotated[str, typer.Option("--reason", help="Why, in your words, without personal data: goes into the audit.")]
Ticket = Annotated[str, typer.Option("--ticket", help="The ticket it belongs to: goes into the audit.")]
Since = Annotated[
    str,
    typer.Option("--since", show_default=False, help="From then on: 2026-04-01T00:00:00+09:00, or 90m, 2h, 3d ago."),
]
Until = Annotated[str, typer.Option("--until", show_default=False, help="Before then; the same forms.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it without being asked again.")]
Index = Annotated[
    str,
    typer.Option(
        "--index",
        envvar="GATEWAY_DESK__INDEX_URL",
        show_default=False,
        help="Database that `gateway ledger index` fills; none: the one at its usual place, else the topic alone.",
    ),
]

T = TypeVar("T")


def at_desk(
    bootstrap: str,
    prefix: str,
    registry: str,
    do: Callable[[Desk], Coroutine[Any, Any, T]],
    refusals: tuple[type[Exception], ...] = (),
) -> T:
    """What `do` answers at the open topics; `refusals` are errors of its own that say what is wrong (status 1)."""
    from gateway.kafka.names import TopicNames
    from gateway.kafka.registry import NotRegisteredError, RegistryAway
    from gateway.kafka.taster import TasterFailedError
    from gateway.oncall.desk import open_desk
    from gateway.oncall.ledger.source import IndexAwayError, IndexUnfitError
    from gateway.settings import state_directory

    async def doing() -> T:
        try:
            connection, names = connect(bootstrap), TopicNames(prefix)
            login, directory = login_at(registry), state_directory()
            async with open_desk(connection, names, registry or None, telling(), directory, login) as desk:
                return await do(desk)
        except (RegistryAway, IndexAwayError) as error:
            raise CommandError(Exit.UNREACHABLE, str(error)) from error

    return ask_kafka(doing(), (IndexUnfitError, NotRegisteredError, TasterFailedError, *refusals))


def operator(name: str, reason: str, ticket: str) -> Operator:
    """Who asks, or the mistake in it."""
    from gateway.oncall.audit import Operator

    try:
        return Operator(name, reason, ticket)
    except ValueError as error:
        raise CommandError(Exit.WRONG_USE, f"--{error}") from None


def moment(option: str, text: str) -> int | None:
    """The time that was typed, ms; None if none was."""
    from gateway.oncall import times

    if not text:
        return None
    try:
        return times.parse_time(text, times.now_ms())
    except ValueError:
        raise CommandError(
            Exit.WRONG_USE,
            f"{option} {text}: give a time with its zone, such as 2026-04-01T00:00:00+09:00, or 90m, 2h, 3d ago",
        ) from None


def span(since: str, until: str) -> tuple[int | None, int | None]:
    """The time from --since to before --until, ms. In an empty one nothing is, and all would seem to be well."""
    from gateway.oncall import times

    start, end = moment("--since", since), moment("--until", until)
    if start is not None and start >= (times.now_ms() if end is None else end):
        raise CommandError(Exit.WRONG_USE, f"--since {since} is not before --until {until or 'now'}")
    return start, end


def telling() -> Tell:
    """How far a long reading is: one line that is written over on a terminal, else a line now and then."""
    told_at = time.monotonic()

    def tell(topic: str, read: int, whole: int) -> None:
        nonlocal told_at
        if sys.stderr.isatty():
            end = "\r\x1b[K" if read >= whole else ""
            print(f"\r\x1b[K{topic}: {read:,} of {whole:,} read", end=end, file=sys.stderr, flush=True)
        elif read < whole and time.monotonic() - told_at >= TELL_EVERY_S:
            told_at = time.monotonic()
            print(f"{topic}: {read:,} of {whole:,} read", file=sys.stderr, flush=True)

    return tell


def table(head: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[str] = ()) -> str:
    """Aligned columns, two spaces between them; the columns named in `right` to the right. No colours, no frames."""
    from rich.cells import cell_len

    lines = [list(head), *(list(row) for row in rows)]
    widths = [max(cell_len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            " " * (width - cell_len(cell)) + cell if name in right else cell + " " * (width - cell_len(cell))
            for name, cell, width in zip(head, line, widths, strict=True)
        ).rstrip()
        for line in lines
    )
