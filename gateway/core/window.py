"""The window of one lane: which delivered offsets are settled, and the watermark below which all are.

Knows offsets and nothing of what is at them. Offsets that Kafka never delivers (markers, aborted, compacted)
count as settled once the position has passed them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable


class Window:
    """Delivered and settled offsets of one input partition, from the watermark on.

    `offset` and `settled` are what the last commit says: the committed offset, and the offsets settled beyond it.
    """

    __slots__ = ("_pending", "_position", "_settled", "_unsettled")

    def __init__(self, offset: int, settled: Iterable[int] = ()) -> None:
        self._position = offset
        self._settled = {o for o in settled if o >= offset}
        self._pending: deque[int] = deque()
        self._unsettled = 0

    @property
    def position(self) -> int:
        """The next offset that may be delivered."""
        return self._position

    @property
    def unsettled(self) -> int:
        """How many delivered offsets are not settled yet."""
        return self._unsettled

    @property
    def watermark(self) -> int:
        """The first unsettled delivered offset, or the position if there is none: what is committed."""
        return self._pending[0] if self._pending else self._position

    @property
    def span(self) -> int:
        """How far the position is from the watermark."""
        return self._position - self.watermark

    def deliver(self, offset: int) -> bool:
        """Take note of a delivered offset; False if it is settled already and must be skipped."""
        if offset < self._position:
            raise AssertionError(f"offset {offset} delivered again: position is {self._position}")
        self._position = offset + 1
        if offset in self._settled:
            return False
        self._pending.append(offset)
        self._unsettled += 1
        return True

    def advance(self, position: int) -> None:
        """The consumer's position: what was not delivered below it never will be."""
        self._position = max(self._position, position)

    def settle(self, offset: int) -> None:
        """Mark a delivered offset as settled."""
        if offset in self._settled:
            raise AssertionError(f"offset {offset} settled twice")
        self._settled.add(offset)
        self._unsettled -= 1
        pending = self._pending
        while pending and pending[0] in self._settled:
            self._settled.discard(pending.popleft())

    def settled_beyond(self) -> list[int]:
        """Settled offsets beyond the watermark, ascending: what the commit's metadata must say."""
        watermark = self.watermark
        self._settled = {o for o in self._settled if o >= watermark}
        return sorted(self._settled)
