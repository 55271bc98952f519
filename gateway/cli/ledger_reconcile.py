"""`gateway ledger reconcile`: whether GeNiE has exactly what the ledger says that it has."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.answers import AsJson, answer
from gateway.cli.desk_options import Index, Since, Until, span
from gateway.cli.errors import CommandError, Exit
from gateway.cli.kafka_options import Bootstrap, Group, Prefix, Registry
from gateway.cli.ledger_findings import Examples, State, found, going_on, listed, period, refused, some
from gateway.cli.ledger_options import at_ledger

if TYPE_CHECKING:
    from gateway.genie.client import GenieClient
    from gateway.oncall.desk import Desk
    from gateway.oncall.ledger.reconcile import Reconciled
    from gateway.oncall.ledger.source import Ledger

PerSecond = Annotated[
    float,
    typer.Option(
        "--per-second", min=0.01, max=100, help="Questions to GeNiE in a second, at most; each asks about 500 keys."
    ),
]
_CLAIMS = {
    "BODY": "say that GeNiE has this body",
    "SOMETHING": "say that GeNiE has the event, by another record",
    "NOTHING": "say that nothing of them stayed at GeNiE",
    "UNKNOWN": "say that nobody knows",
}


def reconcile(
    *,
    since: Since = "",
    until: Until = "",
    per_second: PerSecond = 5.0,
    state: State = None,
    examples: Examples = 20,
    index: Index = "",
    bootstrap: Bootstrap,
    prefix: Prefix,
    group: Group,
    registry: Registry,
    as_json: AsJson = False,
) -> None:
    """Ask GeNiE, by signed lookups, whether it has exactly what the ledger records of a time say, and nothing else.

    Nothing is sent but keys, and nothing changes at GeNiE. Each difference is listed with its input and what to do;
    where nobody knew whether GeNiE has an event, it is said what GeNiE says. It asks as the gateway does, so it needs
    the gateway's settings. Exit status 1 if anything differs or can't be read, 3 if GeNiE or Kafka can't be reached.

    Example: GATEWAY_CONFIG=gateway.toml gateway ledger reconcile --since 30d --state reconcile.state
    """
    from gateway.oncall.ledger.questions import GenieAwayError, GenieRefusesError, Questions
    from gateway.oncall.ledger.reconcile import Asked
    from gateway.oncall.ledger.reconcile import reconcile as look
    from gateway.oncall.ledger.standing import NoSuchGroupError
    from gateway.oncall.ledger.state import StateError

    asked = Asked(group, *span(since, until))

    async def do(desk: Desk, ledger: Ledger) -> Reconciled:
        try:
            async with _genie() as genie:
                questions = Questions(genie.try_look_up, per_second)
                return await look(desk, ledger, questions, asked, state, since=since, until=until)
        except StateError as error:
            raise refused(error) from None
        except GenieAwayError as error:
            raise CommandError(Exit.UNREACHABLE, f"{error} {_later(state)}") from None
        except (GenieRefusesError, NoSuchGroupError) as error:
            raise CommandError(Exit.FOUND_WRONG, str(error)) from None

    try:
        reconciled = at_ledger(bootstrap, prefix, registry, index, do)
    except KeyboardInterrupt:
        print(going_on(state), file=sys.stderr)
        raise
    answer("\n".join(_lines(reconciled, examples)), _data(reconciled), as_json=as_json)
    if reconciled.findings:
        raise typer.Exit(Exit.FOUND_WRONG)


@asynccontextmanager
async def _genie() -> AsyncIterator[GenieClient]:
    """GeNiE as the gateway's settings say."""
    from gateway.files import read_credentials
    from gateway.findings import NotReadyError, Severity
    from gateway.genie_login import genie_client
    from gateway.preflight import settings_in_full

    try:
        settings = settings_in_full()
    except NotReadyError as error:
        raise CommandError(Exit.WRONG_USE, str(error)) from None
    credentials, findings = read_credentials(settings)
    if credentials is None:
        wrong = [str(finding) for finding in findings if finding.severity is not Severity.WARNING]
        raise CommandError(Exit.WRONG_USE, "\n".join(wrong))
    client = genie_client(settings, credentials)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


def _later(state: Any) -> str:
    return f"The same command goes on from {state}." if state else ""


def _lines(reconciled: Reconciled, examples: int) -> Iterator[str]:
    asked, counts, findings = reconciled.asked, reconciled.counts, reconciled.findings
    yield f"ledger records appended {period(asked.since, asked.until)}: {counts['records']:,}"
    for name, words in _CLAIMS.items():
        yield f"  {reconciled.claims[name]:,} {words}"
    yield f"  {counts['without_key']:,} have no key: nothing of them can be at GeNiE"
    if counts["unreadable"]:
        yield f"  {counts['unreadable']:,} can't be read"
    yield f"GeNiE agrees with {counts['agree']:,} of them"
    if counts["explained"]:
        yield f"keys of others with which it agrees, by what other records say: {counts['explained']:,}"
    if counts["under_way"]:
        yield f"keys that are under way, announced and not settled yet: {counts['under_way']:,}"
    yield from listed(findings, examples)
    if counts["resolved"]:
        yield ""
        yield f"unknown to the ledger, and what GeNiE says: {counts['resolved']:,}"
        yield "  What GeNiE has: replay it, which asks and records it. What it has not: replay it if it is to go out."
        lines = [f"{each.place}  {each.what}; key {each.key}" for each in reconciled.resolved]
        yield from some(lines, counts["resolved"], examples)
    yield ""
    unreadable = findings.counts["unreadable"]
    differences = sum(findings.counts.values()) - unreadable
    where = " in what could be read" if unreadable else ""
    yield f"differences{where}: {differences:,}" if differences else f"no difference{where}"


def _data(reconciled: Reconciled) -> dict[str, Any]:
    from gateway.oncall import times

    counts, asked = reconciled.counts, reconciled.asked
    resolved = [
        {"place": each.place, "idempotency_key": each.key, "received": each.received, "what": each.what}
        for each in reconciled.resolved
    ]
    return {
        "since": None if asked.since is None else times.iso(asked.since),
        "until": None if asked.until is None else times.iso(asked.until),
        "records": counts["records"],
        "claims": {name.lower(): reconciled.claims[name] for name in _CLAIMS},
        "without_key": counts["without_key"],
        "unreadable": counts["unreadable"],
        "agree": counts["agree"],
        "explained": counts["explained"],
        "under_way": counts["under_way"],
        "requests": reconciled.requests,
        "findings": found(reconciled.findings),
        "resolved": {"count": counts["resolved"], "listed": resolved},
        "clean": not reconciled.findings,
    }
