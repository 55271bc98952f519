"""One run of the producers: first where every consent stands, then events, paced, while consents change.

Knows pace and order. The pace is an open loop: nobody who reads slows it down, only Kafka itself.
Must not know what becomes of the records; nothing is kept for a verifier.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from gateway import schemas
from gateway.sandbox.producers import consents, outlet
from gateway.sandbox.producers.lines import ProduceError, UnreachableError
from gateway.sandbox.producers.outlet import MAX_WAITING, Outlet
from gateway.sandbox.producers.population import World, WorldError
from gateway.sandbox.producers.stream import CONSENTS, PAYMENTS, SCORES, Input, Stream

__all__ = ["ProduceError", "Produced", "Progress", "UnreachableError", "produce"]

TICK_SECONDS = 0.005
SLICE = 100  # records made before others get their turn
RECENT_SUBJECTS = 20_000  # of events just acknowledged: whose consent changes next
CANDIDATES = 50  # looked at for one change
SERVICE = "consent-desk"
HEAD_BYTES = len(schemas.frame(0, b""))
KINDS = ("LeasePaymentEvent", "NorelScoreUpdate", "ConsentRecord")  # what is written


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the run is."""

    events: int  # made
    waiting: int  # made, not yet acknowledged
    changes: int  # of consents
    behind_seconds: float  # how late the newest event was made


@dataclass(frozen=True, slots=True)
class Produced:
    """What a run produced, as readers of committed records see it."""

    produced: dict[str, int]  # by topic
    kinds: dict[str, int]
    aborted: int  # records that an aborted transaction holds besides
    seconds: float  # from the first event to the last acknowledgement
    behind_seconds: float  # how late the latest event was made


class _Run:
    def __init__(self, world: World, out: Outlet, recent: deque[int], ids: Mapping[str, int], *, poison: bool) -> None:
        self.world = world
        self.out = out
        self.heads = {_head(schemas.schema_id(name)): _head(number) for name, number in ids.items()}
        self.stream = Stream(world, poison=poison)
        self.book = consents.Book(world, Random(world.seed + 1))
        self.rng = Random(world.seed + 2)
        self.recent = recent
        self.events = 0
        self.changes = 0
        self.behind = 0.0

    async def consents_at_first(self) -> None:
        """Write every consent as it stands, acknowledged."""
        for number in range(self.world.count):
            for record in consents.history(self.world, number):
                self._consent(record, f"consent.{consents.case_of(self.world, number).value}")
            if number % SLICE == 0:
                await self.out.until_below(MAX_WAITING)
                await asyncio.sleep(0)
        await self.out.until_below(1)

    async def paced(self, events: int | None, rate: float, duration: float | None) -> None:
        """Make events, each when it is due; the loop never waits for a reader."""
        began = time.monotonic()
        while events is None or self.events < events:
            elapsed = time.monotonic() - began
            if duration is not None and elapsed >= duration:
                return
            due = int(elapsed * rate) + 1 if rate else self.events + SLICE
            due = due if events is None else min(due, events)
            late = due - self.events > SLICE
            for _ in range(min(due - self.events, SLICE)):
                self._put(self.stream.next())
                self.events += 1
            if rate:
                self.behind = max(self.behind, elapsed - self.events / rate)
            await self.out.until_below(MAX_WAITING)
            await asyncio.sleep(TICK_SECONDS if rate and not late else 0)

    async def changing(self, per_second: float) -> None:
        """Change consents of customers whose events are under way, until cancelled."""
        due = time.monotonic()
        while True:
            due += self.rng.expovariate(per_second)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            number = self._someone()
            if number is None:
                continue
            change, record = self.book.change(number, int(time.time() * 1000))
            self._consent(record, f"change.{change.value}")
            self.changes += 1

    def _someone(self) -> int | None:
        """A customer of a recent event: just now as likely as ten times longer ago, because how far the reader
        is behind is not known here."""
        count = len(self.recent)
        for _ in range(CANDIDATES if count else 0):
            number = self.recent[-int(count ** self.rng.random())]
            if self.book.may_change(number):
                return number
        return None

    def _consent(self, record: consents.Record, kind: str) -> None:
        value = schemas.encode("ConsentRecord", record)
        key = str(record["subject_ref"]).encode()
        self._put(Input(CONSENTS, key, value, SERVICE, kind))

    def _put(self, made: Input) -> None:
        """With the id that a registry has for its schema: everything is made with those of the files."""
        head = self.heads.get(made.value[:HEAD_BYTES]) if made.value else None
        self.out.put(
            made if made.value is None or head is None else made._replace(value=head + made.value[HEAD_BYTES:])
        )


def _head(schema_id: int) -> bytes:
    """What a value begins with."""
    return schemas.frame(schema_id, b"")


async def produce(
    bootstrap: str,
    prefix: str = "",
    *,
    subjects: int,
    events: int | None,
    rate: float = 0.0,
    seed: int = 1,
    withdrawals_per_second: float = 10.0,
    withdrawals_after: float = 0.0,
    duration: float | None = None,
    poison: bool = True,
    ids: Mapping[str, int] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Produced:
    """Produce `events` events of `subjects` customers (or for `duration` seconds) at `rate` a second; rate 0 is as
    fast as Kafka takes them. Consents change `withdrawals_per_second` times a second meanwhile, and for
    `withdrawals_after` seconds more, while a slower reader is still at work. `ids` are those of KINDS at a
    registry; none: those of the files. Raises ProduceError.
    """
    if events is None and duration is None:
        raise ProduceError("say how many events, or for how long")
    try:
        world = World(seed, subjects, int(time.time() * 1000))
    except WorldError as error:
        raise ProduceError(str(error)) from error
    recent: deque[int] = deque(maxlen=RECENT_SUBJECTS)

    def seen(made: Input) -> None:
        if made.about is not None:
            recent.append(made.about)

    async with outlet.opened(bootstrap, prefix, (PAYMENTS, SCORES, CONSENTS), seen) as out:
        run = _Run(world, out, recent, ids or {}, poison=poison)
        await run.consents_at_first()
        began = time.monotonic()
        async with asyncio.TaskGroup() as beside:
            tasks = []
            if withdrawals_per_second > 0:
                tasks.append(beside.create_task(run.changing(withdrawals_per_second)))
            if progress is not None:
                tasks.append(beside.create_task(_report(run, progress)))
            await run.paced(events, rate, duration)
            if withdrawals_per_second > 0:
                await asyncio.sleep(withdrawals_after)
            for task in tasks:
                task.cancel()
        await out.until_below(1)
        seconds = time.monotonic() - began
    return Produced(dict(out.produced), dict(sorted(out.kinds.items())), out.aborted, seconds, run.behind)


async def _report(run: _Run, progress: Callable[[Progress], None]) -> None:
    while True:
        await asyncio.sleep(1.0)
        progress(Progress(run.events, run.out.waiting, run.changes, run.behind))
