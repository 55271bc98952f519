"""Options by which a command finds the running processes, and how it tells of those that it could not ask."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.errors import CommandError, Exit
from gateway.cli.kafka_options import set_or

if TYPE_CHECKING:
    from gateway.kafka.group import Member
    from gateway.oncall.processes import Fleet

DEFAULT_PORT = "9464"
LANES_NAMED = 6

At = Annotated[
    list[str] | None,
    typer.Option("--at", help="host:port of a process to ask, instead of those that the group tells; repeatable."),
]
ObservePort = Annotated[
    str,
    typer.Option(
        "--observe-port",
        envvar="GATEWAY_OBSERVE__PORT",
        default_factory=set_or("observe.port", DEFAULT_PORT),
        show_default=DEFAULT_PORT,
        help="Port at which the group's processes answer.",
    ),
]


def port_of(text: str) -> int:
    """The port, or the mistake in it."""
    if not text.isdecimal() or not 0 <= int(text) <= 65_535:
        raise CommandError(Exit.WRONG_USE, f"--observe-port {text}: give a port, 0 to 65535")
    return int(text)


def places(at: list[str] | None) -> list[str]:
    """host:port of each process that was named."""
    for place in at or ():
        host, _, port = place.rpartition(":")
        if not host or not port.isdecimal() or not set(place).isdisjoint("/@?# \t"):
            raise CommandError(Exit.WRONG_USE, f"--at {place}: give host:port, such as 10.0.0.1:{DEFAULT_PORT}")
    return at or []


def unasked(fleet: Fleet) -> Iterator[str]:
    """A line for each process that could not be asked, or on why nobody knows of any."""
    if trouble := _of_group(fleet):
        yield trouble
    for process in fleet.silent:
        yield f"not asked: {process.at}: {process.trouble}"
    for member in fleet.unasked:
        yield f"not asked: {member.name} at {member.host}, which has {lanes_of(member)}"
    if fleet.unasked:
        yield "name the place of each such process by --at HOST:PORT (where its observe.port is)"


def _of_group(fleet: Fleet) -> str:
    """Why it does not tell who is in it."""
    if fleet.group is None:
        return "the group could not be asked who is in it: name processes by --at HOST:PORT"
    if fleet.group.is_there:
        return ""
    from gateway.oncall.groups import missing

    return missing(fleet.group.name, fleet.other_groups, "which processes run is not known")


def lanes_of(member: Member) -> str:
    """The lanes of a member, a few by name."""
    names = [f"{lane.topic}:{lane.partition}" for lane in sorted(member.lanes)]
    more = f" and {len(names) - LANES_NAMED} more" if len(names) > LANES_NAMED else ""
    return f"{', '.join(names[:LANES_NAMED])}{more}" if names else "no lanes"


def unasked_data(fleet: Fleet) -> list[dict[str, Any]]:
    """The same for --json."""
    trouble = _of_group(fleet)
    silent: list[dict[str, Any]] = [{"at": None, "member": None, "trouble": trouble, "lanes": []}] if trouble else []
    silent += [{"at": process.at, "member": None, "trouble": process.trouble, "lanes": []} for process in fleet.silent]
    members = [
        {
            "at": member.host,
            "member": member.member_id,
            "trouble": "nothing that answered is this member",
            "lanes": [f"{lane.topic}:{lane.partition}" for lane in sorted(member.lanes)],
        }
        for member in fleet.unasked
    ]
    return silent + members
