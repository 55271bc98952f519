"""A GeNiE that keeps its contract, and the road to it: refused, busy, slow, late, lost, garbled."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from gateway.core import facts
from gateway.core.minimise import body_digest
from gateway.core.outcome import (
    SIGNATURE_EXPIRED,
    Answer,
    First,
    LookupReply,
    LookupResult,
    LookupStatus,
    Loss,
    Lost,
    NotSent,
    Receipt,
    Reply,
    Result,
    Unsent,
)
from tests.lane_world.inputs import Input

TAKEN = frozenset({"accepted", "duplicate", "superseded"})
KEY_REUSED = "urn:genie:problem:idempotency-key-reused"
CHOKED = "urn:genie:problem:malformed"


@dataclass(frozen=True, slots=True)
class Stored:
    """What GeNiE took under a key, in this order among all."""

    number: int
    offset: int | None  # of the record that it was sent for; None: before this story
    first: First
    superseded: bool


class Genie:
    """Its books, and how it answers; `now` is its own clock."""

    def __init__(self, by_key: dict[str, Input], subject: Callable[[str], str], whim: Callable[[], bool]) -> None:
        self.stored: dict[str, Stored] = {}
        self.refused: set[str] = set()  # keys of entries that it refused for good
        self.confused: list[str] = []  # keys that came again from the same record with another body
        self._by_key = by_key
        self._subject = subject
        self._whim = whim

    def take(
        self, entries: Sequence[facts.OutgoingEntry], offsets: Mapping[str, int], expires_at: int, now: int
    ) -> Reply | Lost:
        """Judge a batch that has arrived; the answer, before the road has its way with it."""
        if now > expires_at // 1000 * 1000:
            return reply(401, problem=SIGNATURE_EXPIRED)
        poisons = {self._by_key[entry.idempotency_key].poison for entry in entries}
        if "hangs" in poisons:
            return Lost(Loss.TIMEOUT)
        if "busy" in poisons:
            return reply(503)
        if "unreadable" in poisons:
            self.refused.update(entry.idempotency_key for entry in entries if len(entries) == 1)
            return reply(400, problem=CHOKED)
        blocked: set[str] = set()
        return reply(200, tuple(self._judge(entry, offsets, blocked, now) for entry in entries))

    def _judge(self, entry: facts.OutgoingEntry, offsets: Mapping[str, int], blocked: set[str], now: int) -> Result:
        key, subject = entry.idempotency_key, self._subject(entry.idempotency_key)
        if subject in blocked:
            return Result(key, "retry")
        stored = self.stored.get(key)
        if stored is None:
            return self._judge_new(entry, offsets, blocked, now)
        if stored.first.body_digest == body_digest(entry.body):
            return Result(key, "superseded" if stored.superseded else "duplicate", stored.first, f"receipt-{key}")
        if stored.offset == offsets[key]:
            self.confused.append(key)
        blocked.add(subject)
        return Result(key, "rejected", stored.first, problem_type=KEY_REUSED)

    def _judge_new(self, entry: facts.OutgoingEntry, offsets: Mapping[str, int], blocked: set[str], now: int) -> Result:
        key, special = entry.idempotency_key, self._by_key[entry.idempotency_key]
        if special.poison == "rejected" or self._whim():
            blocked.add(self._subject(key))
            self.refused.add(key)
            return Result(key, "rejected", problem_type="urn:genie:problem:entry-refused")
        first = First(entry.origin, entry.source_digest, body_digest(entry.body), now)
        self.stored[key] = Stored(len(self.stored), offsets[key], first, special.stale)
        return Result(key, "superseded" if special.stale else "accepted", first, f"receipt-{key}")

    def look_up(self, keys: Sequence[str], as_of: int) -> LookupReply:
        """The state of its books at `as_of`, which is not after now."""
        results = []
        for key in keys:
            stored = self.stored.get(key)
            if stored is None or stored.first.received_at > as_of:
                results.append(LookupResult(key, LookupStatus.NOT_RECEIVED))
            else:
                receipt = Receipt(f"receipt-{key}", stored.first.received_at, b"d" * 32, "genie-1")
                results.append(LookupResult(key, LookupStatus.RECEIVED, stored.first, receipt))
        return LookupReply(as_of, tuple(results))


def reply(
    status: int, results: tuple[Result, ...] | None = None, problem: str | None = None, wait: int | None = None
) -> Reply:
    """A signed answer."""
    return Reply(status, True, "application/json", wait, results, problem, b"d" * 32, "genie-1")


def garble(rng: Random, answer: Reply | Lost) -> Answer:
    """The same answer, damaged on its way or told wrongly in a way that a signature can't show."""
    if isinstance(answer, Lost):
        return answer
    unsigned = replace(answer, verified=False, key_id=None)
    if not answer.results:
        return unsigned
    results = list(answer.results)
    match rng.choice(["unsigned", "cut", "twice", "nonsense", "empty"]):
        case "unsigned":
            return unsigned
        case "cut":
            results.pop(rng.randrange(len(results)))
        case "twice":
            results.append(rng.choice(results))
        case "nonsense":
            at = rng.randrange(len(results))
            results[at] = replace(results[at], status="maybe")
        case _:
            results = []
    return replace(answer, results=tuple(results))


@dataclass(frozen=True, slots=True)
class Journey:
    """What becomes of one request: when it arrives (None: never), when an answer is there, and what it is.

    `answer` None: what GeNiE says then, `damaged` or not.
    """

    arrives_in: int | None
    answered_in: int
    answer: Answer | None = None
    damaged: bool = False


def journey(rng: Random, trouble: float, late: float, expires_in: int) -> Journey:
    """Most requests travel well; `trouble` is how many do not, and `late` how many of these GeNiE takes late."""
    there = rng.randrange(1, 60)
    back = there + rng.randrange(1, 60)
    if rng.random() >= trouble:
        return Journey(there, back)
    long = rng.randrange(back, expires_in + 2_000)
    lost = Lost(Loss.TIMEOUT)
    journeys = {
        "refused": Journey(None, there, NotSent(Unsent.REFUSED)),
        "busy": Journey(None, back, reply(503)),
        "limited": Journey(None, back, reply(429, wait=rng.randrange(2_000))),
        "502 of a proxy": Journey(rng.choice([None, there]), back, replace(reply(502), verified=False, key_id=None)),
        "answer lost": Journey(there, back, lost),
        "request lost": Journey(None, long, lost),
        "arrives when we gave up waiting": Journey(long, back, lost),
        "garbled": Journey(there, back, damaged=True),
        "slow": Journey(long, long + 1),
        "refused by configuration": Journey(None, back, reply(rng.choice([403, 404, 302]))),
        "403 of a proxy": Journey(there, back, replace(reply(403), verified=False, key_id=None)),
    }
    return journeys["arrives when we gave up waiting" if rng.random() < late else rng.choice(list(journeys))]
