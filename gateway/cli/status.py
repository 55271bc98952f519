"""`gateway status`: one screen that answers "is it us, Kafka or GeNiE?"."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer

from gateway.cli.answers import AsJson, answer
from gateway.cli.desk_options import table
from gateway.cli.errors import Exit
from gateway.cli.kafka_options import Bootstrap, Group, Prefix, Registry, connect
from gateway.cli.process_options import At, ObservePort, places, port_of

if TYPE_CHECKING:
    from gateway.oncall.status import Overview


def status(
    *,
    at: At = None,
    observe_port: ObservePort,
    bootstrap: Bootstrap,
    prefix: Prefix,
    group: Group,
    registry: Registry,
    as_json: AsJson = False,
) -> None:
    """Is it us, Kafka or GeNiE? One line says; then each part, what is wrong with it, and what to type.

    Asks the brokers, the group, and each running process (named by --at, else found through the group), and counts
    holds and parked records. Nothing is changed.

    Status 0: all is well. 1: something is wrong. 3: a part could not be asked.

    Example: gateway status
    """
    from gateway.kafka.names import TopicNames
    from gateway.oncall.survey import survey

    connection, port, named = connect(bootstrap), port_of(observe_port), places(at)
    overview = asyncio.run(survey(connection, TopicNames(prefix), registry or None, group, named, port))
    answer("\n".join(lines(overview)), data(overview), as_json=as_json)
    if overview.unreachable:
        raise typer.Exit(Exit.UNREACHABLE)
    if overview.wrong:
        raise typer.Exit(Exit.FOUND_WRONG)


def lines(overview: Overview) -> Iterator[str]:
    """For a person."""
    from gateway.oncall import times

    yield times.shown(overview.at)
    yield overview.verdict
    yield ""
    rows = table(("", "", ""), [(part.level.value, part.name, part.line) for part in overview.parts]).split("\n")[1:]
    for part, row in zip(overview.parts, rows, strict=True):
        yield row
        yield from (f"    {detail}" for detail in part.details)
        for finding in part.findings:
            yield f"    {finding.whose.value}: {finding.text}"
    commands = list(dict.fromkeys(each for part in overview.parts for found in part.findings for each in found.type))
    if commands:
        yield ""
        yield "to type next:"
        yield from (f"  {command}" for command in commands)


def data(overview: Overview) -> dict[str, Any]:
    """For a program."""
    from gateway.oncall import times

    return {
        "at": times.iso(overview.at),
        "verdict": overview.verdict,
        "parts": [
            {
                "name": part.name,
                "level": part.level.value.lower(),
                "line": part.line,
                "details": part.details,
                "findings": [
                    {
                        "level": finding.level.value.lower(),
                        "whose": finding.whose.value,
                        "text": finding.text,
                        "type": finding.type,
                    }
                    for finding in part.findings
                ],
            }
            for part in overview.parts
        ],
    }
