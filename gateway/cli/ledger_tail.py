"""`gateway ledger tail`: the ledger as it grows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import orjson
import typer

from gateway.cli.answers import AsJson
from gateway.cli.desk_options import Index, Since, at_desk, moment
from gateway.cli.kafka_options import Bootstrap, Prefix, Registry
from gateway.cli.ledger_options import (
    EventIds,
    Inputs,
    Keys,
    Outcomes,
    Reasons,
    Sent,
    Subjects,
    at_ledger,
    unread,
    wanted,
)

if TYPE_CHECKING:
    from gateway.oncall.desk import Desk
    from gateway.oncall.ledger.following import Arrived
    from gateway.oncall.ledger.source import Ledger, LedgerEntry


def tail(
    *,
    since: Since = "",
    subjects: Subjects = None,
    inputs: Inputs = None,
    event_ids: EventIds = None,
    keys: Keys = None,
    outcomes: Outcomes = None,
    reasons: Reasons = None,
    transmitted: Sent = None,
    once: Annotated[
        bool, typer.Option("--once", help="End where the ledger ends now, instead of following it.")
    ] = False,
    bootstrap: Bootstrap,
    prefix: Prefix,
    registry: Registry,
    index: Index = "",
    as_json: AsJson = False,
) -> None:
    """Print ledger records as they come, from now on or from a time, until Ctrl-C. --json: one object a line.

    In the order of each partition of the ledger. A record that can't be read is a line that says so.

    Example: gateway ledger tail --since 1h --outcome PARKED --json
    """
    asked = wanted(
        moment("--since", since),
        None,
        subjects=subjects,
        inputs=inputs,
        event_ids=event_ids,
        keys=keys,
        outcomes=outcomes,
        reasons=reasons,
        transmitted=transmitted,
    )

    async def read(desk: Desk, ledger: Ledger) -> int:
        await ledger.read(lambda entries: _show(entries, desk.names.ledger, as_json=as_json), asked)
        return ledger.unreadable

    async def go_on(desk: Desk) -> None:
        from gateway.oncall.ledger.following import follow, offsets_at
        from gateway.oncall.ledger.source import LedgerEntry

        async def take(partition: int, arrived: Sequence[Arrived]) -> None:
            for each in arrived:
                if each.record is not None:
                    entry = LedgerEntry(partition, each.offset, each.appended_at, each.record)
                    if asked.matches(entry):
                        _show([entry], desk.names.ledger, as_json=as_json)
                elif asked.in_time(each.appended_at):
                    _show_unreadable(desk.names.ledger, partition, each, as_json=as_json)

        await follow(desk, await offsets_at(desk, asked.since), take)

    if not once:
        from gateway.oncall.ledger.following import TopicMadeAnewError

        at_desk(bootstrap, prefix, registry, go_on, (TopicMadeAnewError,))
        return
    sentence = unread(at_ledger(bootstrap, prefix, registry, index, read))
    if sentence:
        typer.echo(sentence, err=True)


def _show(entries: Sequence[LedgerEntry], topic: str, *, as_json: bool) -> None:
    from gateway.oncall.ledger.plain import plain

    lines = (orjson.dumps(plain(entry, topic)).decode() if as_json else _line(entry) for entry in entries)
    print("\n".join(lines), flush=True)


def _show_unreadable(topic: str, partition: int, arrived: Arrived, *, as_json: bool) -> None:
    from gateway.oncall import times

    if as_json:
        place = {"topic": topic, "partition": partition, "offset": arrived.offset}
        line = {"ledger": place, "appended_at": times.iso(arrived.appended_at), "unreadable": arrived.why}
        print(orjson.dumps(line).decode(), flush=True)
    else:
        where = f"{partition}:{arrived.offset}"
        print(f"{times.shown(arrived.appended_at)}  {where}  can't be read: {arrived.why}", flush=True)


def _line(entry: LedgerEntry) -> str:
    from gateway.oncall import times

    record = entry.record
    about, replayed = record["input"], record["replay_of"]
    words = [
        times.shown(entry.appended_at),
        f"{entry.partition}:{entry.offset}",
        f"{record['outcome']} {record['reason']}",
        f"transmitted {record['transmitted']}",
        f"{about['topic']}:{about['partition']}:{about['offset']}",
        f"replay of {replayed['topic']}:{replayed['partition']}:{replayed['offset']}" if replayed else "",
        f"subject {record['subject_ref']}" if record["subject_ref"] else "",
        f"event {record['event_id']}" if record["event_id"] else "",
    ]
    return "  ".join(filter(None, words))
