"""`gateway ledger index`: the ledger in a database, so that years of it are asked in seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.answers import AsJson, answer
from gateway.cli.desk_options import TELL_EVERY_S, OperatorName, Ticket, Why, Yes, at_desk, operator
from gateway.cli.errors import CommandError, Exit
from gateway.cli.kafka_options import Bootstrap, Prefix, Registry

if TYPE_CHECKING:
    from gateway.oncall.desk import Desk
    from gateway.oncall.ledger.contracts import Mapped
    from gateway.oncall.ledger.indexing import Indexed

Url = Annotated[
    str,
    typer.Option(
        "--index",
        envvar="GATEWAY_DESK__INDEX_URL",
        show_default="a SQLite file of yours, under XDG_STATE_HOME",
        help="sqlite:////path/to/file, or postgresql://user@host/database with the password in ~/.pgpass.",
    ),
]


def index(
    *,
    url: Url = "",
    once: Annotated[
        bool, typer.Option("--once", help="End where the topic ends now, instead of following it.")
    ] = False,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Fill it anew from the topic.")] = False,
    contracts: Annotated[
        Path | None,
        typer.Option(
            "--import-contracts",
            exists=True,
            dir_okay=False,
            help="Take in whose each contract is, and index nothing: CSV, first line contract_ref,subject_ref.",
        ),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="With --import-contracts: a contract may go to another customer.")
    ] = False,
    yes: Yes = False,
    operator_name: OperatorName = "",
    reason: Why = "",
    ticket: Ticket = "",
    bootstrap: Bootstrap,
    prefix: Prefix,
    registry: Registry,
    as_json: AsJson = False,
) -> None:
    """Follow the ledger topic into a database, each record exactly once; the other ledger commands then use it.

    Run it as a service, or with --once from a timer; several at once do no harm. It goes on where the index ends.
    What came later than the index is read from the topic, so its answers are never stale. A record that can't be read
    is tried again at each start, every half a minute, and whenever it is asked for. --rebuild and --import-contracts
    go into the audit.

    Example: gateway ledger index --once
    """
    given = None if contracts is None else _read(contracts)
    by = operator(operator_name, reason, ticket) if rebuild or contracts else None

    async def do(desk: Desk) -> tuple[dict[str, Any], str]:
        from gateway.oncall.audit import Deed, audited
        from gateway.oncall.ledger.place import usual_url
        from gateway.oncall.ledger.tables import Database

        database = Database(url or usual_url(desk), fill=True)
        try:
            if given is not None and by is not None:
                await audited(desk, by, Deed("ledger index --import-contracts", count=len(given)))
                return await _import(desk, database, given, replace=replace)
            if by is not None:
                await audited(desk, by, Deed("ledger index --rebuild"))
            return await _fill(desk, database, once=once, rebuild=rebuild, lose=yes)
        finally:
            database.close()

    from gateway.oncall.ledger.following import TopicMadeAnewError

    try:
        data, text = at_desk(bootstrap, prefix, registry, do, (TopicMadeAnewError,))
    except ImportError as error:
        raise CommandError(
            Exit.WRONG_USE, f"the package {error.name} is missing: install the gateway with its extra `desk`"
        ) from error
    answer(text, data, as_json=as_json)


async def _fill(desk: Desk, database: Any, *, once: bool, rebuild: bool, lose: bool) -> tuple[dict[str, Any], str]:
    from gateway.oncall.ledger.indexing import Indexed, RebuildLosesError, and_on, claim, index_of, up_to_the_end

    indexed = Indexed()
    index = await index_of(desk, database)
    try:
        await claim(desk, index, rebuild=rebuild, lose=lose)
    except RebuildLosesError as error:
        raise CommandError(Exit.FOUND_WRONG, str(error)) from None
    try:
        await up_to_the_end(desk, index, indexed)
        if not once:
            print(f"{_line(indexed, index.where)}\nfollowing; Ctrl-C ends it", file=sys.stderr, flush=True)
            await and_on(desk, index, indexed, _telling(indexed, index.where))
    except BaseException:
        begin = "\r\x1b[K" if sys.stderr.isatty() else ""
        print(f"{begin}{_line(indexed, index.where)}", file=sys.stderr, flush=True)  # that is in, however it ends
        raise
    data = {
        "index": index.where,
        "records": indexed.records,
        "unreadable": dict(indexed.unreadable),
        "read_at_last": indexed.at_last,
        "gone": indexed.gone,
    }
    return data, _line(indexed, index.where)


async def _import(desk: Desk, database: Any, given: Mapped, *, replace: bool) -> tuple[dict[str, Any], str]:
    from gateway.oncall.ledger.contracts import BadLinesError, import_list
    from gateway.oncall.ledger.indexing import claim, index_of

    index = await index_of(desk, database)
    await claim(desk, index, rebuild=False, lose=False)
    try:
        done = import_list(database, given, replace=replace)
    except BadLinesError as error:
        raise CommandError(Exit.FOUND_WRONG, str(error)) from None
    data = {"index": index.where, "new": done.new, "known": done.known, "replaced": done.replaced}
    return data, (
        f"{index.where}: {done.new:,} contracts new, {done.known:,} known already, "
        f"{done.replaced:,} given to another customer"
    )


def _read(path: Path) -> Mapped:
    try:
        from gateway.oncall.ledger.contracts import BadLinesError, read_list
    except ImportError as error:
        raise CommandError(
            Exit.WRONG_USE, f"the package {error.name} is missing: install the gateway with its extra `desk`"
        ) from error
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            return read_list(lines)
    except BadLinesError as error:
        raise CommandError(Exit.FOUND_WRONG, f"{path}: {error}") from None
    except UnicodeDecodeError:
        raise CommandError(Exit.FOUND_WRONG, f"{path}: no UTF-8") from None
    except OSError as error:
        raise CommandError(Exit.WRONG_USE, f"{path}: {error.strerror}") from error


def _line(indexed: Indexed, where: str) -> str:
    unreadable = ", ".join(f"{count:,} {reason}" for reason, count in sorted(indexed.unreadable.items()))
    more = [
        f"can't be read: {unreadable} (they are tried again)" if unreadable else "",
        f"{indexed.at_last:,} that could not be read before" if indexed.at_last else "",
        f"gone from the topic before they were indexed: {indexed.gone:,} offsets" if indexed.gone else "",
    ]
    return "; ".join([f"{where}: {indexed.records:,} records indexed", *filter(None, more)])


def _telling(indexed: Indexed, where: str) -> Callable[[], None]:
    """On a terminal one line that is written over, else a line now and then."""
    told_at = time.monotonic()

    def tell() -> None:
        nonlocal told_at
        if sys.stderr.isatty():
            print(f"\r\x1b[K{_line(indexed, where)}", end="", file=sys.stderr, flush=True)
        elif time.monotonic() - told_at >= TELL_EVERY_S:
            told_at = time.monotonic()
            print(_line(indexed, where), file=sys.stderr, flush=True)

    return tell
