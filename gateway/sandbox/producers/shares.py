"""Named tables of shares, and an even way to draw from them.

Knows arithmetic only.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from itertools import accumulate
from typing import Generic, Protocol, TypeVar

_GOLDEN = 0.6180339887498949


class HasShare(Protocol):
    """A member of a closed set that says how often it occurs."""

    @property
    def share(self) -> float: ...


T = TypeVar("T", bound=HasShare)


class Shares(Generic[T]):
    """A table of shares; `pick` maps a number from 0 to 1 to a row. What is left of 1 is None."""

    __slots__ = ("_bounds", "_rows")

    def __init__(self, rows: Iterable[T]) -> None:
        self._rows: Sequence[T] = tuple(rows)
        self._bounds = tuple(accumulate(row.share for row in self._rows))
        if self._bounds[-1] > 1 + 1e-9:
            raise ValueError(f"the shares of {type(self._rows[0]).__name__} add up to more than 1")

    def pick(self, number: float) -> T | None:
        """The row that `number` falls into."""
        place = bisect_right(self._bounds, number)
        return self._rows[place] if place < len(self._rows) else None


def evenly(number: int, seed: int) -> float:
    """The `number`-th of a sequence that fills 0 to 1 evenly, so that rare rows occur in short runs too."""
    return ((number + seed % 1_000_003) * _GOLDEN) % 1.0


def made_uuid(seed: int, what: str, *numbers: int) -> str:
    """A UUID of version 4 that follows from its arguments alone."""
    digest = blake2b(repr((seed, what, numbers)).encode(), digest_size=16).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-a{digest[17:20]}-{digest[20:]}"
