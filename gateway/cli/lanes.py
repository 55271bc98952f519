"""`gateway lanes ...`: where the lanes of the group start; what they do is told by lanes_show.py."""

from __future__ import annotations

import sys
from collections.abc import Collection
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import completions, lanes_show
from gateway.cli.answers import AsJson, answer
from gateway.cli.errors import CommandError, Exit
from gateway.cli.kafka_options import Bootstrap, Group, Prefix, Registry, ask_kafka, connect, login_at

if TYPE_CHECKING:
    from gateway.kafka.connection import KafkaConnection
    from gateway.kafka.lane_start import LaneStart
    from gateway.kafka.names import TopicNames

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

    Example: gateway lanes init --from earliest
    """
    from gateway.kafka.names import TopicNames

    names, connection = TopicNames(prefix), connect(bootstrap)
    chosen = only or ()
    if start == LEDGER:
        started = _from_ledger(connection, names, group, registry, chosen, force=force, dry_run=dry_run)
    else:
        started = _from_time(connection, names, group, _time(start), chosen, force=force, dry_run=dry_run)
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


def _from_time(
    connection: KafkaConnection,
    names: TopicNames,
    group: str,
    time: int,
    only: Collection[str],
    *,
    force: bool,
    dry_run: bool,
) -> list[LaneStart]:
    from gateway.kafka.lane_start import ForeignOffsetsError, LaneTakenError, NoSuchLaneError, start_lanes
    from gateway.kafka.offsets import GroupInUseError

    starting = start_lanes(connection, names, group, time, force=force, only=only, dry_run=dry_run)
    return ask_kafka(starting, (GroupInUseError, ForeignOffsetsError, LaneTakenError, NoSuchLaneError))


def _from_ledger(
    connection: KafkaConnection,
    names: TopicNames,
    group: str,
    registry: str,
    only: Collection[str],
    *,
    force: bool,
    dry_run: bool,
) -> list[LaneStart]:
    from gateway.kafka.codec import Codec
    from gateway.kafka.http_registry import registry_at
    from gateway.kafka.lane_recovery import LedgerUnfitError, from_ledger
    from gateway.kafka.lane_start import ForeignOffsetsError, LaneTakenError, NoSuchLaneError, start_lanes
    from gateway.kafka.offsets import GroupInUseError
    from gateway.kafka.registry import RegistryAway

    async def starting() -> list[LaneStart]:
        schemas = registry_at(registry or None, names, login_at(registry))
        try:
            codec = Codec(schemas, names.record_kinds())
            find = from_ledger(connection, codec, names, force=force, tell=_tell)
            return await start_lanes(connection, names, group, find, force=force, only=only, dry_run=dry_run)
        except RegistryAway as error:
            raise CommandError(Exit.UNREACHABLE, str(error)) from error
        finally:
            await schemas.close()

    refusals = (GroupInUseError, ForeignOffsetsError, LaneTakenError, NoSuchLaneError, LedgerUnfitError)
    return ask_kafka(starting(), refusals)


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
