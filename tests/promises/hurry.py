"""Waits that a test can't sit through, cut short; what is waited for stays the same."""

import dataclasses

from gateway import app, renewal
from gateway.core import fates
from tests.promises.patching import Named, replace

NAMED = Named()


def _limit(**limits: int) -> None:
    plain = app.Gateway._limits
    replace(app.Gateway, "_limits", lambda self: dataclasses.replace(plain(self), **limits))


@NAMED
def stops_are_short() -> None:
    """A lane that stopped tries again soon."""
    _limit(stop_retry_ms=300)


@NAMED
def gives_up_soon() -> None:
    """An hour of not knowing is over soon, and three attempts are many."""
    _limit(unknown_limit_ms=5_000)
    replace(fates, "MAX_FAILED_ATTEMPTS", 3)


@NAMED
def looks_often() -> None:
    """Keys and certificates are looked at all the time."""
    replace(renewal, "LOOK_EVERY_S", 0.2)
    replace(renewal, "PROVE_EVERY_S", 0.2)
