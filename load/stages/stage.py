"""What one stage costs, as a value and as JSON.

Knows figures. Must not know how they are measured or shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage; times are CPU µs an event."""

    name: str
    sentence: str
    within: str | None  # the stage that it is a part of
    counts: bool  # it lies on the way of an event in batches
    us: float  # median of all rounds
    low_us: float  # first quartile
    high_us: float  # third quartile
    yards: float  # over the yardstick beside it
    rounds: int
    events: int  # a round

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Stage:
        """What `to_json` wrote."""
        return cls(**document)
