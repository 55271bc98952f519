"""What goes into the topics: events, consents and how they change, holds, replays; and when. It follows from the seed.

Reuses the sandbox's producers, so it knows customers and records, and no gateway. Must not know what becomes of any.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial
from random import Random
from typing import Any

from gateway import schemas
from gateway.kafka.names import TopicNames
from gateway.sandbox.producers import consents, names
from gateway.sandbox.producers.consents import Case
from gateway.sandbox.producers.population import World
from gateway.sandbox.producers.shares import made_uuid
from gateway.sandbox.producers.stream import CONSENTS, Input, Stream
from tests.consent_book import Book
from tests.simulation import faults
from tests.simulation.replays import OPERATOR, Replays, Settled, request
from tests.simulation.shape import Shape, draw

NAMES = TopicNames("")
BURSTS = (1, 1, 2, 5, 20)  # events that come at once
AGAIN_SHARE = 0.03  # of bursts that repeat what went before
TRANSACTIONS = (None, None, None, None, "commit", "commit", "abort")
SLOW_TRANSACTION_SHARE = 0.02  # of bursts: it stays open for a while
SLOW_TRANSACTION_S = 2.0
WITHDRAW_SOON_SHARE = 0.6  # of changes: of a customer whose event has just come
AT_ONCE_SHARE = 0.3  # of bursts: a consent changes while they are under way
AT_ONCE_S = 0.05  # how soon, on average
REMEMBERED = 400  # inputs that may be repeated
LOOKED_FOR = 10  # recent events, for a customer whose consent may change
EARLY_SHARE = 0.04  # of bursts: whose events are asked for again before they are settled
BEFORE_FAULT_SHARE = 0.7  # of replays
BEFORE_FAULT_S = 0.5  # how long, on average
HOLD_S = (1.0, 15.0)
SLOW_HOLD_S = (0.5, 3.0)  # once it can be seen
SUBJECT_HOLDS = 0.5


class Population(World):
    """Customers with names from one pool: to draw it takes longer than a story."""

    @cached_property
    def _pools(self) -> names.Pools:
        return _one_pool()


@cache
def _one_pool() -> names.Pools:
    return names.pools(0)


@dataclass(frozen=True, slots=True)
class Append:
    """Records that a producer writes at once to one partition."""

    topic: str
    partition: int
    records: tuple[tuple[bytes | None, bytes | None, tuple[tuple[str, bytes], ...]], ...]
    transaction: str | None = None  # commit, abort, or open: committed `open_s` later
    what: str = ""
    open_s: float = SLOW_TRANSACTION_S
    again: bool = False  # written again if a leader loses it before it is acknowledged


Act = Callable[[], None]
Told = Callable[[Sequence[int]], None]
Write = Callable[[Append, Told], None]  # it is told the offsets once there are any


class Workload:
    """`at_first`, then what is due at its time. `write` puts into a topic; `settled` says what the ledger holds, which
    is what operators plan replays by; `later` calls after so many seconds; `now_ms` is the wall clock."""

    def __init__(
        self,
        shape: Shape,
        write: Write,
        settled: Callable[[], Sequence[Settled]],
        later: Callable[[float, Callable[[], None]], object],
        now_ms: Callable[[], int],
    ) -> None:
        self._shape = shape
        self._write = write
        self._later = later
        self._now_ms = now_ms
        self._rng = Random(f"{shape.seed}/workload")
        self._world = Population(shape.seed, shape.subjects, now_ms())
        self._stream = Stream(self._world)
        self._book = Book(self._world, Random(f"{shape.seed}/consents"))
        self._recent: deque[Input] = deque(maxlen=REMEMBERED)
        self._holds: dict[str, dict[str, Any]] = {}
        self._replays = Replays(shape.seed, settled, self._ask, self._end_or_begin, self._soon)
        self._faults = faults.plan(draw(shape.seed))  # as drawn: the same whatever is left out
        self._numbers = 0
        self._aloud = True
        self.planned = 0  # inputs: bursts, changes, replays and holds

    # --- when ---------------------------------------------------------------------------------------------

    def agenda(self, kept: Container[int] | None = None) -> Iterator[tuple[float, Act]]:
        """What is to be done, and how many seconds into the story. What is not kept, by its number, is gone through
        too, so that all else stays as it is; but nothing of it is written."""
        for number, acts in enumerate(self._drawn()):
            self.planned = number + 1
            for due_s, act in acts:
                yield due_s, partial(self._do, act, kept is None or number in kept)

    def _do(self, act: Act, aloud: bool) -> None:
        before, self._aloud = self._aloud, aloud
        act()
        self._aloud = before

    def _soon(self, seconds: float, act: Act) -> None:
        """What follows from what is done now, and is left out with it."""
        self._later(seconds, partial(self._do, act, self._aloud))

    def _drawn(self) -> Iterator[tuple[tuple[float, Act], ...]]:
        """What can be left out, each with its times."""
        shape, rng = self._shape, Random(f"{self._shape.seed}/agenda")
        left = shape.events
        while left > 0:
            burst = min(left, rng.choice(BURSTS))
            left -= burst
            yield ((rng.uniform(0, shape.trouble_s), partial(self.burst, burst)),)
        for _ in range(round(shape.changes_per_s * shape.trouble_s)):
            yield ((rng.uniform(0, shape.trouble_s), self.change),)
        for _ in range(shape.replays):
            yield ((self._replay_at(rng), self.replay),)
        for _ in range(shape.holds):
            begins, lasts = rng.uniform(0, shape.trouble_s), rng.uniform(*HOLD_S)
            hold_id = made_uuid(shape.seed, "hold", self._next())
            yield (begins, partial(self.hold, hold_id)), (begins + lasts, partial(self.release, hold_id))

    def _replay_at(self, rng: Random) -> float:
        """Once something is settled; mostly so shortly before a fault that it strikes what is under way."""
        at_s = rng.uniform(self._shape.trouble_s / 4, self._shape.trouble_s)
        if self._faults and rng.random() < BEFORE_FAULT_SHARE:
            at_s = max(0.0, rng.choice(self._faults).due_s - rng.expovariate(1 / BEFORE_FAULT_S))
        return at_s

    # --- what ---------------------------------------------------------------------------------------------

    def at_first(self) -> None:
        """Where every consent stands."""
        for number in range(self._world.count):
            back = consents.case_of(self._world, number) is Case.VERSION_BACK and self._shape.compacts
            for record in consents.history(self._world, number)[: 1 if back else None]:
                self._consent(record)

    def burst(self, count: int) -> None:
        """Some events at once."""
        rng = self._rng
        again = bool(self._recent) and rng.random() < AGAIN_SHARE
        made = [self._recent[rng.randrange(len(self._recent))] if again else self._stream.next() for _ in range(count)]
        slow = rng.random() < SLOW_TRANSACTION_SHARE
        transaction = "open" if slow else rng.choice(TRANSACTIONS)
        by_partition: dict[tuple[str, int], list[Input]] = {}
        for each in made:
            place = each.topic, zlib.crc32(each.key or b"") % self._shape.partitions
            by_partition.setdefault(place, []).append(each)
        for (topic, partition), inputs in by_partition.items():
            records = tuple((each.key, each.value, _header(each)) for each in inputs)
            append = Append(topic, partition, records, transaction, f"{len(inputs)} events")
            self._put(append, partial(self._lie, inputs, append, self._aloud))

    def _lie(self, inputs: Sequence[Input], append: Append, aloud: bool, offsets: Sequence[int]) -> None:
        """They are in the log."""
        if append.transaction == "abort":
            return
        self._recent.extend(each for each in inputs if each.about is not None)
        self._ask_early(inputs, append, offsets)
        if self._shape.changes_per_s and self._rng.random() < AT_ONCE_SHARE:
            self._later(self._rng.expovariate(1 / AT_ONCE_S), partial(self._do, self.change, aloud))

    def _ask_early(self, inputs: Sequence[Input], append: Append, offsets: Sequence[int]) -> None:
        """Somebody who does not wait for the ledger asks for what has only just come."""
        if not self._shape.replays or Random(f"{self._shape.seed} {inputs[0].value!r}").random() >= EARLY_SHARE:
            return
        for each, offset in zip(inputs, offsets, strict=False):  # there are none if they are left out
            if each.about is not None:
                subject = self._world.subject(each.about).ref
                self._replays.ask_early(Settled(append.topic, append.partition, offset, subject, ""))

    def change(self) -> None:
        """A consent changes: mostly of somebody whose event is under way."""
        rng = self._rng
        number = self._about() if rng.random() < WITHDRAW_SOON_SHARE else rng.randrange(self._world.count)
        if number is not None and self._book.may_change(number):
            _, record = self._book.change(number, self._now_ms())
            self._consent(record)

    def change_slowly(self, open_s: float) -> bool:
        """A consent changes in a transaction that stays open while events of its customer are under way; whether one
        could. Who reads ends as committed readers do takes the view for fresh then, though it lacks the change."""
        recent = (self._about() for _ in range(LOOKED_FOR))
        number = next((number for number in recent if number is not None and self._book.may_change(number)), None)
        if number is None:
            return False
        _, record = self._book.change(number, self._now_ms())
        self._consent(record, open_s)
        return True

    def hold_slowly(self, open_s: float) -> None:
        """On-call holds everything in a transaction that stays open so long, and lets go soon after: whatever is sent
        meanwhile shows that nobody waited for the hold."""
        hold_id = made_uuid(self._shape.seed, "hold", self._next())
        self._hold(hold_id, "all", None, open_s)
        self._later(open_s + self._rng.uniform(*SLOW_HOLD_S), partial(self.release, hold_id))

    def replay(self) -> None:
        """On-call applies a plan of replays."""
        self._replays.apply()

    def hold(self, hold_id: str) -> None:
        """On-call holds something: a subject's records are parked, all else waits."""
        rng = self._rng
        scope, value = rng.choice(
            [
                ("all", None),
                ("event_type", rng.choice(["lease_payment", "norel_score_update"])),
                ("input_partition", f"{NAMES.payments}:{rng.randrange(self._shape.partitions)}"),
            ]
        )
        if rng.random() < SUBJECT_HOLDS:
            scope, value = "subject", self._world.subject(rng.randrange(self._world.count)).ref
        self._hold(hold_id, scope, value)

    def _hold(self, hold_id: str, scope: str, value: str | None, open_s: float | None = None) -> None:
        self._holds[hold_id] = {"hold_id": hold_id, "scope": scope, "value": value, "expires_at": None, **OPERATOR}
        self._control(hold_id, "held", open_s)

    def release(self, hold_id: str) -> None:
        """The hold ends."""
        if hold_id in self._holds:
            self._control(hold_id, "released")
            del self._holds[hold_id]

    def release_all(self) -> None:
        """Every hold ends."""
        for hold_id in list(self._holds):
            self.release(hold_id)

    # --- how ----------------------------------------------------------------------------------------------

    def _control(self, hold_id: str, state: str, open_s: float | None = None) -> None:
        record = self._holds[hold_id] | {"state": state, "at": self._now_ms()}
        what = f"a hold on {record['scope']} is {state}"
        self._one(NAMES.controls, 0, hold_id.encode(), "Control", record, what, open_s)

    def _ask(self, plan_id: str, target: Settled) -> None:
        key = target.subject.encode()
        partition = zlib.crc32(key) % self._shape.replay_partitions
        record = request(plan_id, target, self._now_ms())
        self._one(NAMES.replays, partition, key, "ReplayRequest", record, f"a replay request for {target.place}")

    def _end_or_begin(self, subject: str) -> None:
        number = self._world_numbers.get(subject)
        record = None if number is None else self._book.end_or_begin(number, self._now_ms())
        if record is not None:
            self._consent(record)

    @cached_property
    def _world_numbers(self) -> dict[str, int]:
        """Customers by their references."""
        return {self._world.subject(number).ref: number for number in range(self._world.count)}

    def _consent(self, record: consents.Record, open_s: float | None = None) -> None:
        key = str(record["subject_ref"]).encode()
        partition = zlib.crc32(key) % self._shape.consent_partitions
        what = f"consent {record['status']}, version {record['consent_version']}"
        self._one(CONSENTS, partition, key, "ConsentRecord", record, what, open_s)

    def _one(
        self,
        topic: str,
        partition: int,
        key: bytes,
        kind: str,
        record: dict[str, Any],
        what: str,
        open_s: float | None = None,
    ) -> None:
        """In a transaction that stays open so long, or in none."""
        records = ((key, schemas.encode(kind, record), ()),)
        transaction = None if open_s is None else "open"
        released = record.get("state") == "released"  # else a lane might be held for ever, with nobody who knows
        self._put(Append(topic, partition, records, transaction, what, open_s or 0.0, again=released), _nobody)

    def _put(self, append: Append, told: Told) -> None:
        if self._aloud:
            self._write(append, told)
        else:
            told(())

    def _about(self) -> int | None:
        """The customer of a recent event."""
        count = len(self._recent)
        return self._recent[-int(count ** self._rng.random())].about if count else None

    def _next(self) -> int:
        self._numbers += 1
        return self._numbers


def _header(made: Input) -> tuple[tuple[str, bytes], ...]:
    return (("producer", made.producer.encode()),) if made.producer else ()


def _nobody(offsets: Sequence[int]) -> None:
    """Where it lies does not matter."""
