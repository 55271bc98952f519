"""Notices that the wall clock of this machine was set: it then moved otherwise than the monotonic clock.

Knows the two clocks. Must not know what depends on them. A clock that is slewed, or drifts, moves too little between
two looks to be noticed here; how far it is from GeNiE's is measured by GeNiE's answers.
"""

from __future__ import annotations

import time


class ClockWatch:
    """`look` again and again."""

    def __init__(self) -> None:
        self._looked = _both()

    def look(self) -> int:
        """By how many ms the wall clock was set since the last look; a machine that slept looks the same."""
        before, self._looked = self._looked, _both()
        return (self._looked[0] - before[0]) - (self._looked[1] - before[1])


def _both() -> tuple[int, int]:
    return time.time_ns() // 1_000_000, time.monotonic_ns() // 1_000_000
