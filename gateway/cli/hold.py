"""`gateway hold ...`: Stop sending at once: all, an event type, a lane or a subject."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import completions
from gateway.cli import hold_lines as say
from gateway.cli.answers import AsJson, answer
from gateway.cli.desk_options import OperatorName, Ticket, Why, at_desk, operator
from gateway.cli.errors import CommandError, Exit
from gateway.cli.kafka_options import Bootstrap, Group, Prefix, Registry
from gateway.cli.process_options import At, ObservePort, places, port_of, unasked_data

if TYPE_CHECKING:
    from gateway.oncall.desk import Desk
    from gateway.oncall.holds import Effect, Listed, Written
    from gateway.oncall.processes import Fleet

WAIT_S = 15
MAX_WAIT_S = 600

LOOK = "Once Kafka answers, `gateway hold list` tells."
UNWRITTEN = "nothing was written, so no hold is set or released"

app = typer.Typer(help="Stop sending at once: all, an event type, a lane or a subject.", no_args_is_help=True)

Wait = Annotated[int, typer.Option(min=0, max=MAX_WAIT_S, help="Seconds to wait until every process shows it.")]


@app.command()
def add(
    scope: Annotated[
        str,
        typer.Argument(
            help="all, event_type, input_partition or subject.",
            autocompletion=completions.hold_scopes,
        ),
    ],
    value: Annotated[
        str | None,
        typer.Argument(help="lease_payment; TOPIC:PARTITION; a subject_ref. Nothing with all."),
    ] = None,
    *,
    reason: Why,
    ticket: Ticket,
    operator_name: OperatorName,
    expires: Annotated[
        str,
        typer.Option(
            help="When it ends by itself: 90m, 2h, 3d from now on, or 2026-04-01T00:00:00+09:00.", show_default=False
        ),
    ] = "",
    wait: Wait = WAIT_S,
    at: At = None,
    observe_port: ObservePort,
    bootstrap: Bootstrap,
    prefix: Prefix,
    group: Group,
    registry: Registry,
    as_json: AsJson = False,
) -> None:
    """Hold something back, in every process. In force once Kafka has acknowledged it, which is told at once: no send
    that is decided after a fence from then on goes out. Then it is told when each running process shows it.

    A hold on all, an event type or an input partition makes lanes wait: release it, and they go on. One on a subject
    parks its records: they are replayed after the release. Replays that meet any of them are parked.

    Status 0: every process shows it. 1: one does not. 3: one could not be asked. It is in force in all of these cases,
    unless the message says that nothing was written, or that it is not known: then `gateway hold list` tells.

    Example: gateway hold add event_type lease_payment --reason "wrong amounts since 14:00" --ticket INC-7 --expires 4h
    """
    from gateway.core.holds import HoldScope
    from gateway.kafka.connection import KafkaUnavailableError
    from gateway.oncall import holds, times

    kinds = [each.value for each in HoldScope]
    if scope not in kinds:
        raise CommandError(Exit.WRONG_USE, f"no scope {scope}: give {', '.join(kinds[:-1])} or {kinds[-1]}")
    who, port, named = operator(operator_name, reason, ticket), port_of(observe_port), places(at)

    async def do(desk: Desk) -> _Done:
        try:
            ends = holds.expiry(expires, times.now_ms()) if expires else None
            written, record = await holds.add(desk, who, HoldScope(scope), value, ends)
        except holds.UnfitError as error:
            raise CommandError(Exit.WRONG_USE, str(error)) from None
        except KafkaUnavailableError as error:
            raise CommandError(Exit.UNREACHABLE, f"the hold is not known to be on: {error} {LOOK}") from error
        lines = [
            f"hold {written.hold_id} is on: {say.what(record)}",
            say.acknowledged(written),
            *say.what_follows(record),
        ]
        if ends is not None:
            lines.append(f"it ends by itself at {times.shown(ends)}")
        lines.append(f"to end it: gateway hold release {written.hold_id} --reason WHY --ticket TICKET")
        _say(lines, as_json=as_json)
        return await _watched(desk, group, named, port, written, record, wait)

    _tell(_doing(bootstrap, prefix, registry, do), wait, as_json=as_json)


@app.command()
def release(
    hold_id: Annotated[str, typer.Argument(help="Of the hold, as `gateway hold list` shows it; its start is enough.")],
    *,
    reason: Why,
    ticket: Ticket,
    operator_name: OperatorName,
    wait: Wait = WAIT_S,
    at: At = None,
    observe_port: ObservePort,
    bootstrap: Bootstrap,
    prefix: Prefix,
    group: Group,
    registry: Registry,
    as_json: AsJson = False,
) -> None:
    """End a hold, in every process. Lanes that wait go on with nothing lost; what was parked must be replayed.

    A hold that has expired or was released holds nothing: then nothing is written, and the status is 1. An unreadable
    record, which holds everything, is ended by a tombstone. Status otherwise: as of `gateway hold add`.

    Example: gateway hold release 0a8f7b52 --reason "billing has mended it" --ticket INC-7
    """
    from gateway.kafka.connection import KafkaUnavailableError
    from gateway.oncall import holds, times

    who, port, named = operator(operator_name, reason, ticket), port_of(observe_port), places(at)

    async def do(desk: Desk) -> _Done:
        try:
            hold = holds.named(await holds.read_all(desk), hold_id)
            _refuse_idle(hold, times.now_ms())
            written = await holds.release(desk, who, hold)
        except KafkaUnavailableError as error:
            raise CommandError(Exit.UNREACHABLE, f"the hold is not known to be released: {error} {LOOK}") from error
        lines = [f"hold {written.hold_id} is released: {say.what(hold.record)}", say.acknowledged(written)]
        _say([*lines, *say.what_to_replay(hold)], as_json=as_json)
        return await _watched(desk, group, named, port, written, hold.record, wait)

    _tell(_doing(bootstrap, prefix, registry, do, holds.HoldError), wait, as_json=as_json)


@app.command("list")
def list_(
    *,
    every: Annotated[bool, typer.Option("--all", help="Those that are over, too.")] = False,
    at: At = None,
    observe_port: ObservePort,
    bootstrap: Bootstrap,
    prefix: Prefix,
    group: Group,
    registry: Registry,
    as_json: AsJson = False,
) -> None:
    """What is held back now: by whom, why, since when, until when, and in which processes it is in force.

    Status 0: all processes show all of it. 1: one does not, or a control record can't be read, which holds everything.
    3: a process could not be asked.

    Example: gateway hold list
    """
    from gateway.oncall import holds, times

    port, named = port_of(observe_port), places(at)

    async def do(desk: Desk) -> tuple[list[Listed], Fleet]:
        return await holds.read_all(desk), await _fleet(desk, group, named, port)

    listed, fleet = at_desk(bootstrap, prefix, registry, do)
    now = times.now_ms()
    shown = [hold for hold in listed if every or hold.holds(now)]
    behind = {hold.name: say.behind(hold, fleet) for hold in shown if hold.holds(now)}
    data = {"holds": [say.hold_data(hold, fleet, now) for hold in shown], "not_asked": unasked_data(fleet)}
    answer("\n".join(say.list_lines(shown, behind, fleet, now)), data, as_json=as_json)
    unreadable = any(hold.state(now) is holds.State.UNREADABLE for hold in shown)
    _end(wrong=unreadable or any(behind.values()), unreachable=not fleet.all_asked)


# --- doing ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Done:
    """A control record that was written, and where it is in force."""

    written: Written
    record: Mapping[str, Any]
    fleet: Fleet
    effects: list[Effect]


def _doing(
    bootstrap: str,
    prefix: str,
    registry: str,
    do: Callable[[Desk], Coroutine[Any, Any, _Done]],
    *refusals: type[Exception],
) -> _Done:
    """What `do` answers. Whoever never reached Kafka must not believe that a hold is on: status 3 says both."""
    reached = False

    async def doing(desk: Desk) -> _Done:
        nonlocal reached
        reached = True
        return await do(desk)

    try:
        return at_desk(bootstrap, prefix, registry, doing, refusals)
    except CommandError as error:
        if reached:
            raise
        raise CommandError(error.status, f"{UNWRITTEN}: {error.message}") from error


async def _watched(
    desk: Desk, group: str, named: Sequence[str], port: int, written: Written, record: Mapping[str, Any], wait: int
) -> _Done:
    from gateway.kafka.connection import KafkaUnavailableError
    from gateway.oncall import holds
    from gateway.oncall.processes import asking, find_or_named

    async with asking() as asker:
        try:
            fleet = await find_or_named(asker, desk.client, group, named, port)
        except KafkaUnavailableError as error:
            where = "where it shows is not known"
            raise CommandError(
                Exit.UNREACHABLE, f"Kafka has acknowledged {written.hold_id}, but {where}: {error} {LOOK}"
            ) from error
        return _Done(written, record, fleet, await holds.effects(asker, fleet, written, wait))


async def _fleet(desk: Desk, group: str, named: Sequence[str], port: int) -> Fleet:
    from gateway.oncall.processes import asking, find_or_named

    async with asking() as asker:
        return await find_or_named(asker, desk.client, group, named, port)


def _refuse_idle(hold: Listed, now: int) -> None:
    from gateway.oncall import times
    from gateway.oncall.holds import HoldError, State

    record, state = hold.record, hold.state(now)
    if state is State.EXPIRED:
        when = times.shown(record["expires_at"])
        raise HoldError(f"hold {hold.name} ended by itself at {when}: nothing to release")
    if state is State.RELEASED:
        when = times.shown(record["at"])
        raise HoldError(f"hold {hold.name} was released at {when} by {record['operator']}: nothing to release")


# --- telling ----------------------------------------------------------------------------------------------


def _say(lines: Sequence[str], *, as_json: bool) -> None:
    """At once: whoever waits for the processes may not wait to the end."""
    if not as_json:
        print("\n".join(lines), flush=True)


def _tell(done: _Done, wait: int, *, as_json: bool) -> None:
    data = {
        **say.record_data(done.record),
        "hold_id": done.written.hold_id,
        "place": {"partition": done.written.partition, "offset": done.written.offset},
        "acknowledged_at": say.iso(done.written.acknowledged_at),
        "processes": [
            {
                "at": effect.process.at,
                "instance": effect.process.name,
                "shows_it": effect.applied,
                "applied_at": say.iso(effect.applied_at),
                "in_flight": effect.in_flight,
                "trouble": effect.trouble or None,
            }
            for effect in done.effects
        ],
        "not_asked": unasked_data(done.fleet),
    }
    answer("\n".join(say.effect_lines(done.effects, done.fleet, wait)), data, as_json=as_json)
    _end(wrong=not all(effect.applied for effect in done.effects), unreachable=not done.fleet.all_asked)


def _end(*, wrong: bool, unreachable: bool) -> None:
    if unreachable:
        raise typer.Exit(Exit.UNREACHABLE)
    if wrong:
        raise typer.Exit(Exit.FOUND_WRONG)
