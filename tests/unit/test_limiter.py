"""Slots for requests: fairness, AIMD, and the breaker, on a clock of the test's own."""

import asyncio
from collections.abc import Callable

import pytest

from gateway.core.outcome import Answer, Loss, Lost, NotSent, Reply, Unsent
from gateway.genie.budget import RetryBudget
from gateway.genie.limiter import INITIAL_SLOTS, OPEN_AFTER, Limiter, Seen, seen


def reply(status: int, verified: bool = True) -> Reply:
    return Reply(status, verified, "application/json", None, None, None, b"", "k" if verified else None)


GOOD, BUSY, UNAVAILABLE = reply(200), reply(429), reply(503)
LOST, UNSENT = Lost(Loss.TIMEOUT), NotSent(Unsent.REFUSED)
PAUSE_MS = 1_000_000  # so long that the loop's own timer never fires within a test


class Clock:
    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def limiter(clock: Clock, maximum: int = 64, waits: Callable[[int], int] = lambda n: n * PAUSE_MS) -> Limiter:
    return Limiter(maximum=maximum, waits=waits, now=clock)


async def settled() -> None:
    """Let every task run until it waits."""
    for _ in range(5):
        await asyncio.sleep(0)


def break_it(subject: Limiter, answer: Answer = LOST) -> None:
    for _ in range(OPEN_AFTER):
        subject.observe(answer)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (GOOD, Seen.TAKEN),
        (reply(422), Seen.TAKEN),
        (BUSY, Seen.BUSY),
        (UNAVAILABLE, Seen.UNAVAILABLE),
        (reply(500), Seen.LOST),
        (reply(200, verified=False), Seen.LOST),
        (reply(429, verified=False), Seen.LOST),
        (LOST, Seen.LOST),
        (UNSENT, Seen.UNSENT),
        (NotSent(Unsent.EXPIRED), None),
        (NotSent(Unsent.CLOSED), None),
    ],
)
def test_what_an_answer_says_about_genie(answer: Answer, expected: Seen | None) -> None:
    """Only what GeNiE did counts; our own delays say nothing about it."""
    assert seen(answer) is expected


async def test_first_come_first_served(clock: Clock) -> None:
    """Who waits longer gets its slot first, and nobody gets more than was asked for."""
    subject = limiter(clock, maximum=1)
    assert await subject.acquire(5) == 1
    order: list[str] = []

    async def lane(name: str) -> None:
        assert await subject.acquire(1) == 1
        order.append(name)

    lanes = [asyncio.create_task(lane(name)) for name in "abc"]
    await settled()
    assert (order, subject.waiting) == ([], 3)
    for _ in range(3):
        subject.release()
        await settled()
    assert order == ["a", "b", "c"]
    await asyncio.gather(*lanes)


async def test_free_slots_are_shared_among_those_who_wait(clock: Clock) -> None:
    """A lane that asks for everything leaves the others their share."""
    subject = limiter(clock, maximum=8)
    assert await subject.acquire(8) == INITIAL_SLOTS
    greedy, modest = asyncio.create_task(subject.acquire(8)), asyncio.create_task(subject.acquire(2))
    await settled()
    subject.release(INITIAL_SLOTS)
    assert await asyncio.gather(greedy, modest) == [4, 2]


async def test_a_cancelled_caller_loses_no_slot(clock: Clock) -> None:
    """A caller that goes away while waiting, or just as it is served, leaves its slot to others."""
    subject = limiter(clock, maximum=1)
    await subject.acquire(1)
    waiting = asyncio.create_task(subject.acquire(1))
    await settled()
    waiting.cancel()
    await asyncio.wait([waiting])
    assert subject.waiting == 0

    served = asyncio.create_task(subject.acquire(1))
    await settled()
    subject.release()  # served in this moment ...
    served.cancel()  # ... and cancelled before it could run
    await asyncio.wait([served])
    assert served.cancelled()
    assert subject.in_use == 0
    assert await subject.acquire(1) == 1


async def test_the_limit_doubles_each_round_until_the_first_pushback(clock: Clock) -> None:
    """At the start good answers raise the limit by one each, up to the maximum, and not while slots lie idle."""
    subject = limiter(clock, maximum=INITIAL_SLOTS * 2 + 1)
    for _ in range(1_000):
        subject.observe(GOOD)
    assert subject.limit == INITIAL_SLOTS
    await subject.acquire(INITIAL_SLOTS)
    for _ in range(INITIAL_SLOTS):
        subject.observe(GOOD)
    assert subject.limit == INITIAL_SLOTS * 2
    for _ in range(1_000):
        subject.observe(GOOD)
    assert subject.limit == INITIAL_SLOTS * 2 + 1


