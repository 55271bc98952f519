"""The body that GeNiE gets: the allow-listed fields of an event, and nothing else."""

from __future__ import annotations

import hashlib

from gateway.core.decide import Scope
from gateway.core.events import Event
from gateway.core.identity import Identity
from gateway.core.policy import Policy


def body_digest(body: bytes) -> bytes:
    """SHA-256 of a canonical body."""
    return hashlib.sha256(body).digest()


class Minimiser:
    """Makes bodies."""

    def __init__(self, policy: Policy, identity: Identity) -> None:
        self._policy = policy
        self._identity = identity

    def body(self, event: Event, scope: Scope) -> bytes:
        raise NotImplementedError
