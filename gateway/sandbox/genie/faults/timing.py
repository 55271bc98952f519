"""Faults of time: GeNiE answers late, never, or takes what it seemed to have lost.

Knows how waiting looks from outside; must not know what is waited for.
"""

import asyncio
import math
import random
from dataclasses import dataclass
from enum import StrEnum

from gateway.sandbox.genie.answer import Answer, Wire
from gateway.sandbox.genie.faults.fault import MAX_SECONDS, FaultError, Operation, Point, RequestFault

_NORMAL_P99 = 2.3263478740408408  # of 100 standard normal draws 99 lie below


class Spread(StrEnum):
    """How latencies lie around `ms`: their mean, for lognormal their median."""

    FIXED = "fixed"
    UNIFORM = "uniform"  # from 0 to twice the mean
    EXPONENTIAL = "exponential"  # most are short, few are long
    LOGNORMAL = "lognormal"  # as measured in the wild: 1 of 100 is longer than p99_ms


@dataclass(frozen=True, kw_only=True)
class Latency(RequestFault):
    point = Point.BEFORE_JUDGING
    sentence = "GeNiE takes its time before it judges"
    ms: float
    spread: Spread = Spread.FIXED
    p99_ms: float = 0

    def __post_init__(self) -> None:
        if self.spread is Spread.LOGNORMAL and not 0 < self.ms <= self.p99_ms:
            raise FaultError(
                "fault latency: spread lognormal needs 0 < ms <= p99_ms, its median and its 99th percentile"
            )

    async def act(self, wire: Wire, chance: random.Random) -> Answer | None:
        await asyncio.sleep(min(self.draw(chance) / 1000, MAX_SECONDS))
        return None

    def draw(self, chance: random.Random) -> float:
        """One latency in ms."""
        match self.spread:
            case Spread.UNIFORM:
                return chance.uniform(0, 2 * self.ms)
            case Spread.EXPONENTIAL if self.ms:
                return chance.expovariate(1 / self.ms)
            case Spread.LOGNORMAL:
                return chance.lognormvariate(math.log(self.ms), math.log(self.p99_ms / self.ms) / _NORMAL_P99)
            case _:
                return self.ms


@dataclass(frozen=True, kw_only=True)
class HangBeforeAccepting(RequestFault):
    point = Point.BEFORE_JUDGING
    sentence = "GeNiE takes nothing and never answers"
    seconds: float = 60

    async def act(self, wire: Wire, chance: random.Random) -> Answer | None:
        raise await wire.hang(min(self.seconds, MAX_SECONDS))


@dataclass(frozen=True, kw_only=True)
class TimeoutAfterAccepting(RequestFault):
    point = Point.AFTER_ACCEPTING
    sentence = "GeNiE takes the entries and never answers"
    seconds: float = 60

    async def act(self, wire: Wire, chance: random.Random) -> Answer | None:
        raise await wire.hang(min(self.seconds, MAX_SECONDS))


@dataclass(frozen=True, kw_only=True)
class LateAcceptance(RequestFault):
    point = Point.QUEUED
    sentence = "the connection ends, lookups find nothing, and GeNiE takes the entries later, unless they expire first"
    seconds: float = 1
    on: Operation = Operation.PROVISIONS

    async def act(self, wire: Wire, chance: random.Random) -> Answer | None:
        wire.cut()
        await asyncio.sleep(min(self.seconds, MAX_SECONDS))
        return None
