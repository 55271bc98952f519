"""When each event is due: by a clock alone, whatever becomes of those before it.

Knows rates and seconds. Must not know events, Kafka or any real clock.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self


class ScheduleError(ValueError):
    """No such schedule can be made."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """So many events a second for so many seconds."""

    rate: float
    seconds: float

    @property
    def events(self) -> float:
        return self.rate * self.seconds


@dataclass(frozen=True, slots=True)
class Schedule:
    """Stretches, one after the other."""

    stretches: Sequence[Stretch]

    @classmethod
    def parse(cls, text: str) -> Self:
        """RATExSECONDS, several with commas: `1000x10,10000x5`. Raises ScheduleError."""
        stretches = []
        for part in text.split(","):
            rate, _, seconds = part.partition("x")
            try:
                stretch = Stretch(float(rate), float(seconds))
            except ValueError:
                stretch = Stretch(math.nan, math.nan)
            if not (0 < stretch.rate < math.inf and 0 < stretch.seconds < math.inf):
                raise ScheduleError(f"{part!r}: write RATExSECONDS, both above 0, such as 1000x10")
            stretches.append(stretch)
        return cls(tuple(stretches))

    def __str__(self) -> str:
        return ",".join(f"{stretch.rate!r}x{stretch.seconds!r}" for stretch in self.stretches)  # to the last digit

    @property
    def seconds(self) -> float:
        return sum(stretch.seconds for stretch in self.stretches)

    @property
    def events(self) -> int:
        """All of them."""
        return round(sum(stretch.events for stretch in self.stretches))

    def due(self, elapsed: float) -> int:
        """How many events are due by then."""
        count = 0.0
        for stretch in self.stretches:
            if elapsed < stretch.seconds:
                return int(count + stretch.rate * max(0.0, elapsed))
            count += stretch.events
            elapsed -= stretch.seconds
        return self.events

    def due_at(self, number: int) -> float:
        """When the event of this number, counted from 0, is due: so many seconds after the beginning."""
        left, began = number + 1.0, 0.0
        for stretch in self.stretches:
            if left <= stretch.events:
                return began + left / stretch.rate
            left -= stretch.events
            began += stretch.seconds
        return began
