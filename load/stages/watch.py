"""Takes the CPU time of what is worth timing, round by round, beside a piece of work that never changes.

Knows CPU seconds of this process, all its threads, and the yardstick. Must not know what is timed.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from statistics import median, quantiles

WARM_UP_ROUNDS = 2  # code is compiled, connections are open and caches are filled behind them
YARDS = 4_000  # pieces of work beside each round: some milliseconds
_BYTES = b"y" * 300


@dataclass(frozen=True, slots=True)
class Measured:
    """CPU µs an event over all rounds."""

    us: float  # median
    low_us: float  # first quartile
    high_us: float  # third quartile
    yards: float  # the median over that of the yardstick beside each round
    rounds: int
    events: int  # a round


class Watch:
    """`for _ in watch.rounds(events)`: inside, `with watch:` around what counts."""

    def __init__(self, rounds: int) -> None:
        self._rounds = rounds
        self._began = 0.0
        self._spent = 0.0
        self._events = 0
        self._costs: list[float] = []
        self._yards: list[float] = []  # what the yardstick cost

    def rounds(self, events: int) -> Iterator[int]:
        """So many rounds of so many events, the warm-up first."""
        self._events = events
        for number in range(WARM_UP_ROUNDS + self._rounds):
            self._spent = 0.0
            gc.freeze()  # what earlier rounds left is not walked through in this one
            yield number
            if number >= WARM_UP_ROUNDS:
                self._costs.append(self._spent / events * 1e6)
                self._yards += yardstick(), yardstick()

    def __enter__(self) -> None:
        self._began = time.process_time()

    def __exit__(self, *_: object) -> None:
        self._spent += time.process_time() - self._began

    def measured(self) -> Measured:
        """What it came to."""
        costs = self._costs
        low, _, high = quantiles(costs, n=4, method="inclusive") if len(costs) > 1 else costs * 3
        middle = median(costs)
        return Measured(middle, low, high, middle / median(self._yards), len(costs), self._events)


def yardstick() -> float:
    """CPU µs of one yard: a mapping, a number and a digest, as an event is mostly made of."""
    began = time.process_time()
    for number in range(YARDS):
        record = {"number": number, "text": str(number), "digest": sha256(_BYTES).digest()}
        sorted(record)
    return (time.process_time() - began) / YARDS * 1e6
