"""How many requests may be on their way to GeNiE at once: slots, adapted to how it copes, and a breaker.

Knows what came of earlier requests. Must not know lanes or entries. A slot is taken before a batch is announced,
so that nothing expires in a queue; while the breaker is open nobody gets one, so an outage burns no attempts.

Slots adapt by AIMD: about one more for each round of good answers (twice as many, until the first push-back), half
as many when GeNiE pushes back or is lost, at most once a round. A slow answer lowers nothing: a GeNiE that takes
longer needs more requests at once, not fewer, and a busy event loop here looks just like it.

Of the requests made it keeps the retry budget (budget.py), which a lane asks before it tries again.

The breaker opens after OPEN_AFTER failures in a row. Open, it lets one request through per pause (half-open), each
pause longer than the last; an answer of a GeNiE that copes closes it. A probe that was not used goes to the next in
line at once: else lanes with nothing to send could keep the breaker open long after GeNiE is well.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from gateway.core.outcome import Answer, Lost, NotSent, Unsent
from gateway.genie.budget import RetryBudget

INITIAL_SLOTS = 8
OPEN_AFTER = 5  # failures in a row


class Seen(Enum):
    """How GeNiE coped with a request."""

    TAKEN = "a verified answer"
    BUSY = "a verified 429"
    UNAVAILABLE = "a verified 503"
    LOST = "no verified answer, or another 5xx"
    UNSENT = "no connection could be opened"


_FAILURES = frozenset({Seen.UNAVAILABLE, Seen.LOST, Seen.UNSENT})
_OUR_OWN = frozenset({Unsent.EXPIRED, Unsent.CLOSED})


def seen(answer: Answer) -> Seen | None:
    """What an answer says about how GeNiE copes; None if nothing."""
    if isinstance(answer, NotSent):
        return None if answer.detail in _OUR_OWN else Seen.UNSENT
    if isinstance(answer, Lost) or not answer.verified:
        return Seen.LOST
    if answer.status == 429:
        return Seen.BUSY
    if answer.status == 503:
        return Seen.UNAVAILABLE
    return Seen.LOST if answer.status >= 500 else Seen.TAKEN


@dataclass(frozen=True, slots=True)
class _Waiter:
    upto: int
    granted: asyncio.Future[int]


class Limiter:
    """Slots for requests, shared by all lanes of the process.

    `waits(n)` gives the n-th pause of an open breaker in ms; `now` is a monotonic clock in seconds.
    """

    def __init__(self, *, maximum: int, waits: Callable[[int], int], now: Callable[[], float] = time.monotonic) -> None:
        self.retries = RetryBudget(now)
        self._maximum = maximum
        self._waits = waits
        self._now = now
        self._limit = float(min(INITIAL_SLOTS, maximum))
        self._in_use = 0
        self._waiting: deque[_Waiter] = deque()
        self._failures = 0
        self._pauses = 0
        self._paused_until: float | None = None  # None: the breaker is closed
        self._probing = False  # a probe was granted, and nothing is known of it yet
        self._timer: asyncio.TimerHandle | None = None
        self._lowered = False  # until then the limit grows fast, to find where GeNiE's is
        self._old_news = 0  # answers still to come to requests that left before the limit was last lowered

    @property
    def limit(self) -> int:
        """How many slots there are now."""
        return int(self._limit)

    @property
    def in_use(self) -> int:
        """How many slots are taken."""
        return self._in_use

    @property
    def waiting(self) -> int:
        """How many callers wait for a slot; bounded by the number of lanes."""
        return len(self._waiting)

    @property
    def open(self) -> bool:
        """Whether the breaker holds requests back."""
        return self._paused_until is not None

    async def acquire(self, upto: int) -> int:
        """Wait for slots: at least one, at most `upto`, first come first served. Give each back by release()."""
        waiter = _Waiter(upto, asyncio.get_running_loop().create_future())
        self._waiting.append(waiter)
        self.grant()
        try:
            return await waiter.granted
        except asyncio.CancelledError:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
            elif not waiter.granted.cancelled():
                self.release(waiter.granted.result())
            raise

    def release(self, count: int = 1) -> None:
        """Give slots back, used or not."""
        self._in_use -= count
        assert self._in_use >= 0, "more slots given back than taken"  # noqa: S101 - a caller's mistake
        if self._probing:
            self._probing = False
            self._pauses -= 1
            self._paused_until = self._now()
        self.grant()

    def observe(self, answer: Answer) -> None:
        """Learn from an answer, before its slot is given back."""
        what = seen(answer)
        if what is None:
            return
        self._probing = False
        if what is not Seen.UNSENT:
            self.retries.count()
        self._break_or_mend(what)
        self._adapt(what)
        self.grant()

    def retry_delay(self) -> int:
        """How long one more request that is made again must wait for the retry budget, ms; its turn is then taken."""
        return self.retries.take()

    def asked(self, *, answered: bool) -> None:
        """A lookup was made; if it got a verified answer GeNiE copes, so a breaker whose probe it was may close."""
        self._probing = False
        if answered:
            self._break_or_mend(Seen.TAKEN)
            self.grant()

    def grant(self) -> None:
        """Hand out what is free. Called whenever something may have become free, by the timer too."""
        while self._waiting and (free := self._free()) > 0:
            share = max(1, free // len(self._waiting))
            waiter = self._waiting.popleft()
            if waiter.granted.done():  # its caller was cancelled
                continue
            count = min(waiter.upto, share)
            self._in_use += count
            waiter.granted.set_result(count)
            if self._paused_until is not None:
                self._probing = True
                self._pause()
        self._set_timer()

    def _free(self) -> int:
        if self._paused_until is None:
            return int(self._limit) - self._in_use
        # The probe may pass the limit: that was lowered by the very requests that still hang.
        return 1 if self._now() >= self._paused_until and self._in_use < self._maximum else 0

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._paused_until is None or not self._waiting or self._in_use >= self._maximum:
            return  # if every slot is taken, who gives one back grants it
        # Not above 0 if the pause ended since it was looked at: then at once, for nobody else may come to grant it.
        delay = self._paused_until - self._now()
        self._timer = asyncio.get_running_loop().call_later(max(0.0, delay), self.grant)

    def _pause(self) -> None:
        self._pauses += 1
        self._paused_until = self._now() + self._waits(self._pauses) / 1000

    def _break_or_mend(self, what: Seen) -> None:
        if what not in _FAILURES:
            self._failures = self._pauses = 0
            self._probing, self._paused_until = False, None
            return
        self._failures += 1
        if self._failures >= OPEN_AFTER and self._paused_until is None:
            self._pause()

    def _adapt(self, what: Seen) -> None:
        self._old_news = max(0, self._old_news - 1)
        if what is Seen.TAKEN:
            if self._in_use * 2 >= self._limit:  # a limit that nobody reaches is not proven good
                step = 1 / self._limit if self._lowered else 1.0
                self._limit = min(float(self._maximum), self._limit + step)
        elif self._old_news == 0:
            self._lowered = True
            self._limit = max(1.0, self._limit / 2)
            self._old_news = self._in_use
