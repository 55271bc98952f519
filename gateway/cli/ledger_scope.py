"""`gateway ledger scope`: what went out during an incident."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.answers import AsJson, answer
from gateway.cli.desk_options import Index, OperatorName, Ticket, Until, Why, operator, span, table
from gateway.cli.errors import CommandError, Exit
from gateway.cli.kafka_options import Bootstrap, Prefix, Registry
from gateway.cli.ledger_findings import period
from gateway.cli.ledger_options import at_ledger, unread

if TYPE_CHECKING:
    from gateway.oncall.desk import Desk
    from gateway.oncall.ledger.scope import Scope, Share
    from gateway.oncall.ledger.source import Ledger

_PRIVATE = 0o600


def scope(
    *,
    since: Annotated[str, typer.Option("--since", help="From then on: 2026-04-01T00:00:00+09:00, or 90m, 2h, 3d ago.")],
    until: Until = "",
    subjects_to: Annotated[
        Path | None,
        typer.Option(
            "--subjects-to",
            help="Write the customers' references to this new file, CSV, for you alone. Audited: give the three below.",
        ),
    ] = None,
    operator_name: OperatorName = "",
    why: Why = "",
    ticket: Ticket = "",
    bootstrap: Bootstrap,
    prefix: Prefix,
    registry: Registry,
    index: Index = "",
    as_json: AsJson = False,
) -> None:
    """Say what went out to GeNiE in a time, for the report of an incident (APPI art. 26): whose, what, how much.

    An event is counted if an announcement of it was live in that time: nothing is sent without one. What surely
    reached GeNiE and what may have is told apart, and so is what was announced and has no record yet. Exit status 1 if
    anything of that time can't be read: then it is not all.

    Example: gateway ledger scope --since 2026-04-01T02:00:00+09:00 --until 2026-04-01T03:00:00+09:00
    """
    from gateway.oncall import times
    from gateway.oncall.audit import Deed, audited
    from gateway.oncall.ledger.scope import scope as look

    start, end = span(since, until)
    begin, finish = start or 0, times.now_ms() if end is None else end
    who = None
    if subjects_to is not None:
        who = operator(operator_name, why, ticket)
        if subjects_to.exists():
            raise _kept(subjects_to)

    async def do(desk: Desk, ledger: Ledger) -> tuple[Scope, int, str]:
        found = await look(desk, ledger, begin, finish)
        if who is not None:
            await audited(desk, who, Deed("ledger scope --subjects-to", count=len(found.subjects)))
        return found, ledger.unreadable, ledger.told

    found, unreadable, told = at_ledger(bootstrap, prefix, registry, index, do)
    if subjects_to is not None:
        _write(subjects_to, found)
    data = {
        "since": times.iso(begin),
        "until": times.iso(finish),
        **_data(found),
        "unreadable": unreadable,
        "source": told,
    }
    lines = [f"went out to GeNiE {period(begin, finish)}", "", *_lines(found, subjects_to)]
    lines += [line for line in (unread(unreadable), told) if line]
    answer("\n".join(lines), data, as_json=as_json)
    if unreadable or found.unreadable_intents:
        raise typer.Exit(Exit.FOUND_WRONG)


def _lines(found: Scope, subjects_to: Path | None) -> Iterator[str]:
    from gateway.core.reasons import Transmitted
    from gateway.oncall.ledger.scope import Counted

    surely, perhaps = found.shares[Transmitted.YES], found.shares[Transmitted.UNKNOWN]
    yield f"reached GeNiE: {_events(surely.events)} of {_customers(surely)}"
    yield f"may have reached it: {_events(perhaps.events)} of {_customers(perhaps)}"
    yield f"customers in all: {len(found.subjects):,}{f', listed in {subjects_to}' if subjects_to else ''}"
    for each in Counted:
        names = sorted(surely.counts[each].keys() | perhaps.counts[each].keys())
        rows = [(name, f"{surely.counts[each][name]:,}", f"{perhaps.counts[each][name]:,}") for name in names]
        if rows:
            yield ""
            yield table((each.value, "reached", "may have"), rows, right=("reached", "may have"))
    for (ref, name, address, representative), events in sorted(found.recipients.items()):
        yield ""
        yield f"recipient: {ref}, {name}, {address}, {representative}: {_events(events)}"
    yield ""
    yield from _notes(found)


def _notes(found: Scope) -> Iterator[str]:
    """What the numbers do not say by themselves."""
    from gateway.core.reasons import Transmitted
    from gateway.oncall import times

    again = sum(share.again for share in found.shares.values())
    nameless = sum(share.nameless for share in found.shares.values())
    if found.shares[Transmitted.UNKNOWN].events:
        yield "`gateway ledger reconcile` asks GeNiE what it has of those that may have reached it."
    if nameless:
        yield (
            f"of these, without a customer's reference in the ledger, so not among the customers: {_events(nameless)}. "
            "Their inputs could not be read when they were settled."
        )
    if found.unsettled:
        yield (
            f"NOT in this: announced in that time, without a ledger record yet: {_events(found.unsettled)}. They may "
            "have gone out. Ask again when the lanes have settled (`gateway lanes show`)."
        )
    if again:
        yield (
            f"of these, announced again after that time: {_events(again)}. Which sending reached GeNiE can't be told: "
            "perhaps only the later one."
        )
    if found.not_sent:
        yield f"announced in that time, but did not reach GeNiE, says the ledger: {_events(found.not_sent)}"
    if found.intents_begin is not None:
        yield (
            f"the topic of announcements begins at {times.shown(found.intents_begin)}: before, the last announcement "
            "of each event counts as the ledger has it, and what has no ledger record can't be told"
        )
    if found.unreadable_intents:
        yield f"NOT in this: announcements that can't be read: {found.unreadable_intents:,}"


def _events(count: int) -> str:
    return f"{count:,} {'event' if count == 1 else 'events'}"


def _customers(share: Share) -> str:
    count = len(share.subjects)
    return f"{count:,} {'customer' if count == 1 else 'customers'}"


def _data(found: Scope) -> dict[str, Any]:
    from gateway.oncall import times

    shares = {
        transmitted.code: {
            "events": share.events,
            "subjects": len(share.subjects),
            "without_subject": share.nameless,
            "announced_again_later": share.again,
            **{f"by_{each.value}": dict(sorted(counts.items())) for each, counts in share.counts.items()},
        }
        for transmitted, share in found.shares.items()
    }
    names = ("id", "name", "address", "representative")
    recipients = [
        {**dict(zip(names, recipient, strict=True)), "events": events}
        for recipient, events in sorted(found.recipients.items())
    ]
    return {
        "transmitted": shares,
        "subjects": len(found.subjects),
        "recipients": recipients,
        "without_ledger_record": found.unsettled,
        "announced_not_sent": found.not_sent,
        "announcements_begin": None if found.intents_begin is None else times.iso(found.intents_begin),
        "unreadable_announcements": found.unreadable_intents,
    }


def _write(path: Path, found: Scope) -> None:
    from gateway.core.reasons import Transmitted

    surely, perhaps = found.shares[Transmitted.YES].subjects, found.shares[Transmitted.UNKNOWN].subjects
    rows = [(subject, surely[subject], perhaps[subject]) for subject in sorted(found.subjects)]
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
    except FileExistsError:
        raise _kept(path) from None
    except OSError as error:
        raise CommandError(Exit.WRONG_USE, f"--subjects-to {path}: {error.strerror}") from error
    try:
        with os.fdopen(number, "w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("subject_ref", "reached_genie", "may_have_reached_it"), *rows])
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        with suppress(OSError):
            path.unlink()
        raise CommandError(Exit.WRONG_USE, f"--subjects-to {path}: {error.strerror}") from error


def _kept(path: Path) -> CommandError:
    return CommandError(Exit.WRONG_USE, f"--subjects-to {path}: there is such a file; it is kept. Name a new one.")
