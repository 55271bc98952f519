"""The option that names the privacy policy, as data, that the gateway beside this command has."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.errors import CommandError, Exit
from gateway.cli.kafka_options import set_or

if TYPE_CHECKING:
    from gateway.core.policy import Policy

PolicyFile = Annotated[
    str,
    typer.Option(
        envvar="GATEWAY_POLICY_FILE",
        default_factory=set_or("policy_file", ""),
        show_default=False,
        help="The privacy policy as data; none: the one of this release.",
    ),
]


def policy_in(path: str) -> Policy:
    """The policy in this file, or the one of this release."""
    from gateway import policies
    from gateway.core.policy import PolicyError

    try:
        return policies.load(Path(path) if path else None)
    except PolicyError as error:
        raise CommandError(Exit.WRONG_USE, str(error)) from error
