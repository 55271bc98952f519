"""The HTTP slots of a lane: asked for when there is something to send, given back when there is not.

Knows counts. Must not know what a slot is used for, or the slots of other lanes.
"""

from __future__ import annotations

from gateway.core.facts import FreeSlots, WantSlots


class Slots:
    """Slots held for batches that are not formed yet."""

    __slots__ = ("_asked", "held")

    def __init__(self) -> None:
        self.held = 0
        self._asked = False

    def grant(self, count: int) -> None:
        """What was asked for, or a part of it."""
        self._asked = False
        self.held += count

    def use(self) -> None:
        """One goes with a batch."""
        self.held -= 1

    def balance(self, wanted: int) -> WantSlots | FreeSlots | None:
        """Ask for what is missing; if nothing is wanted, give all back at once: other lanes may wait for them."""
        if not wanted and self.held:
            held, self.held = self.held, 0
            return FreeSlots(held)
        if self._asked or wanted <= self.held:
            return None
        self._asked = True
        return WantSlots(wanted - self.held)
