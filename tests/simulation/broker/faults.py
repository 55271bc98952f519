"""What goes wrong with single requests: an answer is lost, late, or an error; a request is worked on late.

Knows requests by their names alone. What a network does to connections is the network's matter, and a request that is
worked on late takes its effect even when its client has given up the connection: that is how an old EndTxn can come
after a new one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import Enum

from tests.simulation.broker.api import Api
from tests.simulation.broker.errors import Error


class Effect(Enum):
    """What happens to a request."""

    LOSE_ANSWER = "it is done, but its connection is reset instead of an answer"
    DELAY_ANSWER = "it is done, and answered late"
    DELAY_REQUEST = "it is done late"
    REFUSE = "it is not done but answered with an error"


@dataclass(slots=True)
class Fault:
    """Meets the requests of one API, after `skip` of them, `times` of them; of one node or client if named."""

    api: Api
    effect: Effect
    skip: int = 0
    times: int = 1
    delay_ms: float = 0.0
    error: Error = Error.NONE
    node_id: int | None = None
    client_id: str | None = None

    def concerns(self, api: Api, node_id: int, client_id: str) -> bool:
        """Whether such a request is one of those counted."""
        return (
            self.api is api
            and self.node_id in {None, node_id}
            and (self.client_id is None or self.client_id == client_id)
        )


class Faults:
    """Those that are still to come; each that happens is counted."""

    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts
        self._coming: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Let it happen."""
        self._coming.append(fault)

    def clear(self) -> None:
        """Nothing more goes wrong with requests."""
        self._coming.clear()

    def meets(self, api: Api, node_id: int, client_id: str) -> Fault | None:
        """The fault that this request meets."""
        met: Fault | None = None
        for fault in self._coming:
            if not fault.concerns(api, node_id, client_id):
                continue
            if fault.skip:
                fault.skip -= 1
            elif met is None:
                met = fault
        if met is None:
            return None
        met.times -= 1
        if met.times <= 0:
            self._coming.remove(met)
        self._counts[f"{met.effect.name} {api.name}"] += 1
        return met
