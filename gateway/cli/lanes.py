"""`gateway lanes ...`: where the lanes of the group stand."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated

import typer

from gateway.cli.answers import AsJson, answer
from gateway.cli.errors import CommandError, Exit
from gateway.cli.kafka_options import Bootstrap, Group, Prefix, ask_kafka, connect

app = typer.Typer(help="The lanes: one for each input partition.", no_args_is_help=True)


@app.callback()
def lanes() -> None:
    """Keep `init` a command of its own although it is the only one yet."""


@app.command()
def init(
    *,
    start: Annotated[
        str, typer.Option("--from", help="earliest, latest, or a time such as 2026-04-01T00:00:00+09:00.")
    ],
    force: Annotated[
        bool, typer.Option("--force", help="Replace offsets too: may lose records, or provide them again.")
    ] = False,
    only: Annotated[
        list[str] | None, typer.Option("--lane", help="topic:partition, this lane alone; may be repeated.")
    ] = None,
    bootstrap: Bootstrap,
    prefix: Prefix,
    group: Group,
    as_json: AsJson = False,
) -> None:
    """Say where lanes that have no offset yet start; a lane that has one keeps it. No gateway may be running.

    Example: gateway lanes init --from earliest
    """
    from gateway.kafka.lane_start import ForeignOffsetsError, NoSuchLaneError, start_lanes
    from gateway.kafka.names import TopicNames
    from gateway.kafka.offsets import GroupInUseError

    started = ask_kafka(
        start_lanes(connect(bootstrap), TopicNames(prefix), group, _time(start), force=force, only=only or ()),
        (GroupInUseError, ForeignOffsetsError, NoSuchLaneError),
    )
    lines = [
        f"{lane.topic}:{lane.partition} {lane.started.value} at {lane.offset}"
        + (f" (was {lane.before})" if lane.before is not None else "")
        for lane in started
    ]
    answer("\n".join(lines), {"group": group, "lanes": [asdict(lane) for lane in started]}, as_json=as_json)


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
            f"--from {start}: give earliest, latest, or a time with its zone, such as 2026-04-01T00:00:00+09:00",
        )
    return int(time.timestamp() * 1000)
