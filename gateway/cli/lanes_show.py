"""`gateway lanes show`: what each lane is doing, once or again and again."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.answers import AsJson, answer
from gateway.cli.desk_options import table
from gateway.cli.errors import CommandError, Exit
from gateway.cli.kafka_options import Bootstrap, Group, Prefix, ask_kafka, connect
from gateway.cli.process_options import At, ObservePort, places, port_of, unasked, unasked_data

if TYPE_CHECKING:
    from gateway.oncall.lanes import Lane, Picture

EVERY_S = 2.0
INTERRUPTED = 128 + 2
HEAD = ("LANE", "OWNER", "STATE", "LAG", "WATERMARK", "WINDOW", "IN FLIGHT", "OLDEST", "WAITS FOR", "BREAKER", "COMMIT")
RIGHT = ("LAG", "WATERMARK", "WINDOW", "IN FLIGHT", "OLDEST", "COMMIT")


def show(
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Again and again, until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option(min=0.2, max=3_600.0, help="Seconds between two looks.")] = EVERY_S,
    at: At = None,
    observe_port: ObservePort,
    bootstrap: Bootstrap,
    prefix: Prefix,
    group: Group,
    as_json: AsJson = False,
) -> None:
    """What each lane of the running processes is doing: its owner, how far behind it is, what its oldest unsettled
    record waits for; and the lanes that nobody has.

    Status 0: every lane is open. 1: one is not. 3: a process could not be asked. With --watch and --json: one object a
    line.

    Example: gateway lanes show --watch
    """
    from gateway.kafka.connection import KafkaUnavailableError
    from gateway.kafka.names import TopicNames
    from gateway.kafka.offsets_log import OffsetsLog
    from gateway.oncall.lanes import look
    from gateway.oncall.processes import Asker, asking, find

    names, connection, port, named = TopicNames(prefix), connect(bootstrap), port_of(observe_port), places(at)
    last: Picture | None = None

    async def looked(client: Any, offsets: OffsetsLog, asker: Asker) -> Picture:
        nonlocal last
        last = await look(client, names, offsets, await find(asker, client, group, named, port))
        return last

    async def once() -> Picture:
        async with connection.client() as client, asking() as asker:
            return await looked(client, OffsetsLog(client, group), asker)

    async def again(screen: Any) -> None:
        async with connection.client() as client, asking() as asker:
            offsets = OffsetsLog(client, group)
            while True:
                trouble = ""
                try:
                    await looked(client, offsets, asker)
                except KafkaUnavailableError as error:  # it is watched to see it come back
                    trouble = str(error)
                _draw(last, trouble, screen, every, as_json=as_json)
                await asyncio.sleep(every)

    if not watch:
        picture = ask_kafka(once())
        answer("\n".join(lines(picture)), data(picture), as_json=as_json)
        _end(picture)
        return
    try:
        with _screen(as_json=as_json) as screen:
            ask_kafka(again(screen))
    except KeyboardInterrupt:
        if screen is not None and last is not None:  # what was seen last stays, where the next command is typed
            print("\n".join(lines(last)))
        raise typer.Exit(INTERRUPTED) from None


def _screen(*, as_json: bool) -> Any:
    """The whole terminal, and back as it was; nothing where nobody watches."""
    if as_json or not sys.stdout.isatty():
        return nullcontext()
    from rich.console import Console
    from rich.live import Live

    return Live(console=Console(highlight=False), screen=True, auto_refresh=False)


def _draw(picture: Picture | None, trouble: str, screen: Any, every: float, *, as_json: bool) -> None:
    """What was seen last, and why no more could be, if so."""
    told = list(lines(picture)) if picture is not None and (screen is not None or not trouble) else []
    if screen is None:
        seen = data(picture) if picture is not None and not trouble else {"trouble": trouble}
        answer("\n".join([*told, *([trouble] if trouble else []), ""]), seen, as_json=as_json)
        return
    from rich.text import Text

    whole = [trouble or f"every {every:g} s; Ctrl-C ends it", "", *"\n".join(told).split("\n")]
    room = screen.console.height
    if len(whole) > room:
        whole[room - 1 :] = [f"{len(whole) - room + 1} more lines: make the window taller"]
    screen.update(Text("\n".join(whole), no_wrap=True, overflow="crop"), refresh=True)


def _end(picture: Picture) -> None:
    if not picture.fleet.all_asked:
        raise typer.Exit(Exit.UNREACHABLE)
    if any(lane.state != "open" for lane in picture.lanes):
        raise typer.Exit(Exit.FOUND_WRONG)


def lines(picture: Picture) -> Iterator[str]:
    """For a person."""
    from gateway.core.delays import Delay
    from gateway.oncall import times

    group = picture.fleet.group
    if group is None:
        raise CommandError(Exit.UNREACHABLE, "the group could not be asked")
    yield f"{times.shown(picture.at)}  group {group.name}: {group.state}, {_count(len(group.members), 'member')}"
    yield ""
    yield table(HEAD, [_row(lane) for lane in picture.lanes], right=RIGHT)
    delays = {lane.seen.delay for lane in picture.lanes if lane.seen is not None}
    meanings = [f"{delay.value}: {delay.sentence}" for delay in Delay if delay.value in delays]
    if meanings:
        yield ""
        yield from meanings
    if picture.unowned:
        yield ""
        yield f"{_count(len(picture.unowned), 'lane')} nobody has: is a process missing, or is it about to join?"
    yield from unasked(picture.fleet)


def data(picture: Picture) -> dict[str, Any]:
    """For a program."""
    from gateway.oncall import times

    group = picture.fleet.group
    return {
        "at": times.iso(picture.at),
        "group": None if group is None else {"name": group.name, "state": group.state, "members": len(group.members)},
        "lanes": [
            {
                "lane": lane.name,
                "owner": lane.owner,
                "at": lane.process.at if lane.process else None,
                "state": lane.state,
                "lag": lane.lag,
                "watermark": lane.watermark,
                "window_span": lane.seen.window_span if lane.seen else None,
                "window_limit": lane.seen.window_limit if lane.seen else None,
                "unsettled": lane.seen.unsettled if lane.seen else None,
                "in_flight": lane.seen.in_flight if lane.seen else None,
                "oldest_ms": lane.oldest_ms,
                "waits_for": lane.seen.delay if lane.seen else None,
                "breaker_open": lane.breaker_open,
                "committed_ms": lane.committed_ms,
            }
            for lane in picture.lanes
        ],
        "not_asked": unasked_data(picture.fleet),
    }


def _row(lane: Lane) -> tuple[str, ...]:
    seen = lane.seen
    window = ""
    if seen is not None:
        window = f"{seen.window_span:,}" if seen.window_limit is None else f"{seen.window_span:,}/{seen.window_limit:,}"
    return (
        lane.name,
        lane.owner or "nobody",
        lane.state,
        _number(lane.lag),
        _number(lane.watermark),
        window,
        _number(seen.in_flight if seen else None),
        _lasted(lane.oldest_ms),
        (seen.delay or "") if seen else "",
        {True: "open", False: "closed", None: ""}[lane.breaker_open],
        _lasted(lane.committed_ms),
    )


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _lasted(ms: int | None) -> str:
    from gateway.oncall import times

    return "" if ms is None else times.lasted(ms)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
