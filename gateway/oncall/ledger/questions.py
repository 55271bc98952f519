"""Asks GeNiE about keys: no faster than agreed, again while that helps, and never without end.

Knows when to ask again. Must not know how a question travels, or what is made of an answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from gateway.core.outcome import Answer, LookupReply, LookupResult, LookupStatus, Reply, classify

TRIES = 8  # of one question that gets no usable answer; the waits between them add up to a minute
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 15.0
PROCESSING_TRIES = 4  # of a key that GeNiE is just judging

LookUp = Callable[[Sequence[str]], Awaitable[LookupReply | Answer]]


class GenieAwayError(Exception):
    """GeNiE gives no usable answer, again and again."""


class GenieRefusesError(Exception):
    """GeNiE refuses to be asked by us; asking again does not help."""


@dataclass(frozen=True, slots=True)
class Said:
    """What GeNiE said of one key, and as of when by its clock, ms."""

    result: LookupResult
    as_of: int


class Questions:
    """Questions to one GeNiE, `per_second` at most."""

    def __init__(
        self,
        look_up: LookUp,
        per_second: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._look_up = look_up
        self._pause = 1 / per_second
        self._clock = clock
        self._sleep = sleep
        self._next_at = 0.0
        self.asked = 0  # requests made

    async def ask(self, keys: Sequence[str]) -> Mapping[str, Said]:
        """What GeNiE says of each, at most MAX_LOOKUP_KEYS; a key of which it says nothing usable is left out.

        Raises GenieAwayError or GenieRefusesError.
        """
        said: dict[str, Said] = {}
        open_keys = list(keys)
        for attempt in range(PROCESSING_TRIES):
            if attempt:
                await self._sleep(_wait(attempt))
            reply = await self._reply(open_keys)
            said |= {result.idempotency_key: Said(result, reply.as_of) for result in reply.results}
            open_keys = [key for key in open_keys if key not in said or _is_open(said[key])]
            if not open_keys:
                break
        return said

    async def _reply(self, keys: Sequence[str]) -> LookupReply:
        attempt = 1
        while not isinstance(answer := await self._answer(keys), LookupReply):
            outcome = classify(answer, ())
            if outcome.stop is not None:
                raise GenieRefusesError(outcome.stop.sentence)
            if attempt == TRIES:
                raise GenieAwayError(
                    f"GeNiE gave no usable answer to a lookup, {TRIES} times: {_what(answer)}. Check that it is up; "
                    "`gateway check --genie` tells more."
                )
            await self._sleep(max(_wait(attempt), (outcome.retry_after_ms or 0) / 1000))
            attempt += 1
        return answer

    async def _answer(self, keys: Sequence[str]) -> LookupReply | Answer:
        await self._take_turn()
        self.asked += 1
        return await self._look_up(keys)

    async def _take_turn(self) -> None:
        now = self._clock()
        if now < self._next_at:
            await self._sleep(self._next_at - now)
        self._next_at = max(now, self._next_at) + self._pause


def _wait(attempt: int) -> float:
    wait: float = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (attempt - 1))
    return wait


def _is_open(said: Said) -> bool:
    return said.result.status is LookupStatus.PROCESSING


def _what(answer: Answer) -> str:
    if not isinstance(answer, Reply):
        said: str = answer.detail.value
        return said
    return f"status {answer.status}{'' if answer.verified else ', not signed by GeNiE'}"
