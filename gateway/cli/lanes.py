"""`gateway lanes ...`: where the lanes of the group start; what they do is told by lanes_show.py."""

from __future__ import annotations

import sys
from collections.abc import Collection, Coroutine
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import completions, lanes_show
from gateway.cli.answers import AsJson, answer
from gateway.cli.errors import CommandError, Exit
from gateway.cli.kafka_options import Bootstrap, Group, Prefix, Registry, ask_kafka, connect, login_at
from gateway.cli.lanes_audit import ReplaceTicket, Starter, WhyReplace, auditing, starter

if TYPE_CHECKING:
    from gateway.kafka.connection import KafkaConnection
    from gateway.kafka.lane_start import Find, LaneStart
    from gateway.kafka.names import TopicNames
    from gateway.oncall.audit import Operator

LEDGER = "ledger"

app = typer.Typer(help="The lanes: one for each input partition.", no_args_is_help=True)


@app.callback()
def lanes() -> None:
    """Where they start, and what they do."""


app.command("show")(lanes_show.show)


@app.command()
def init(
    *,
    start: Annotated[
        str,
        typer.Option(
            "--from",
            autocompletion=completions.starts,
            help="earliest, latest, a time such as 2026-04-01T00:00:00+09:00, or ledger (below).",
        ),
    ],
    force: Annotated[
        bool, typer.Option("--force", help="Replace offsets too: may lose records, or provide them again.")
    ] = False,
    only: Annotated[
        list[str] | None, typer.Option("--lane", help="topic:partition, this lane alone; may be repeated.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be set; set and fence nothing.")] = False,
    who: Starter = "",
    reason: WhyReplace = "",
    ticket: ReplaceTicket = "",
    bootstrap: Bootstrap,
    prefix: Prefix,
    group: Group,
    registry: Registry,
    as_json: AsJson = False,
) -> None:
    """Say where lanes that have no offset yet start; a lane that has one keeps it. No gateway may be running.

    --from ledger finds lost offsets again: it reads the whole ledger and all intents, and sets each lane to its first
    record without a ledger record, with all that is settled or may have been sent beyond it. Nothing that a gateway
    took is lost by it or recorded twice; what one never took is counted where it lies far back, and needs --force
    where it lies before all that is known of the lane.

    What is set is written to the audit topic first; --force asks for --reason and --ticket.

    Example: gateway lanes init --from earliest
    """
    from gateway.kafka.names import TopicNames

    time = None if start == LEDGER else _time(start)
    asks = starter(who, reason, ticket, force=force and not dry_run)
    setting = Setting(
        connect(bootstrap), TopicNames(prefix), group, registry, tuple(only or ()), asks, force=force, dry_run=dry_run
    )
    started = _from_ledger(setting) if time is None else _from_time(setting, time)
    behind = dry_run and start == LEDGER
    rows = [asdict(lane) for lane in started]
    data = {"group": group, "dry_run": dry_run, "may_be_behind": behind, "lanes": rows}
    lines = [_line(lane) for lane in started]
    if behind:
        lines.append("nothing was set or fenced: what an old process that still runs commits later is not in this")
    if any(lane.unrecorded for lane in started):
        lines.append(
            "offsets passed over were left out by an earlier start elsewhere, or are markers of transactions: to take "
            "them, start the lane by --from a time, with --force and --lane"
        )
    left = any(lane.started == "left" for lane in started)
    if left:
        lines.append("nothing is recorded of a lane that is left: now give those --from earliest, latest or a time")
    answer("\n".join(lines), data, as_json=as_json)
    if left:
        raise typer.Exit(Exit.FOUND_WRONG)


@dataclass(frozen=True, slots=True)
class Setting:
    """What is asked for, but for where the lanes start."""

    connection: KafkaConnection
    names: TopicNames
    group: str
    registry: str
    only: Collection[str]
    asks: Operator
    force: bool
    dry_run: bool

    async def started(self, start: int | Find) -> list[LaneStart]:
        """Written down first, unless nothing is to be set."""
        from gateway.kafka.lane_start import start_lanes

        async with AsyncExitStack() as stack:
            note = None
            if not self.dry_run:
                audit = auditing(self.connection, self.names, self.registry, self.asks)
                note = await stack.enter_async_context(audit)
            return await start_lanes(
                self.connection,
                self.names,
                self.group,
                start,
                force=self.force,
                only=self.only,
                dry_run=self.dry_run,
                note=note,
            )


def _from_time(setting: Setting, time: int) -> list[LaneStart]:
    return _asked(setting.started(time))


def _from_ledger(setting: Setting) -> list[LaneStart]:
    from gateway.kafka.codec import Codec
    from gateway.kafka.http_registry import registry_at
    from gateway.kafka.lane_recovery import from_ledger

    async def starting() -> list[LaneStart]:
        names = setting.names
        schemas = registry_at(setting.registry or None, names, login_at(setting.registry))
        try:
            codec = Codec(schemas, names.record_kinds())
            find = from_ledger(setting.connection, codec, names, force=setting.force, tell=_tell)
            return await setting.started(find)
        finally:
            await schemas.close()

    return _asked(starting())


def _asked(starting: Coroutine[Any, Any, list[LaneStart]]) -> list[LaneStart]:
    from gateway.kafka.group import GroupInUseError
    from gateway.kafka.lane_recovery import LedgerUnfitError
    from gateway.kafka.lane_start import ForeignOffsetsError, LaneTakenError, NoSuchLaneError
    from gateway.kafka.registry import NotRegisteredError, RegistryAway

    unfit = (GroupInUseError, ForeignOffsetsError, LaneTakenError, NoSuchLaneError, LedgerUnfitError)
    try:
        return ask_kafka(starting, (*unfit, NotRegisteredError))
    except RegistryAway as error:
        raise CommandError(Exit.UNREACHABLE, str(error)) from error


def _tell(topic: str, read: int, whole: int) -> None:
    print(f"{topic}: {read} of {whole} read", file=sys.stderr, flush=True)


def _line(lane: LaneStart) -> str:
    text = f"{lane.topic}:{lane.partition} {lane.started}"
    if lane.offset is None:
        return text
    more = [
        f"was {lane.before}" if lane.before is not None else "",
        f"settled beyond it: {lane.settled_beyond}" if lane.settled_beyond else "",
        f"batches that may have been sent: {lane.live_intents}" if lane.live_intents else "",
        f"gone without a ledger record: {lane.gone}" if lane.gone else "",
        f"passed over, without a ledger record: {lane.unrecorded}" if lane.unrecorded else "",
        f"traces of an earlier log, left out: {lane.ignored}" if lane.ignored else "",
    ]
    told = ", ".join(each for each in more if each)
    return f"{text} at {lane.offset}{f' ({told})' if told else ''}"


def _time(start: str) -> int:
    from gateway.kafka.cluster import EARLIEST, LATEST

    if start in ("earliest", "latest"):
        return EARLIEST if start == "earliest" else LATEST
    try:
        time = datetime.fromisoformat(start)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None or time.timestamp() < 0:
        raise CommandError(
            Exit.WRONG_USE,
            f"--from {start}: give earliest, latest, ledger, or a time with its zone, such as "
            "2026-04-01T00:00:00+09:00",
        )
    return int(time.timestamp() * 1000)
