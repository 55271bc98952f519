"""Waits between attempts."""

from random import Random

from gateway.genie.retry import FIRST_WINDOW_MS, MAX_WAIT_MS, MIN_WAIT_MS, Backoff


def test_waits_are_a_function_of_attempt_and_seed() -> None:
    """The same seed gives the same waits, so that a simulation can be run again."""
    first, second = Backoff(Random(7)), Backoff(Random(7))
    assert [first(n) for n in range(1, 20)] == [second(n) for n in range(1, 20)]


def test_windows_double_up_to_the_cap() -> None:
    """Each wait is drawn from a window that doubles, and never exceeds the cap however many attempts there were."""
    backoff = Backoff(Random(1))
    for attempt in (1, 2, 3, 10, 1_000, 10**9):
        window = min(MAX_WAIT_MS, FIRST_WINDOW_MS * 2 ** min(attempt - 1, 30))
        waits = [backoff(attempt) for _ in range(300)]
        assert min(waits) >= MIN_WAIT_MS
        assert max(waits) <= window
        # Full jitter: the draws reach both ends of the window.
        assert min(waits) < window * 0.2
        assert max(waits) > window * 0.8


def test_never_before_retry_after() -> None:
    """Jitter comes on top of Retry-After, so that not all come back in the same moment."""
    backoff = Backoff(Random(1))
    waits = {backoff(1, 5_000) for _ in range(50)}
    assert min(waits) >= 5_000
    assert len(waits) > 10
