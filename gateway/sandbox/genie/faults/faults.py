"""The faults that are on: whom they strike, and how often they did.

Knows shares, bursts and marks. Must not know what any fault does.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TypeVar

from gateway.sandbox.genie.answer import Answer, Wire
from gateway.sandbox.genie.books import Status
from gateway.sandbox.genie.faults import parameters
from gateway.sandbox.genie.faults.entries import EntryFault
from gateway.sandbox.genie.faults.fault import Fault, FaultError, MarkedFault, Point, RequestFault
from gateway.sandbox.genie.faults.signature import SignatureFault
from gateway.sandbox.genie.faults.table import KINDS
from gateway.sandbox.genie.faults.tls import HandshakeFault

F = TypeVar("F", bound=Fault)


class Faults:
    """The faults that are on, drawn from one seed; `now` is a monotonic clock in seconds."""

    def __init__(self, seed: int, now: Callable[[], float] = time.monotonic) -> None:
        self.seed = seed
        self.active: Mapping[str, Fault] = {}
        self.hits: Counter[str] = Counter()
        self.on_new_handshakes: Callable[[], None] = _nothing  # called when connections must be opened anew
        self._chance = random.Random(seed)
        self._now = now
        self._burst_until: dict[str, float] = {}

    def replace(self, wanted: Mapping[str, object]) -> None:
        """Switch to exactly these faults: {name: {share, parameter, ..}}. On FaultError nothing changes."""
        self._switch({name: _read(name, given) for name, given in wanted.items()})

    def add(self, wanted: Mapping[str, object]) -> None:
        """Switch these on, or to other parameters; the rest stays as it is. On FaultError nothing changes."""
        self._switch({**self.active, **{name: _read(name, given) for name, given in wanted.items()}})

    async def strike(self, point: Point, wire: Wire) -> Answer | None:
        """Let the faults of this point act; the first answer is the answer. May raise ConnectionCut."""
        for name, fault in self.active.items():
            if fault.point is point and self._hit(name, fault, wire):
                answer = await fault.act(wire, self._chance)
                if answer is not None:
                    return answer
        return None

    def whim(self) -> Status | None:
        """Whether to refuse the next entry."""
        fault = self._first(EntryFault)
        return fault.status if fault else None

    def signing(self, wire: Wire) -> SignatureFault | None:
        """Who signs the next answer in GeNiE's place."""
        return self._first(SignatureFault, wire)

    def handshake(self) -> HandshakeFault | None:
        """What befalls the next connection."""
        return self._first(HandshakeFault)

    def _switch(self, wanted: Mapping[str, Fault]) -> None:
        before = self.active
        self.active = {name: wanted[name] for name in KINDS if name in wanted}
        self._burst_until = {name: until for name, until in self._burst_until.items() if name in self.active}
        if _handshakes(before) != _handshakes(self.active):
            self.on_new_handshakes()

    def _first(self, kind: type[F], wire: Wire | None = None) -> F | None:
        for name, fault in self.active.items():
            if isinstance(fault, kind) and self._hit(name, fault, wire):
                return fault
        return None

    def _hit(self, name: str, fault: Fault, wire: Wire | None) -> bool:
        if wire is not None and isinstance(fault, RequestFault) and not fault.aims_at(wire):
            return False
        hit = self._marked(fault, wire) if isinstance(fault, MarkedFault) else self._drawn(name, fault)
        self.hits[name] += hit
        return hit

    def _marked(self, fault: MarkedFault, wire: Wire | None) -> bool:
        return wire is not None and any(fault.marks(key, self.seed) for key in wire.keys)

    def _drawn(self, name: str, fault: Fault) -> bool:
        if self._now() < self._burst_until.get(name, 0):
            return True
        hit = self._chance.random() < fault.share
        if hit and fault.burst_s:
            self._burst_until[name] = self._now() + fault.burst_s
        return hit


def _read(name: str, given: object) -> Fault:
    kind = KINDS.get(name)
    if kind is None:
        raise FaultError(f"there is no fault {name!r}; there are {', '.join(KINDS)}")
    return parameters.read(name, kind, given)


def _handshakes(faults: Mapping[str, Fault]) -> list[Fault]:
    return [fault for fault in faults.values() if isinstance(fault, HandshakeFault)]


def _nothing() -> None:
    """Nobody listens yet."""
