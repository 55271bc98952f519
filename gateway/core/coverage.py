"""How many of a long row of offsets were seen at all, in memory that does not grow with it.

Knows counters alone: each stands for as many neighbours as it must for all of the log to have one, and counts no more
than they are. So what is said is exact for a log of up to COUNTERS offsets; in a longer one an offset seen twice may
hide a neighbour that was not, never one farther off.
"""

from __future__ import annotations

from array import array

COUNTERS = 65_536  # 4 bytes each, for each lane


class Coverage:
    """Of the offsets below `end`."""

    __slots__ = ("_counts", "_end", "_width")

    def __init__(self, end: int) -> None:
        self._end = end
        self._width = end // COUNTERS + 1
        self._counts = array("I", [0]) * COUNTERS

    def see(self, offset: int) -> None:
        """Count it; one that is not in the row is left out."""
        at = offset // self._width
        if 0 <= offset < self._end and self._counts[at] < self._width:
            self._counts[at] += 1

    @property
    def seen(self) -> int:
        """How many; too many only if some were seen twice."""
        return sum(self._counts)
