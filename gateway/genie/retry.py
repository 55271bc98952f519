"""How long to wait before the next attempt: exponential, full jitter, capped, never before Retry-After.

Knows tenacity's wait strategies. Must not know what is retried or whether: the lane decides that.
"""

from __future__ import annotations

from random import Random

from tenacity import RetryCallState, Retrying
from tenacity.wait import wait_exponential

FIRST_WINDOW_MS = 200  # the first wait is drawn from this; each further window is twice as wide
MIN_WAIT_MS = 20
MAX_WAIT_MS = 10_000  # bounds how long an entry sleeps after GeNiE is well again


class _FullJitter(wait_exponential):
    """What tenacity's wait_random_exponential does, but drawing from a generator that the caller may seed."""

    def __init__(self, rng: Random) -> None:
        super().__init__(multiplier=FIRST_WINDOW_MS / 1000, min=MIN_WAIT_MS / 1000, max=MAX_WAIT_MS / 1000)
        self._rng = rng

    def __call__(self, retry_state: RetryCallState) -> float:
        return self._rng.uniform(self.min, super().__call__(retry_state))


class Backoff:
    """Computes waits; nothing but the number of the attempt and the generator goes in."""

    __slots__ = ("_jitter", "_owner")

    def __init__(self, rng: Random) -> None:
        self._jitter = _FullJitter(rng)
        self._owner = Retrying()

    def __call__(self, attempt: int, retry_after_ms: int | None = None) -> int:
        """The wait after the failed `attempt` (from 1), in ms; jitter comes on top of Retry-After."""
        state = RetryCallState(self._owner, None, (), {})
        state.attempt_number = max(attempt, 1)
        return (retry_after_ms or 0) + round(self._jitter(state) * 1000)
