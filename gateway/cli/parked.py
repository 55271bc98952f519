"""`gateway parked ...`: records set aside: which, why, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import completions
from gateway.cli.answers import AsJson, answer
from gateway.cli.desk_options import OperatorName, Since, Ticket, Until, Why, at_desk, operator, span, table
from gateway.cli.errors import CommandError, Exit
from gateway.cli.kafka_options import Bootstrap, Prefix, Registry
from gateway.cli.paragraphs import counted, labelled
from gateway.cli.revealed import Reveal, Unmasked, revealed_data, revealed_text

if TYPE_CHECKING:
    from gateway.oncall.audit import Operator
    from gateway.oncall.desk import Desk
    from gateway.oncall.ledger.source import Place
    from gateway.oncall.parked import ParkedInput, Selection, Share, Shelf
    from gateway.oncall.reveal import Revealed

LIMIT = 50
LIMIT_MAX = 10_000  # so that a page fits in memory and JSON on a line
BY = {"reason": "REASON", "event_type": "TYPE", "producer": "PRODUCER", "lane": "INPUT PARTITION"}

app = typer.Typer(help="Records set aside: which, why, and what to do.", no_args_is_help=True)

Reason = Annotated[
    str,
    typer.Option(
        "--reason", show_default=False, autocompletion=completions.parked_reasons, help="Parked for this reason."
    ),
]
EventType = Annotated[
    str,
    typer.Option("--event-type", show_default=False, autocompletion=completions.event_types, help="Of this type."),
]
Subject = Annotated[str, typer.Option("--subject", show_default=False, help="Of this subject_ref.")]
Producer = Annotated[str, typer.Option("--producer", show_default=False, help="From this producing service.")]
Partition = Annotated[
    str, typer.Option("--partition", show_default=False, help="From this input partition, topic:partition.")
]


@app.command("list")
def list_(
    *,
    reason: Reason = "",
    event_type: EventType = "",
    subject: Subject = "",
    producer: Producer = "",
    partition: Partition = "",
    since: Since = "",
    until: Until = "",
    limit: Annotated[int, typer.Option(min=1, max=LIMIT_MAX, help="Show so many, the longest parked first.")] = LIMIT,
    bootstrap: Bootstrap,
    prefix: Prefix,
    registry: Registry,
    as_json: AsJson = False,
) -> None:
    """List what is set aside and was not resolved since. Times are of the first parking: --until 2h is older than 2 h.

    Example: gateway parked list --reason held --until 2h
    """
    from gateway.oncall import times

    wanted = _selection(reason, event_type, subject, producer, partition, since, until)

    async def do(desk: Desk) -> tuple[list[ParkedInput], int, int, Shelf]:
        from gateway.oncall.parked import shelve

        shelf = await shelve(desk)
        try:
            return shelf.page(wanted, limit), shelf.count(wanted), shelf.count(), shelf
        finally:
            shelf.close()

    page, of_these, in_all, shelf = at_desk(bootstrap, prefix, registry, do)
    now = times.now_ms()
    data = {"parked": [_data(each, now) for each in page], "shown": len(page), "selected": of_these, "all": in_all}
    answer(
        "\n".join([*_listed(page, of_these, in_all, now), *_told(shelf), *_next(page, reason)]),
        {**data, **_odd(shelf)},
        as_json=as_json,
    )


@app.command()
def stats(
    *,
    reason: Reason = "",
    event_type: EventType = "",
    subject: Subject = "",
    producer: Producer = "",
    partition: Partition = "",
    since: Since = "",
    until: Until = "",
    bootstrap: Bootstrap,
    prefix: Prefix,
    registry: Registry,
    as_json: AsJson = False,
) -> None:
    """Count what is set aside by reason, event type, producer and input partition, and say what each reason means.

    Example: gateway parked stats --since 24h
    """
    from gateway.oncall import times

    wanted, now = _selection(reason, event_type, subject, producer, partition, since, until), times.now_ms()

    async def do(desk: Desk) -> tuple[dict[str, list[Share]], int, int, Shelf]:
        from gateway.oncall.parked import shelve

        shelf = await shelve(desk)
        try:
            return {by: shelf.stats(wanted, by, now) for by in BY}, shelf.count(wanted), shelf.count(), shelf
        finally:
            shelf.close()

    shares, of_these, in_all, shelf = at_desk(bootstrap, prefix, registry, do)
    lines = [line for by, found in shares.items() if found for line in (_shares(BY[by], found, now), "")]
    if of_these:
        lines += [*(f"{share.name}: {_sentence(share.name)}" for share in shares["reason"]), ""]
    lines += [f"{of_these:,} selected, {in_all:,} parked in all", *_told(shelf)]
    if of_these:
        lines += ["next:", f"  gateway parked list --reason {shares['reason'][0].name}"]
    data = {by: [_share_data(share) for share in found] for by, found in shares.items()}
    answer("\n".join(lines), {**data, "selected": of_these, "all": in_all, **_odd(shelf)}, as_json=as_json)


@app.command()
def show(
    *,
    place: Annotated[str, typer.Argument(metavar="TOPIC:PARTITION:OFFSET", help="The input record.")],
    reveal: Reveal = False,
    unmasked: Unmasked = False,
    operator_name: OperatorName = "",
    why: Why = "",
    ticket: Ticket = "",
    bootstrap: Bootstrap,
    prefix: Prefix,
    registry: Registry,
    as_json: AsJson = False,
) -> None:
    """Say of one record what its reason means, what to do and until when. With --reveal also what is in it.

    --reveal shows the shape of each field, --unmasked the values; who looked, why and for which ticket is written to
    the audit before anything is fetched.
    Example: gateway parked show lease.payments:3:1204 --reveal --reason "which field is wrong?" --ticket INC-42
    """
    from gateway.oncall import times

    asked = _place(place)
    if unmasked and not reveal:
        raise CommandError(Exit.WRONG_USE, "--unmasked: it goes with --reveal, which says who looks and why")
    who = operator(operator_name, why, ticket) if reveal else None
    parked, revealed = at_desk(bootstrap, prefix, registry, partial(_show, asked, who, unmasked=unmasked))
    now = times.now_ms()
    data: dict[str, Any] = {**_data(parked, now), "means": _means(parked.reason), "check": _advice(parked.reason)[0]}
    lines = _one(parked, now)
    if who is not None:
        data["original"] = revealed_data(revealed)
        lines += ["", *revealed_text(revealed)]
    else:
        lines += ["next:", *(f"  {command}" for command in _commands(parked))]
    answer("\n".join(lines), data, as_json=as_json)


async def _show(
    asked: Place, who: Operator | None, desk: Desk, *, unmasked: bool
) -> tuple[ParkedInput, Revealed | None]:
    from gateway.oncall.parked import shelve
    from gateway.oncall.reveal import reveal

    shelf = await shelve(desk)
    try:
        parked, resolved_at = shelf.at(asked), shelf.resolved_at(asked)
    finally:
        shelf.close()
    if parked is None:
        raise CommandError(Exit.FOUND_WRONG, _not_parked(asked, resolved_at))
    if who is None:
        return parked, None
    return parked, await reveal(desk, who, "parked show", parked.input, parked.subject_ref, unmasked=unmasked)


def _selection(
    reason: str, event_type: str, subject: str, producer: str, partition: str, since: str, until: str
) -> Selection:
    from gateway.oncall.parked import Selection

    known = {"--reason": completions.parked_reasons(), "--event-type": completions.event_types()}
    for option, typed in (("--reason", reason), ("--event-type", event_type)):
        codes = [code for code, _ in known[option]]
        if typed and typed not in codes:
            raise CommandError(Exit.WRONG_USE, f"{option} {typed}: give one of {', '.join(codes)}")
    if partition and not partition.rpartition(":")[2].isdecimal():
        raise CommandError(Exit.WRONG_USE, f"--partition {partition}: give topic:partition, such as lease.payments:3")
    return Selection(
        reason or None,
        event_type or None,
        subject or None,
        producer or None,
        partition or None,
        *span(since, until),
    )


def _place(text: str) -> Place:
    from gateway.oncall.places import parse_place

    try:
        return parse_place(text)
    except ValueError as error:
        raise CommandError(Exit.WRONG_USE, f"{text}: {error}") from None


def _listed(page: list[ParkedInput], of_these: int, in_all: int, now: int) -> list[str]:
    from gateway.oncall.places import shown_place
    from gateway.oncall.times import lasted

    if not page:
        return [f"none of {in_all:,} parked records is so" if in_all else "nothing is parked"]
    head = ("INPUT", "REASON", "TYPE", "SUBJECT", "PRODUCER", "PARKED FOR", "AT GENIE", "REPLAYS", "INPUT KEPT")
    rows = [
        (
            shown_place(each.input),
            each.reason,
            each.event_type or "-",
            each.subject_ref or "-",
            each.producer or "-",
            lasted(now - each.since),
            each.transmitted,
            str(each.replays),
            _kept(each, now),
        )
        for each in page
    ]
    gone = sum(each.gone for each in page)
    lines = [table(head, rows, ("PARKED FOR", "REPLAYS", "INPUT KEPT")), ""]
    lines.append(f"{len(page):,} of {of_these:,} selected, {in_all:,} parked in all, the longest parked first")
    if len(page) < of_these:
        lines.append(f"more of them: --limit {min(of_these, LIMIT_MAX)}")
    if gone:
        told = f"{counted(gone, 'input is', 'inputs are')} gone and can't be replayed"
        lines.append(f"{told}: have the producer send the event again")
    return lines


def _kept(parked: ParkedInput, now: int) -> str:
    from gateway.oncall.times import lasted

    if parked.gone:
        return "gone"
    if parked.expires_at is None:
        return "there"
    return "may go now" if parked.expires_at <= now else lasted(parked.expires_at - now)


def _shares(name: str, shares: list[Share], now: int) -> str:
    from gateway.oncall.times import lasted

    head = (name, "RECORDS", "OLDEST", "NEWEST", "GENIE MAY HAVE", "INPUT GONE", "GONE IN 7 DAYS")
    rows = [
        (
            share.name or "-",
            f"{share.count:,}",
            lasted(now - share.oldest),
            lasted(now - share.newest),
            f"{share.unknown:,}",
            f"{share.gone:,}",
            f"{share.soon:,}",
        )
        for share in shares
    ]
    return table(head, rows, head[1:])


def _one(parked: ParkedInput, now: int) -> list[str]:
    from gateway.oncall.places import shown_place
    from gateway.oncall.times import lasted, shown

    check, _ = _advice(parked.reason)
    about = f"{parked.event_type or 'unknown type'} of {parked.subject_ref or 'an unknown subject'}"
    kept = "GeNiE has it" if parked.reason == "outcome_unknown" else "GeNiE got it, and did not keep it"
    at_genie = {"yes": kept, "no": "GeNiE does not have it", "unknown": "GeNiE may have it"}
    rows = [
        ("means", _means(parked.reason)),
        ("found", parked.detail),
        *(("check" if not at else "", each) for at, each in enumerate(check)),
        ("event", f"{about}, from {parked.producer or 'a producer that gives no name'}"),
        ("parked", f"{shown(parked.since)}, {lasted(now - parked.since)} ago"),
        ("sent", f"{_times(parked.attempts)}; {at_genie.get(parked.transmitted, parked.transmitted)}"),
        ("input", _input(parked, now)),
        ("record", parked.lies),
    ]
    if parked.replays:
        again = f"{_times(parked.replays)}, and parked again, last {shown(parked.parked_at)}"
        rows.insert(-2, ("replayed", again))
    return [f"{shown_place(parked.input)} is parked: {parked.reason}", *labelled(rows)]


def _times(number: int) -> str:
    return counted(number, "time") if number else "never"


def _input(parked: ParkedInput, now: int) -> str:
    from gateway.oncall.times import lasted, shown

    if parked.gone:
        return "gone: no replay is possible; have the producer send the event again"
    if parked.expires_at is None:
        return "still there"
    if parked.expires_at <= now:
        return "still there, but retention may delete it now: replay it at once"
    return f"kept until {shown(parked.expires_at)} at least, {lasted(parked.expires_at - now)} from now"


def _commands(parked: ParkedInput) -> list[str]:
    from gateway.oncall.places import shown_place

    place = shown_place(parked.input)
    look = [f"gateway explain --offset {place} --what-if"]
    if parked.gone:
        return look
    reveal = f"gateway parked show {place} --reveal --reason WHY --ticket TICKET"
    return [*look, reveal, f"gateway replay plan --offset {place} --out PLAN"]


def _next(page: list[ParkedInput], reason: str) -> list[str]:
    from gateway.oncall.places import shown_place

    if not page:
        return []
    lines = ["next:", f"  gateway parked show {shown_place(page[0].input)}"]
    return [*lines, f"  gateway replay plan --parked-reason {reason} --out PLAN"] if reason else lines


def _not_parked(asked: Place, resolved_at: int | None) -> str:
    from gateway.oncall.places import shown_place
    from gateway.oncall.times import shown

    place = shown_place(asked)
    if resolved_at is None:
        return f"{place} is not parked. What became of it: gateway explain --offset {place}"
    resolved = f"a replay resolved it {shown(resolved_at)}"
    return f"{place} is not parked any more: {resolved}. Its story: gateway explain --offset {place}"


def _told(shelf: Shelf) -> list[str]:
    lines = []
    if shelf.unreadable:
        lines.append(f"left out: {counted(shelf.unreadable, 'record')} that can't be read: find out who wrote there")
    if shelf.forgotten:
        lines.append(f"left out: {counted(shelf.forgotten, 'replay')} whose requests have left the log")
    if shelf.foreign:
        lines.append(f"left out: {counted(shelf.foreign, 'record')} about another Kafka cluster")
    return lines


def _odd(shelf: Shelf) -> dict[str, int]:
    return {"unreadable": shelf.unreadable, "forgotten_replays": shelf.forgotten, "of_another_cluster": shelf.foreign}


def _advice(reason: str) -> tuple[tuple[str, ...], str]:
    from gateway.oncall import advice

    known = advice.every().get(reason)
    return (
        (known.check, known.means) if known else ((), "A later release of the gateway parked it: this one can't say.")
    )


def _means(reason: str) -> str:
    return _advice(reason)[1]


def _sentence(code: str) -> str:
    from gateway.oncall.clauses import known_reason

    known = known_reason(code)
    return known.sentence if known else _means(code)


def _data(parked: ParkedInput, now: int) -> Mapping[str, Any]:
    from gateway.oncall.places import shown_place
    from gateway.oncall.times import iso

    moments = {name: getattr(parked, name) for name in ("since", "parked_at", "expires_at")}
    return {
        **asdict(parked),
        "input": shown_place(parked.input),
        "parked_for_ms": now - parked.since,
        **{name: None if ms is None else iso(ms) for name, ms in moments.items()},
    }


def _share_data(share: Share) -> Mapping[str, Any]:
    from gateway.oncall.times import iso

    return {**asdict(share), "oldest": iso(share.oldest), "newest": iso(share.newest)}
