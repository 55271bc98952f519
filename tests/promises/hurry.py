"""Waits that a test can't sit through, cut short; what is waited for stays the same."""

import dataclasses
from typing import Any

from gateway import app, lookout, renewal
from gateway.core.rules import Limits
from gateway.genie import budget, contract
from gateway.kafka import consent_view
from tests.promises.patching import Named, replace

NAMED = Named()
LATE_MS = 2_500  # a bound of the histogram of latencies
SMALL_BURST, SMALL_PER_S = 1, 2.0
SHORT_PAUSE_MS = 500


def _limit(**limits: int) -> None:
    plain = app.Gateway._limits

    def hurried(self: app.Gateway, *lane: Any, **of: Any) -> Limits:
        return dataclasses.replace(plain(self, *lane, **of), **limits)

    replace(app.Gateway, "_limits", hurried)


@NAMED
def stops_are_short() -> None:
    """A lane that stopped tries again soon."""
    _limit(stop_retry_ms=300)


@NAMED
def gives_up_soon() -> None:
    """An hour of not knowing is over soon, and three attempts are many."""
    _limit(unknown_limit_ms=5_000, failed_attempts=3)


@NAMED
def a_small_budget() -> None:
    """A few retries use the budget up."""
    replace(budget, "BURST", SMALL_BURST)
    replace(budget, "LEAST_PER_S", SMALL_PER_S)


@NAMED
def comes_back_soon() -> None:
    """No Retry-After makes it wait for longer than this."""
    replace(contract, "MAX_RETRY_AFTER_MS", SHORT_PAUSE_MS)


@NAMED
def looks_often() -> None:
    """Keys and certificates are looked at all the time."""
    replace(renewal, "LOOK_EVERY_S", 0.2)
    replace(renewal, "PROVE_EVERY_S", 0.2)


@NAMED
def late_soon() -> None:
    """Seconds are late, and what is late or stale is seen at once."""
    replace(lookout, "OVERDUE_MS", LATE_MS)
    replace(lookout, "LAG_EVERY_S", 0.5)
    replace(consent_view, "REFRESH_S", 0.5)
