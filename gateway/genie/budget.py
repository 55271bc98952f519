"""How many requests may be made again: at most a tenth more than GeNiE would get anyway.

Knows how many requests are made and how many are to be made again. Must not know what failed, or why. Nothing is
refused here: a retry is told to wait longer, and its turn is counted. First sends and lookups never ask.

Two bounds keep the budget from being worse than what it prevents. LEAST_PER_S retries a second are always allowed:
after an outage there may be nothing else to send. And none waits longer than MAX_WAIT_S, because the order of its
subject and its lane's window wait with it; what waits together rides together, in few requests.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from math import exp

EXTRA = 0.1  # retries for each first send
LEAST_PER_S = 5.0
BURST = 20  # at once, after a time with few retries
SPAN_S = 10.0  # over which requests are counted, the latest weighing most
MAX_WAIT_S = 30.0

_OF_ALL = EXTRA / (1 + EXTRA)  # the same bound, told of all requests: nobody has to know which ones are retries


class RetryBudget:
    """One for all lanes of the process; `now` is a monotonic clock in seconds."""

    __slots__ = ("_counted_at", "_next_at", "_now", "_requests")

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._requests = 0.0  # of the last SPAN_S
        self._counted_at = now()
        self._next_at = float("-inf")  # when the next retry has its turn; what lies back is credit for a burst

    @property
    def per_second(self) -> float:
        """How many retries there may be now."""
        return max(LEAST_PER_S, _OF_ALL * self._recent() / SPAN_S)

    @property
    def wait_s(self) -> float:
        """How long a retry would have to wait now."""
        return max(0.0, self._next_at - self._now())

    def count(self) -> None:
        """A request was made, the first time or again."""
        self._requests = self._recent() + 1
        self._counted_at = self._now()

    def take(self) -> int:
        """Take the next turn for a request that is to be made again; how far away it is, ms."""
        now, rate = self._now(), self.per_second
        turn = max(self._next_at, now - BURST / rate)
        self._next_at = min(turn + 1 / rate, now + MAX_WAIT_S)
        return max(0, round((turn - now) * 1000))

    def _recent(self) -> float:
        return self._requests * exp((self._counted_at - self._now()) / SPAN_S)
