"""`gateway ledger count`: how many records there are of each kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.answers import AsJson, answer
from gateway.cli.desk_options import Index, Since, Until, span, table
from gateway.cli.errors import CommandError, Exit
from gateway.cli.kafka_options import Bootstrap, Prefix, Registry
from gateway.cli.ledger_findings import period
from gateway.cli.ledger_options import Outcomes, Reasons, Sent, Subjects, at_ledger, unread, wanted

if TYPE_CHECKING:
    from gateway.oncall.desk import Desk
    from gateway.oncall.ledger.counting import By
    from gateway.oncall.ledger.source import Ledger

DEFAULT_BY = "outcome,reason,transmitted"


def count(
    *,
    by: Annotated[
        str, typer.Option("--by", help="What to count by: outcome, reason, event_type, day (in Japan), transmitted.")
    ] = DEFAULT_BY,
    since: Since = "",
    until: Until = "",
    subjects: Subjects = None,
    outcomes: Outcomes = None,
    reasons: Reasons = None,
    transmitted: Sent = None,
    bootstrap: Bootstrap,
    prefix: Prefix,
    registry: Registry,
    index: Index = "",
    as_json: AsJson = False,
) -> None:
    """Count the ledger's records by what you name. Times are those of the append to the ledger.

    Example: gateway ledger count --by day,outcome --since 7d
    """
    from gateway.oncall import times
    from gateway.oncall.ledger import counting

    groups = _groups(by)
    asked = wanted(
        *span(since, until),
        subjects=subjects,
        outcomes=outcomes,
        reasons=reasons,
        transmitted=transmitted,
    )

    async def do(desk: Desk, ledger: Ledger) -> tuple[Mapping[tuple[str, ...], int], int, str]:
        counts = await counting.count(ledger, groups, asked)
        return counts, ledger.unreadable, ledger.told

    counts, unreadable, told = at_ledger(bootstrap, prefix, registry, index, do)
    names = [each.value for each in groups]
    total = sum(counts.values())
    rows = sorted(counts.items())
    data: dict[str, Any] = {
        "since": None if asked.since is None else times.iso(asked.since),
        "until": None if asked.until is None else times.iso(asked.until),
        "counts": [{**dict(zip(names, group, strict=True)), "records": records} for group, records in rows],
        "records": total,
        "unreadable": unreadable,
        "source": told,
    }
    shown = [(*group, f"{records:,}") for group, records in rows]
    lines = [f"records appended {period(asked.since, asked.until)}", ""]
    lines += [table([*names, "records"], shown, right=["records"]), "", f"records in all: {total:,}"]
    lines += [sentence for sentence in (unread(unreadable), told) if sentence]
    answer("\n".join(lines), data, as_json=as_json)


def _groups(by: str) -> list[By]:
    from gateway.oncall.ledger.counting import By

    known = [each.value for each in By]
    names = by.split(",")
    if len(set(names)) != len(names) or not set(names) <= set(known):
        raise CommandError(Exit.WRONG_USE, f"--by {by}: give some of {', '.join(known)}, each once, with commas")
    return [By(name) for name in names]