async def test_the_limit_grows_by_one_a_round_after_a_pushback(clock: Clock) -> None:
    """Once GeNiE has pushed back, good answers raise the limit by about one for each round."""
    subject = limiter(clock)
    await subject.acquire(INITIAL_SLOTS)
    subject.observe(BUSY)
    lowered = subject.limit
    for _ in range(lowered + 1):
        subject.observe(GOOD)
    assert subject.limit == lowered + 1


@pytest.mark.parametrize("answer", [BUSY, UNAVAILABLE, LOST, UNSENT])
async def test_pushback_halves_the_limit_once_a_round(clock: Clock, answer: Answer) -> None:
    """Requests that left before the limit fell do not lower it again; it never falls below one."""
    subject = limiter(clock)
    await subject.acquire(INITIAL_SLOTS)
    subject.observe(answer)
    assert subject.limit == INITIAL_SLOTS // 2
    subject.observe(answer)
    assert subject.limit == INITIAL_SLOTS // 2
    for _ in range(200):
        subject.observe(BUSY)
    assert subject.limit == 1


@pytest.mark.parametrize("answer", [UNAVAILABLE, LOST, UNSENT])
async def test_the_breaker_opens_and_nobody_gets_a_slot(clock: Clock, answer: Answer) -> None:
    """After failures in a row callers wait, although slots are free."""
    subject = limiter(clock)
    break_it(subject, answer)
    assert subject.open
    waiting = asyncio.create_task(subject.acquire(1))
    await settled()
    assert not waiting.done()
    assert subject.in_use == 0
    waiting.cancel()


async def test_failures_that_are_not_in_a_row_open_nothing(clock: Clock) -> None:
    """One good answer, or a 429, says that GeNiE is there."""
    subject = limiter(clock)
    for good in (GOOD, BUSY):
        for _ in range(OPEN_AFTER - 1):
            subject.observe(LOST)
        subject.observe(good)
    assert not subject.open


async def test_half_open_lets_one_probe_through(clock: Clock) -> None:
    """After a pause one caller gets one slot, the next only after a longer pause, and success frees all."""
    subject = limiter(clock)
    break_it(subject)
    callers = [asyncio.create_task(subject.acquire(3)) for _ in range(3)]
    await settled()

    clock.seconds += PAUSE_MS / 1000
    subject.grant()
    await settled()
    assert [caller.done() for caller in callers] == [True, False, False]
    assert callers[0].result() == 1

    subject.observe(LOST)
    subject.release()
    clock.seconds += PAUSE_MS / 1000
    subject.grant()
    await settled()
    assert not callers[1].done()
    clock.seconds += PAUSE_MS / 1000
    subject.grant()
    await settled()
    assert [caller.done() for caller in callers] == [True, True, False]

    subject.observe(GOOD)
    await settled()
    assert callers[2].done()
    assert not subject.open


async def test_a_probe_passes_requests_that_still_hang(clock: Clock) -> None:
    """Slots held by requests without an answer do not keep the probe from leaving."""
    subject = limiter(clock)
    await subject.acquire(INITIAL_SLOTS)
    break_it(subject)
    clock.seconds += PAUSE_MS / 1000
    async with asyncio.timeout(5):
        assert await subject.acquire(1) == 1


async def test_an_open_breaker_wakes_by_itself() -> None:
    """With nobody else about, a waiting caller is served when the pause is over."""
    subject = Limiter(maximum=4, waits=lambda _: 1)
    break_it(subject)
    async with asyncio.timeout(5):
        assert await subject.acquire(1) == 1


async def test_a_pause_that_ends_while_it_is_looked_at_is_over(clock: Clock) -> None:
    """A timer may ring a little early; if the pause has ended by the time that the next one is set, nobody else would
    ever grant the probe."""
    subject = limiter(clock)
    break_it(subject)
    waiting = asyncio.create_task(subject.acquire(1))
    await settled()
    ends = clock.seconds + PAUSE_MS / 1000
    times = iter([ends - 1e-6, ends + 1e-6])
    subject._now = lambda: next(times, ends + 1e-6)
    subject.grant()
    await asyncio.wait_for(waiting, 1)


