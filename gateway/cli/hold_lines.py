"""What is told of holds: to a person in lines, to a program in data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gateway.cli.desk_options import table
from gateway.cli.process_options import unasked

if TYPE_CHECKING:
    from gateway.oncall.holds import Effect, Listed, Written
    from gateway.oncall.processes import Fleet


def what(record: Mapping[str, Any]) -> str:
    """What is held, in words; what can't be read holds everything."""
    from gateway.oncall.holds import value_shown

    kinds = {"event_type": "events of type", "input_partition": "lane", "subject": "subject"}
    kind = kinds.get(str(record.get("scope")))
    return "everything" if kind is None else f"{kind} {value_shown(record)}"


def acknowledged(written: Written) -> str:
    """When, by our clock."""
    from gateway.oncall import times

    return f"acknowledged by Kafka at {times.shown(written.acknowledged_at)}"


def what_follows(record: Mapping[str, Any]) -> list[str]:
    """What the acknowledgement means."""
    fate = "are parked" if record["scope"] == "subject" else "wait (replays are parked)"
    return [
        f"from then on no send of it that is decided after a fence goes out, in any process; its records {fate}",
        "what was decided before that may still arrive until it expires (genie.expires_ms)",
    ]


def what_to_replay(hold: Listed) -> list[str]:
    """How what did not wait goes on."""
    from gateway.oncall.holds import value_shown

    if hold.record.get("scope") == "subject":
        return [
            "what was parked meanwhile goes on by a replay:",
            f"  gateway replay plan --parked-reason held --subject {value_shown(hold.record)} --out PLAN",
        ]
    return [
        "lanes that waited go on by themselves; replays that met the hold were parked:",
        "  gateway parked list --reason held",
    ]


def effect_lines(effects: Sequence[Effect], fleet: Fleet, wait: int) -> Iterator[str]:
    """In which processes it is in force, and what is not known of the others."""
    from gateway.oncall import times

    yield ""
    if effects:
        rows = []
        for effect in effects:
            shows = f"not within {wait} s" if not effect.trouble else effect.trouble
            if effect.applied:
                shows = "yes" if effect.applied_at is None else times.shown(effect.applied_at)
            rows.append((effect.process.name, effect.process.at, shows, f"{effect.in_flight:,}"))
        yield table(("PROCESS", "AT", "APPLIED (BY ITS CLOCK)", "IN FLIGHT"), rows, right=("IN FLIGHT",))
    elif fleet.all_asked:
        yield "no process runs: the first to start reads it before it opens a lane"
    yield from unasked(fleet)
    if not fleet.all_asked or not all(effect.applied for effect in effects):
        yield "where it is not shown it counts all the same: before each send a process proves that it has read it"


def list_lines(shown: Sequence[Listed], behind: Mapping[str, list[str]], fleet: Fleet, now: int) -> Iterator[str]:
    """The holds, and what must be known of them; `behind` has those that hold something, by name."""
    from gateway.oncall import times
    from gateway.oncall.holds import State

    if not shown:
        yield "nothing is held"
    else:
        asked = len(fleet.answering)
        rows = []
        for hold in shown:
            record, state = hold.record, hold.state(now)
            late = behind.get(hold.name)
            where = state.value
            if late is not None:
                where = f"{asked - len(late)} of {asked} processes" if asked else "not known"
            ends = record.get("expires_at")
            rows.append(
                (
                    hold.name,
                    what(record),
                    _fit(record.get("operator", "?")),
                    _fit(record.get("ticket", "?")),
                    times.lasted(now - record.get("at", hold.written_at)),
                    "never" if ends is None else times.shown(ends),
                    where,
                    _fit(record.get("reason", "unreadable control record")),
                )
            )
        yield table(("HOLD", "WHAT", "BY", "TICKET", "AGE", "EXPIRES", "IN FORCE", "WHY"), rows)
    for hold in shown:
        if hold.state(now) is State.UNREADABLE:
            yield (
                f"hold {hold.name}: the control record at {hold.partition}:{hold.offset} can't be read, so "
                f"everything is held. Find out who wrote it, then: gateway hold release {hold.name}"
            )
        if hold.set_by is not None:
            said = {name: _fit(hold.set_by[name]) for name in ("operator", "reason", "ticket")}
            when = times.shown(hold.set_by["at"])
            yield f"hold {hold.name} was set at {when} by {said['operator']} ({said['ticket']}): {said['reason']}"
        if late := behind.get(hold.name):
            yield f"hold {hold.name} is not shown yet by {', '.join(late)}; the fence makes it count there too"
    if fleet.group is not None and fleet.group.is_there and not fleet.group.members and not fleet.processes:
        yield "no process runs"
    yield from unasked(fleet)


def behind(hold: Listed, fleet: Fleet) -> list[str]:
    """The processes that have not applied it, or don't say so."""
    from gateway.oncall.holds import has_applied

    return [process.name for process, status in fleet.answering if not has_applied(status, hold.partition, hold.offset)]


def hold_data(hold: Listed, fleet: Fleet, now: int) -> dict[str, Any]:
    """One of the list."""
    late = behind(hold, fleet)
    return {
        "hold_id": hold.name,
        **record_data(hold.record),
        "state": hold.state(now).value,
        "set_by": None if hold.set_by is None else record_data(hold.set_by),
        "place": {"partition": hold.partition, "offset": hold.offset},
        "shown_by": [process.name for process, _ in fleet.answering if process.name not in late],
        "not_shown_by": late,
    }


def record_data(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a control record says."""
    from gateway.oncall.holds import value_shown

    told = {name: record.get(name) for name in ("scope", "operator", "reason", "ticket")}
    moments = {name: iso(record.get(name)) for name in ("at", "expires_at")}
    return {**told, "value": value_shown(record), **moments}


def iso(ms: int | None) -> str | None:
    """A time, if there is one."""
    from gateway.oncall import times

    return None if ms is None else times.iso(ms)


def _fit(text: str) -> str:
    """Anybody's words, on a line of their own."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
