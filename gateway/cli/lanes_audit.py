"""Who says where lanes start, and why: asked for before anything is read, and written down before anything is set.

Knows what may be left out at a first start. Must not know how a start is found or set.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sized
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.desk_options import operator, telling
from gateway.cli.errors import CommandError, Exit
from gateway.cli.kafka_options import login_at

if TYPE_CHECKING:
    from gateway.kafka.connection import KafkaConnection
    from gateway.kafka.names import TopicNames
    from gateway.oncall.audit import Operator

NOT_GIVEN = "not given"  # in the audit of a first start, where a chart's job may name nobody

Starter = Annotated[
    str,
    typer.Option(
        "--operator",
        envvar=["GATEWAY_OPERATOR", "USER"],
        show_default=False,
        help="Who asks: goes into the audit; needed with --force.",
    ),
]
WhyReplace = Annotated[
    str,
    typer.Option(
        "--reason",
        show_default=False,
        help="Why, in your words, without personal data: goes into the audit; needed with --force.",
    ),
]
ReplaceTicket = Annotated[
    str,
    typer.Option(
        "--ticket", show_default=False, help="The ticket it belongs to: goes into the audit; needed with --force."
    ),
]


def starter(name: str, reason: str, ticket: str, *, force: bool) -> Operator:
    """Who asks: to replace offsets all three must be said, for a first start none."""
    missing = [option for option, text in (("operator", name), ("reason", reason), ("ticket", ticket)) if not text]
    if force and missing:
        raise CommandError(
            Exit.WRONG_USE,
            f"--force replaces offsets, which is audited: give {' and '.join(f'--{option}' for option in missing)} too",
        )
    return operator(name or NOT_GIVEN, reason or NOT_GIVEN, ticket or NOT_GIVEN)


@asynccontextmanager
async def auditing(
    connection: KafkaConnection, names: TopicNames, registry: str, asks: Operator
) -> AsyncIterator[Callable[[Sized], Awaitable[None]]]:
    """What writes down that the starts of these lanes are about to be set.

    Raises TopicMissingError at once, not after a long reading, where there is no audit topic; KafkaUnavailableError.
    """
    from gateway.kafka.cluster import TopicMissingError, describe
    from gateway.oncall.audit import Deed, audited
    from gateway.oncall.desk import open_desk

    async with open_desk(connection, names, registry or None, telling(), login=login_at(registry)) as desk:
        if names.audit not in (await describe(desk.client, [names.audit])).topics:
            raise TopicMissingError([names.audit])

        async def note(lanes: Sized) -> None:
            await audited(desk, asks, Deed("lanes init", count=len(lanes)))

        yield note