async def test_a_pause_that_is_over_while_all_slots_hang_does_not_spin(clock: Clock) -> None:
    """The loop has nothing to do for the breaker until a slot is given back, which is then the probe."""
    looks = 0

    def counted() -> float:
        nonlocal looks
        looks += 1
        return clock()

    subject = Limiter(maximum=1, waits=lambda n: n * PAUSE_MS, now=counted)
    assert await subject.acquire(1) == 1
    break_it(subject)
    waiting = asyncio.create_task(subject.acquire(1))
    await settled()
    clock.seconds += PAUSE_MS
    subject.grant()
    before = looks
    await settled()
    assert looks == before
    subject.release()
    assert await waiting == 1


async def test_giving_back_too_much_is_a_mistake(clock: Clock) -> None:
    """A slot given back twice is found at once, not as a limit that leaks."""
    subject = limiter(clock)
    await subject.acquire(1)
    subject.release()
    with pytest.raises(AssertionError):
        subject.release()


async def test_a_lookup_that_was_answered_closes_the_breaker(clock: Clock) -> None:
    """A lookup may be the breaker's probe, so its verified answer counts as one."""
    subject = limiter(clock)
    break_it(subject)
    assert subject.open
    subject.asked(answered=True)
    assert not subject.open


async def test_a_probe_that_was_not_used_goes_to_the_next(clock: Clock) -> None:
    """A lane that had nothing to send after all costs the others no pause."""
    subject = limiter(clock)
    break_it(subject)
    clock.seconds += PAUSE_MS / 1000
    assert await subject.acquire(1) == 1
    other = asyncio.create_task(subject.acquire(1))
    await settled()
    assert not other.done()
    subject.release()
    await settled()
    assert other.done()
    assert subject.open


@pytest.mark.parametrize(
    "use",
    [lambda subject: subject.observe(LOST), lambda subject: subject.asked(answered=False)],
    ids=["send", "lookup"],
)
async def test_a_probe_that_failed_costs_a_pause(clock: Clock, use: Callable[[Limiter], None]) -> None:
    """Nobody else is let through before the next pause is over."""
    subject = limiter(clock)
    break_it(subject)
    clock.seconds += PAUSE_MS / 1000
    assert await subject.acquire(1) == 1
    use(subject)
    subject.release()
    other = asyncio.create_task(subject.acquire(1))
    await settled()
    assert not other.done()
    other.cancel()


async def test_our_own_delays_say_nothing_about_genie(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that came of us neither mends the breaker nor counts as a request; one unsent is no request either."""
    subject = limiter(clock)
    counted: list[None] = []
    monkeypatch.setattr(RetryBudget, "count", lambda self: counted.append(None))
    for answer in (*[UNSENT] * (OPEN_AFTER - 1), NotSent(Unsent.EXPIRED)):
        subject.observe(answer)
    assert not subject.open
    assert counted == []
    subject.observe(LOST)
    assert subject.open
    assert counted == [None]


async def test_who_has_just_given_up_is_passed_over(clock: Clock) -> None:
    """A slot that becomes free in the same moment goes to the next in line."""
    subject = limiter(clock, maximum=1)
    await subject.acquire(1)
    first, second = (asyncio.create_task(subject.acquire(1)) for _ in range(2))
    await settled()
    first.cancel()
    subject.release()
    assert await second == 1
    assert first.cancelling()
    assert (subject.in_use, subject.waiting) == (1, 0)


async def test_a_probe_takes_no_more_slots_than_there_may_be(clock: Clock) -> None:
    """It may pass the limit that was lowered, not the maximum: as many connections are there."""
    subject = limiter(clock, maximum=1)
    await subject.acquire(1)
    break_it(subject)
    clock.seconds += 10 * PAUSE_MS
    probing = asyncio.create_task(subject.acquire(1))
    await settled()
    assert not probing.done()
    subject.release()
    assert await probing == 1


async def test_an_open_breaker_that_nobody_waits_for_sets_no_timer(clock: Clock) -> None:
    """Neither while its pause lasts nor afterwards, when it would ring for ever."""
    subject = limiter(clock)
    break_it(subject)
    assert subject._timer is None
    clock.seconds += 10 * PAUSE_MS
    subject.grant()
    assert subject._timer is None
