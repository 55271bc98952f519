"""The privacy policy that the gateway beside this command has, and what else it decides by."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.errors import CommandError, Exit
from gateway.cli.kafka_options import set_or

if TYPE_CHECKING:
    from gateway.core.policy import Policy
    from gateway.oncall.standing import Rules

EXPIRES_MS, SKEW_MS = "30000", "5000"  # as in sections.py, which a command does not load for two numbers

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


def rules_by(path: str) -> Rules:
    """What the gateway decides by, with the policy in this file, or the one of this release."""
    from gateway.oncall.standing import Rules

    expires, skew = set_or("genie.expires_ms", EXPIRES_MS)(), set_or("genie.skew_ms", SKEW_MS)()
    return Rules(policy_in(path), int(expires), int(skew))
