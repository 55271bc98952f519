"""The retry budget, on a clock of the test's own."""

import pytest

from gateway.genie.budget import BURST, EXTRA, LEAST_PER_S, MAX_WAIT_S, SPAN_S, RetryBudget


class Clock:
    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def budget(clock: Clock) -> RetryBudget:
    return RetryBudget(clock)


def turns(budget: RetryBudget, count: int) -> list[int]:
    return [budget.take() for _ in range(count)]


def run(budget: RetryBudget, clock: Clock, per_second: int, seconds: float) -> None:
    """Make requests at a steady rate."""
    for _ in range(round(per_second * seconds)):
        clock.seconds += 1 / per_second
        budget.count()


def test_a_few_retries_wait_for_nothing(budget: RetryBudget) -> None:
    """The failures of an ordinary hour go again as soon as their backoff lets them."""
    assert turns(budget, BURST) == [0] * BURST


def test_retries_of_an_outage_go_one_after_the_other(budget: RetryBudget) -> None:
    """With nothing else to send, what failed all at once goes again at the least rate, and no slower."""
    turns(budget, BURST + 1)
    assert turns(budget, 10) == [round(1000 * n / LEAST_PER_S) for n in range(1, 11)]


def test_at_most_a_tenth_more(budget: RetryBudget, clock: Clock) -> None:
    """If every tenth, every second or every request fails, no more than a tenth of the first sends is made again."""
    for every in (10, 2, 1):
        run(budget, clock, 200, 5 * SPAN_S)  # calm, so that the budget is full
        began, firsts, retried = clock.seconds, 0, 0
        turns: list[float] = []
        while clock.seconds < began + MAX_WAIT_S / 2:
            clock.seconds += 1 / 200
            due = sum(turn <= clock.seconds for turn in turns)
            turns, retried, firsts = turns[due:], retried + due, firsts + 1
            for _ in range(1 + due):
                budget.count()
            if firsts % every == 0:
                turns.append(clock.seconds + budget.take() / 1000)
        assert 0.8 * EXTRA * firsts <= retried <= EXTRA * firsts + BURST


def test_the_rate_follows_what_is_sent(budget: RetryBudget, clock: Clock) -> None:
    """Many requests earn many retries; when they stop, the budget shrinks to the least."""
    run(budget, clock, 1_000, 5 * SPAN_S)
    assert budget.per_second == pytest.approx(1_000 * EXTRA / (1 + EXTRA), rel=0.05)
    clock.seconds += 20 * SPAN_S
    assert budget.per_second == LEAST_PER_S


def test_no_retry_waits_for_ever(budget: RetryBudget, clock: Clock) -> None:
    """However many fail, each goes again within the bound, and what failed long ago delays nobody."""
    assert max(turns(budget, 100_000)) == MAX_WAIT_S * 1000
    assert budget.wait_s == MAX_WAIT_S
    clock.seconds += MAX_WAIT_S + BURST / LEAST_PER_S
    assert budget.wait_s == 0
    assert turns(budget, BURST) == [0] * BURST
