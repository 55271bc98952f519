"""Whether one event may be provided now, and with which scope."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core.consent import Consent, ConsentState
from gateway.core.events import Event
from gateway.core.policy import Policy
from gateway.core.reasons import Reason


@dataclass(frozen=True, slots=True)
class Scope:
    """All that a body depends on besides its event: what was consented to, under which version, when."""

    items: tuple[str, ...]  # sorted
    purposes: tuple[str, ...]  # sorted
    policy_version: int  # JST day
    consented_at: int  # ms


@dataclass(frozen=True, slots=True)
class Permit:
    """The event may be provided, with this scope, on the ground of this consent."""

    scope: Scope
    consent: Consent


def decide(
    event: Event, state: ConsentState, policy: Policy, *, now: int, expires_at: int, skew_ms: int
) -> Permit | Reason:
    raise NotImplementedError
