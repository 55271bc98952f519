"""Trouble on purpose: named faults, each a small class that acts at one point of a request's way.

Knows how each kind of trouble looks from outside; must not know requests, keys or the books. A new fault is a
class with its point, its sentence and its parameters, and a line in `KINDS`.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from enum import Enum
from typing import ClassVar

from gateway.sandbox.genie.answer import Answer, Wire
from gateway.sandbox.genie.books import Status
from gateway.sandbox.genie.problems import Refusal, Rule

MAX_SECONDS = 300.0  # no fault waits longer than this


class Point(Enum):
    """Where on a request's way a fault acts."""

    BEFORE_READING = "the content is still unread"
    BEFORE_JUDGING = "the request is sound, nothing is taken yet"
    AFTER_ACCEPTING = "what is taken is durable"
    ON_ANSWERING = "the answer is ready, signature and all"
    ENTRY = "one new entry of a provision is about to be taken"


class Spread(Enum):
    """How latencies lie around their mean."""

    FIXED = "fixed"
    UNIFORM = "uniform"  # from 0 to twice the mean
    EXPONENTIAL = "exponential"  # most are short, few are long

    def draw(self, mean: float, chance: random.Random) -> float:
        if self is Spread.UNIFORM:
            return chance.uniform(0, 2 * mean)
        return chance.expovariate(1 / mean) if self is Spread.EXPONENTIAL and mean else mean


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One kind of trouble, with the share of requests (or entries) that it strikes."""

    point: ClassVar[Point]
    sentence: ClassVar[str]
    share: float

    async def act(self, wire: Wire, chance: random.Random) -> Answer | None:
        """Wait, end the connection by raising, or answer in GeNiE's place; None lets the request go on."""
        raise NotImplementedError


class EntryFault(Fault):
    """Refuses single entries of a provision."""

    point = Point.ENTRY
    status: ClassVar[Status]


@dataclass(frozen=True, kw_only=True)
class Latency(Fault):
    point = Point.BEFORE_JUDGING
    sentence = "GeNiE takes its time before it judges"
    ms: float
    spread: str = Spread.FIXED.value

    async def act(self, wire: Wire, chance: random.Random) -> Answer | None:
        await asyncio.sleep(min(Spread(self.spread).draw(self.ms, chance) / 1000, MAX_SECONDS))
        return None


@dataclass(frozen=True, kw_only=True)
class TooManyRequests(Fault):
    point = Point.BEFORE_JUDGING
    sentence = "a signed 429 with Retry-After"
    retry_after: int = 1

    async def act(self, wire: Wire, chance: random.Random) -> Answer | None:
        return _later(Rule.TOO_MANY_REQUESTS, self.retry_after)


@dataclass(frozen=True, kw_only=True)
class Unavailable(Fault):
    point = Point.BEFORE_JUDGING
    sentence = "a signed 503 with Retry-After"
    retry_after: int = 1

    async def act(self, wire: Wire, chance: random.Random) -> Answer | None:
        return _later(Rule.UNAVAILABLE, self.retry_after)


@dataclass(frozen=True, kw_only=True)
class BadGateway(Fault):
    point = Point.BEFORE_READING
    sentence = "something before GeNiE answers 502, unsigned, and GeNiE never hears of the request"

    async def act(self, wire: Wire, chance: random.Random) -> Answer | None:
        return _BAD_GATEWAY


@dataclass(frozen=True, kw_only=True)
class BadGatewayAfterAccepting(Fault):
    point = Point.ON_ANSWERING
    sentence = "GeNiE takes the entries, but its answer is replaced by an unsigned 502"

    async def act(self, wire: Wire, chance: random.Random) -> Answer | None:
        return _BAD_GATEWAY


@dataclass(frozen=True, kw_only=True)
class TimeoutAfterAccepting(Fault):
    point = Point.AFTER_ACCEPTING
    sentence = "GeNiE takes the entries and never answers"
    seconds: float = 60.0

    async def act(self, wire: Wire, chance: random.Random) -> Answer | None:
        raise await wire.hang(min(self.seconds, MAX_SECONDS))


