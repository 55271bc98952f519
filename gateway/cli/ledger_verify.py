"""`gateway ledger verify`: whether the ledger says of each input what became of it, once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.answers import AsJson, answer
from gateway.cli.desk_options import Since, Until, at_desk, span, table
from gateway.cli.errors import CommandError, Exit
from gateway.cli.kafka_options import Bootstrap, Group, Prefix, Registry, set_or
from gateway.cli.ledger_findings import Examples, State, found, going_on, listed, period, refused, some

if TYPE_CHECKING:
    from gateway.oncall.desk import Desk
    from gateway.oncall.ledger.verify import Verified

KeyFile = Annotated[
    str,
    typer.Option(
        "--key-file",
        envvar="GATEWAY_KEYS__IDEMPOTENCY_KEY_FILE",
        default_factory=set_or("keys.idempotency_key_file", ""),
        show_default=False,
        help="The idempotency key: with it, each record's source_digest is compared with its input's value.",
    ),
]


def verify(
    *,
    since: Since = "",
    until: Until = "",
    key_file: KeyFile,
    state: State = None,
    examples: Examples = 20,
    bootstrap: Bootstrap,
    prefix: Prefix,
    group: Group,
    registry: Registry,
    as_json: AsJson = False,
) -> None:
    """Check the ledger against the inputs appended in a time: every delivered input has exactly one terminal record.

    Checked besides: no record is about an offset at which nothing was delivered; each announced batch has its outcomes;
    an event is PROVIDED once; no record contradicts itself; what is PARKED is on on-call's list until a replay settles
    it. With --since or --until the records of one event are compared as far as they are about these inputs. What a lane
    has not settled yet is open, not lost. Outcomes that nobody knows are listed apart: `gateway ledger reconcile` asks
    GeNiE. Exit status 1 if anything is wrong.

    Example: gateway ledger verify --since 3d --state verify.state
    """
    from gateway.oncall.ledger.standing import NoSuchGroupError
    from gateway.oncall.ledger.state import StateError
    from gateway.oncall.ledger.verify import Asked
    from gateway.oncall.ledger.verify import verify as look

    asked = Asked(group, *span(since, until), _key(key_file))

    async def do(desk: Desk) -> Verified:
        try:
            return await look(desk, asked, state, since=since, until=until)
        except StateError as error:
            raise refused(error) from None

    try:
        verified = at_desk(bootstrap, prefix, registry, do, (NoSuchGroupError,))
    except KeyboardInterrupt:
        print(going_on(state), file=sys.stderr)
        raise
    answer("\n".join(_lines(verified, examples)), _data(verified), as_json=as_json)
    if verified.findings:
        raise typer.Exit(Exit.FOUND_WRONG)


def _key(path: str) -> bytes | None:
    from gateway.secret_keys import SecretKeyError, read_secret

    try:
        return read_secret(Path(path)) if path else None
    except SecretKeyError as error:
        raise CommandError(Exit.WRONG_USE, f"--key-file {error}") from None


def _lines(verified: Verified, examples: int) -> Iterator[str]:
    asked, findings = verified.asked, verified.findings
    yield f"inputs appended {period(asked.since, asked.until)}"
    yield ""
    head = ("lane", "inputs", "settled", "open", "gone", "committed")
    yield table(head, [tuple(map(_cell, row.values())) for row in _lanes(verified)], right=head[1:])
    yield ""
    yield f"ledger records read: {verified.counts['ledger']:,}"
    outcomes = ", ".join(f"{name} {count:,}" for name, count in sorted(verified.outcomes.items())) or "none"
    yield f"outcomes of these inputs: {outcomes}"
    yield from _notes(verified)
    yield from listed(findings, examples)
    if verified.unresolved_count:
        yield ""
        yield f"unresolved: {verified.unresolved_count:,}. Nobody knows whether GeNiE has these."
        yield "  `gateway ledger reconcile` asks GeNiE; a replay settles them."
        lines = [f"{each.place}  announced {_when(each.announced_at)}, key {each.key}" for each in verified.unresolved]
        yield from some(lines, verified.unresolved_count, examples)
    yield ""
    yield f"findings: {sum(findings.counts.values()):,}" if findings else "nothing wrong"


def _notes(verified: Verified) -> Iterator[str]:
    """What was left out, and why."""
    counts = verified.counts
    if verified.asked.key is None:
        yield "not compared: source_digest with the inputs' values, for want of --key-file"
    if verified.asked.since is not None or verified.asked.until is not None:
        yield (
            "an event PROVIDED twice is found only if both records are about these inputs, and what a replay that was "
            "asked for at another time has resolved is listed as unresolved; without --since and --until all are "
            "compared"
        )
    if counts["target_gone"]:
        yield f"not compared: source_digest of {counts['target_gone']:,} replays, whose originals have left their topic"
    if any(lane.gone for lane in verified.lanes):
        yield "gone: inputs that have left their topic; of them only the ledger's own word was checked"
    for lane in verified.lanes:
        if lane.gone_unsettled:
            yield (
                f"gone from {lane.name}, without a ledger record: {lane.gone_unsettled:,} offsets. (Markers of "
                "transactions look the same.)"
            )
    if counts["other_cluster"]:
        yield f"left out: {counts['other_cluster']:,} ledger records about inputs of another Kafka cluster"
    if others := sum(lane.other_log for lane in verified.lanes):
        yield f"left out: {others:,} ledger records about earlier topics of the same names"
    if unknown := [lane.name for lane in verified.lanes if lane.standing.watermark is None]:
        yield f"no offset of a gateway is committed for {', '.join(unknown)}: what is not settled there counts as open"


def _lanes(verified: Verified) -> list[dict[str, Any]]:
    return [
        {
            "lane": lane.name,
            "inputs": len(lane.delivered),
            "settled": len(lane.settled),
            "open": lane.open,
            "gone": lane.gone,
            "committed": lane.standing.watermark,
        }
        for lane in verified.lanes
    ]


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _when(at: int | None) -> str:
    from gateway.oncall import times

    return "at an unknown time" if at is None else times.shown(at)


def _data(verified: Verified) -> dict[str, Any]:
    unresolved = [
        {"place": each.place, "idempotency_key": each.key, "announced_at": each.announced_at}
        for each in verified.unresolved
    ]
    return {
        "since": verified.asked.since,
        "until": verified.asked.until,
        "lanes": _lanes(verified),
        "ledger_records": verified.counts["ledger"],
        "outcomes": dict(sorted(verified.outcomes.items())),
        "digests_compared": verified.asked.key is not None,
        "notes": list(_notes(verified)),
        "findings": found(verified.findings),
        "unresolved": {"count": verified.unresolved_count, "listed": unresolved},
        "clean": not verified.findings,
    }
