"""Events under way and consents that change, all along: the producers' own, through whatever befalls the broker.

Knows pace: so many events a second, fewer while too many wait to be recorded, so that the end is never far away. Must
not know what becomes of them.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from gateway import schemas
from gateway.sandbox.producers import consents, outlet
from gateway.sandbox.producers.lines import ProduceError
from gateway.sandbox.producers.outlet import MAX_WAITING, Outlet
from gateway.sandbox.producers.population import World
from gateway.sandbox.producers.stream import CONSENTS, PAYMENTS, SCORES, Input, Stream
from tests.chaos.journal import Journal
from tests.chaos.plan import CHANGES_PER_S, Plan
from tests.consent_book import Book
from tests.simulation.replays import NAMES, Settled, request

TICK_S = 0.02
MOST_UNRECORDED = 8_000  # events: a few seconds of the gateways' work
BURST_PER_S = 200.0  # changes of consent, when asked for
RECENT_SUBJECTS = 5_000  # whose consents change
CANDIDATES = 50  # looked at for one change
SLICE = 100  # records made before others get their turn
MOST_RESTARTS = 20  # of the producers: each follows from a fault of the broker


class Load:
    """Writes what a plan wants, from `run` to `end`."""

    def __init__(self, bootstrap: str, plan: Plan, journal: Journal, unrecorded: Callable[[], int]) -> None:
        self._bootstrap = bootstrap
        self._rate = plan.rate
        self._journal = journal
        self._unrecorded = unrecorded
        self._world = World(plan.seed, plan.subjects, time.time_ns() // 1_000_000)
        self._stream = Stream(self._world)
        self._book = Book(self._world, random.Random(plan.seed + 1))
        self._rng = random.Random(plan.seed + 2)
        self._recent: deque[int] = deque(maxlen=RECENT_SUBJECTS)
        self._out: Outlet | None = None  # while the producers work
        self._ended = False
        self._acknowledged = asyncio.Event()  # after the end: all that was written
        self.changes = 0
        self.asked = 0  # replays
        self.restarts = 0
        self.burst = False  # consents change as fast as they can

    async def end(self) -> None:
        """No more events and changes; return when Kafka has acknowledged what was written."""
        self._ended = True
        await self._acknowledged.wait()

    async def consents_at_first(self) -> None:
        """Every consent as it stands, acknowledged."""
        async with self._opened() as out:
            for number in range(self._world.count):
                for record in consents.history(self._world, number):
                    self._put(out, record)
                if number % SLICE == 0:
                    await out.until_below(MAX_WAITING)
                    await asyncio.sleep(0)

    async def run(self) -> None:
        """Until the end; producers that gave up while the broker was away are replaced, as a service is restarted."""
        while not self._ended:
            try:
                async with self._opened() as out, asyncio.TaskGroup() as group:
                    self._out = out
                    changing = group.create_task(self._change(out))
                    await self._produce(out)
                    self._out = None
                    changing.cancel()
            except ProduceError as error:
                self._again(error)
            except ExceptionGroup as errors:
                error = errors.exceptions[0]
                if not isinstance(error, ProduceError):
                    raise error from errors
                self._again(error)
        self._acknowledged.set()

    def ask(self, plan_id: str, target: Settled) -> None:
        """Write a request for a replay; while the producers are away nobody can."""
        if self._out is not None:
            record = request(plan_id, target, time.time_ns() // 1_000_000)
            value = schemas.encode("ReplayRequest", record)
            self._out.put(Input(NAMES.replays, target.subject.encode(), value, None, "replay"))
            self.asked += 1

    def end_or_begin(self, subject: str) -> None:
        """Withdraw the consent of a customer of a recent event, or give it again."""
        number = next((number for number in self._recent if self._world.subject(number).ref == subject), None)
        record = None if number is None else self._book.end_or_begin(number, time.time_ns() // 1_000_000)
        if record is not None and self._out is not None:
            self._put(self._out, record)
            self.changes += 1

    def _again(self, error: ProduceError) -> None:
        self._out = None
        self.restarts += 1
        self._journal.note("producers start again", why=type(error).__name__)
        if self.restarts > MOST_RESTARTS:
            raise error

    def _opened(self) -> AbstractAsyncContextManager[Outlet]:
        return outlet.opened(self._bootstrap, "", (PAYMENTS, SCORES, CONSENTS, NAMES.replays), self._seen)

    def _seen(self, made: Input) -> None:
        if made.about is not None:
            self._recent.append(made.about)

    async def _produce(self, out: Outlet) -> None:
        due, at = 0.0, time.monotonic()
        while not self._ended:
            now = time.monotonic()
            due = min(due + (now - at) * self._rate, MOST_UNRECORDED)  # what can't be made now is made later
            room = MOST_UNRECORDED - self._unrecorded() - out.waiting
            at = now
            for _ in range(min(int(due), room, SLICE)):
                out.put(self._stream.next())
                due -= 1
            await asyncio.sleep(TICK_S)

    async def _change(self, out: Outlet) -> None:
        while True:
            await asyncio.sleep(self._rng.expovariate(BURST_PER_S if self.burst else CHANGES_PER_S))
            number = self._someone()
            if number is not None:
                _, record = self._book.change(number, time.time_ns() // 1_000_000)
                self._put(out, record)
                self.changes += 1

    def _someone(self) -> int | None:
        """A customer of a recent event: just now as likely as ten times longer ago."""
        count = len(self._recent)
        for _ in range(CANDIDATES if count else 0):
            number = self._recent[-int(count ** self._rng.random())]
            if self._book.may_change(number):
                return number
        return None

    def _put(self, out: Outlet, record: consents.Record) -> None:
        value = schemas.encode("ConsentRecord", record)
        out.put(Input(CONSENTS, str(record["subject_ref"]).encode(), value, "consent-desk", "consent"))