@dataclass(frozen=True, kw_only=True)
class ResetBeforeAccepting(Fault):
    point = Point.BEFORE_JUDGING
    sentence = "the connection ends before GeNiE takes anything"

    async def act(self, wire: Wire, chance: random.Random) -> Answer | None:
        raise wire.cut()


@dataclass(frozen=True, kw_only=True)
class ResetAfterAccepting(Fault):
    point = Point.AFTER_ACCEPTING
    sentence = "GeNiE takes the entries, then the connection ends"

    async def act(self, wire: Wire, chance: random.Random) -> Answer | None:
        raise wire.cut()


@dataclass(frozen=True, kw_only=True)
class EntryRetry(EntryFault):
    sentence = "an entry is answered `retry`"
    status = Status.RETRY


@dataclass(frozen=True, kw_only=True)
class EntryRejected(EntryFault):
    sentence = "an entry is answered `rejected`"
    status = Status.REJECTED


# In the order in which faults of one point act.
KINDS: Mapping[str, type[Fault]] = {
    "latency": Latency,
    "too_many_requests": TooManyRequests,
    "unavailable": Unavailable,
    "bad_gateway": BadGateway,
    "bad_gateway_after_accepting": BadGatewayAfterAccepting,
    "timeout_after_accepting": TimeoutAfterAccepting,
    "reset_before_accepting": ResetBeforeAccepting,
    "reset_after_accepting": ResetAfterAccepting,
    "entry_retry": EntryRetry,
    "entry_rejected": EntryRejected,
}


class FaultError(ValueError):
    """A fault that does not exist, or not like that; the message says what does."""


class Faults:
    """The faults that are on, drawn from one seed."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self.active: Mapping[str, Fault] = {}
        self.hits: Counter[str] = Counter()

    def replace(self, wanted: Mapping[str, object]) -> None:
        """Switch to exactly these faults: {name: {share, parameter, ..}}. On FaultError nothing changes."""
        made = {name: _make(name, parameters) for name, parameters in wanted.items()}
        self.active = {name: made[name] for name in KINDS if name in made}

    async def strike(self, point: Point, wire: Wire) -> Answer | None:
        """Let the faults of this point act; the first answer is the answer. May raise ConnectionCut."""
        for name, fault in self.active.items():
            if fault.point is point and self._hit(name, fault):
                answer = await fault.act(wire, self._chance)
                if answer is not None:
                    return answer
        return None

    def whim(self) -> Status | None:
        """Whether to refuse the next entry."""
        for name, fault in self.active.items():
            if isinstance(fault, EntryFault) and self._hit(name, fault):
                return fault.status
        return None

    def _hit(self, name: str, fault: Fault) -> bool:
        hit = self._chance.random() < fault.share
        self.hits[name] += hit
        return hit


_BAD_GATEWAY = Answer(
    502,
    b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n",
    "text/html",
    signed=False,
)


def _later(rule: Rule, retry_after: int) -> Answer:
    return Answer.refusing(Refusal(rule, "try again later"), {"Retry-After": str(retry_after)})


def _make(name: str, parameters: object) -> Fault:
    kind = KINDS.get(name)
    if kind is None:
        raise FaultError(f"there is no fault {name!r}; there are {', '.join(KINDS)}")
    known = {field.name: field for field in fields(kind)}
    required = {field.name for field in known.values() if field.default is MISSING}
    if not isinstance(parameters, dict) or not required <= set(parameters) <= set(known):
        raise FaultError(f"fault {name} takes {', '.join(known)}, and needs {', '.join(sorted(required))}")
    for parameter, value in parameters.items():
        if fault := _fault_of(known[parameter].type, parameter, value):
            raise FaultError(f"fault {name}: {parameter} {fault}")
    return kind(**parameters)


def _fault_of(type_: object, parameter: str, value: object) -> str | None:
    if type_ is str:
        spreads = [spread.value for spread in Spread]
        return None if value in spreads else f"must be one of {', '.join(spreads)}"
    numbers = (int,) if type_ is int else (int, float)
    if isinstance(value, bool) or not isinstance(value, numbers) or not value >= 0:
        return "must be a whole number, 0 or more" if type_ is int else "must be a number, 0 or more"
    return "must be at most 1" if parameter == "share" and value > 1 else None
