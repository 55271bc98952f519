"""Brings about what a plan wants, and counts only what has surely happened.

Knows which part each kind of action hurts, and how it is well again. Must not know when an action is due.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from aiokafka.errors import KafkaError

from tests.chaos.journal import Journal
from tests.chaos.load import Load
from tests.chaos.plan import DEEDS, LINKS, Action, Kind, LinkTrouble, Outage
from tests.chaos.points import Deed, Point
from tests.chaos.replays import OnCall
from tests.chaos.seats import Seat
from tests.chaos.stage import Stage

POINT_S = 15.0  # for a process to come to a point
OPERATOR_S = 40.0  # so long nothing is recorded, and the broker's log says why, before its operator acts
FREE_S = 90.0  # for some seat to have lanes, with nothing else being done to it
REVOKED_SHARE = 0.5  # of the lanes that are to close because another process leaves
POLL_S = 0.02
_OPENING = frozenset({Point.TAKEN_OVER, Point.OPENED})


class MissedError(Exception):
    """What was wanted did not come about; it may be tried again."""


class Deeds:
    """Several may go on at once: each waits for the part that it needs."""

    def __init__(
        self, stage: Stage, seats: Sequence[Seat], roamer: Seat, load: Load, journal: Journal, seed: int
    ) -> None:
        self._stage = stage
        self._seats = seats
        self._roamer = roamer
        self._load = load
        self._journal = journal
        self._on_call = OnCall(stage.node.bootstrap, stage.ledger, load, seed)
        self._desk = asyncio.Lock()
        self._broker = asyncio.Lock()
        self._genie = asyncio.Lock()
        self.broker_faults = 0

    async def do(self, action: Action) -> None:
        """Return when it is over; raises MissedError."""
        ways: dict[Kind, Callable[[Action], Awaitable[None]]] = {
            Kind.KILL_AT: self._at_point,
            Kind.STOP_AT: self._at_point,
            Kind.KILL: self._kill,
            Kind.STOP: self._stop,
            Kind.REBALANCE: self._rebalance,
            Kind.BROKER_KILL: self._kill_broker,
            Kind.BROKER_STOP: self._stop_broker,
            Kind.KAFKA_LINK: self._trouble,
            Kind.GENIE_LINK: self._trouble,
            Kind.OUTAGE: self._outage,
            Kind.GENIE_KILL: self._kill_genie,
            Kind.REPLAY: self._replay,
        }
        await ways[action.kind](action)

    # --- gateways -------------------------------------------------------------------------------------------

    async def _at_point(self, action: Action) -> None:
        point, deed = action.detail, DEEDS[action.kind]
        assert isinstance(point, Point)
        async with self._seat(action.chance) as seat, self._provoked(point):
            done = len(seat.done)
            seat.order(point, deed)
            try:
                if point in _OPENING:
                    seat.kill()
                elif point is Point.DRAINING:
                    self._drain(seat, action.chance)
                await _come(lambda: len(seat.done) > done, POINT_S, action.name)
            finally:
                seat.countermand()
            pid = seat.done[-1][0]
            self._journal.count(action.name, seat=seat.name, pid=pid, seconds=action.seconds)
            if deed is Deed.STOP:
                await asyncio.sleep(action.seconds)
                seat.go_on()

    def _drain(self, seat: Seat, chance: float) -> None:
        """Lanes close when their process ends in order, and when another one leaves the group."""
        other = self._roamer
        revoked = chance * len(self._seats) % 1 < REVOKED_SHARE and other.works and not other.busy
        (other if revoked else seat).end_in_order()

    @asynccontextmanager
    async def _provoked(self, point: Point) -> AsyncIterator[None]:
        """GeNiE is asked about a record whose fate is unknown once it may not be sent again: so both happen a lot."""
        if point is not Point.LOOKED_UP:
            yield
            return
        async with self._genie:
            await self._stage.genie.fail({"timeout_after_accepting": {"share": 0.3, "seconds": 1}})
            self._load.burst = True
            try:
                yield
            finally:
                self._load.burst = False
                await self._stage.genie.fail({})

    async def _kill(self, action: Action) -> None:
        async with self._seat(action.chance) as seat:
            seat.kill()
            self._journal.count(action.name, seat=seat.name)

    async def _stop(self, action: Action) -> None:
        async with self._seat(action.chance) as seat:
            seat.stop()
            self._journal.count(action.name, seat=seat.name, seconds=action.seconds)
            await asyncio.sleep(action.seconds)
            seat.go_on()

    async def _rebalance(self, action: Action) -> None:
        seat = self._roamer
        async with self._only(seat):
            seat.wanted = False
            try:
                await seat.leave()
                await asyncio.sleep(action.seconds)
            finally:
                seat.wanted = True
            await seat.working()
            self._journal.count(action.name, seat=seat.name)

    @asynccontextmanager
    async def _seat(self, chance: float) -> AsyncIterator[Seat]:
        """A seat at work with nothing being done to it."""
        free: list[Seat] = []

        def some() -> bool:
            free[:] = [seat for seat in self._seats if seat.works and not seat.busy]
            return bool(free)

        await _come(some, FREE_S, "a free seat")
        async with _busy(free[int(chance * len(free))]) as seat:
            yield seat

    @asynccontextmanager
    async def _only(self, seat: Seat) -> AsyncIterator[None]:
        await _come(lambda: seat.works and not seat.busy, FREE_S, f"{seat.name} free")
        async with _busy(seat):
            yield

    # --- the broker and GeNiE -------------------------------------------------------------------------------

    async def _kill_broker(self, action: Action) -> None:
        async with self._broker:
            self._journal.note("broker killed")
            await self._restart_broker()
            self.broker_faults += 1
            self._journal.count(action.name)

    async def mend_broker(self, recorded: Callable[[], int]) -> None:
        """What its operator does, for as long as the run goes on: a broker that has lost its group coordinator, and
        with it everything's progress, is started again."""
        node, told, before = self._stage.node, 0, -1
        while True:
            await asyncio.sleep(OPERATOR_S)
            troubles, now = node.coordinator_troubles(), recorded()
            if troubles > told and now == before:
                self._journal.say("the broker is started again: it has lost its group coordinator")
                async with self._broker:
                    await self._restart_broker()
                told = node.coordinator_troubles()
            before = now

    async def _restart_broker(self) -> None:
        self._stage.node.kill()
        for seat in self._seats:
            seat.broker_killed()
        await self._stage.node.start_async()

    async def _stop_broker(self, action: Action) -> None:
        async with self._broker:
            self._stage.node.freeze()
            self._journal.note("broker stopped", seconds=action.seconds)
            try:
                await asyncio.sleep(action.seconds)
            finally:
                self._stage.node.thaw()
            self.broker_faults += 1
            self._journal.count(action.name)

    async def _outage(self, action: Action) -> None:
        outage, genie = action.detail, self._stage.genie
        assert isinstance(outage, Outage)
        async with self._genie:
            before = (await genie.stats())["faults"].get(outage.value, 0)
            await genie.fail({outage.value: {"share": 1}})
            try:
                await asyncio.sleep(action.seconds)
                struck = (await genie.stats())["faults"].get(outage.value, 0) - before
            finally:
                await genie.fail({})
        self._count_struck(action, struck)

    async def _kill_genie(self, action: Action) -> None:
        async with self._genie:
            self._stage.genie.kill()
            self._journal.note("GeNiE killed")
            await self._stage.genie.start()
            await self._stage.genie.fail({})
            self._journal.count(action.name)

    # --- on-call --------------------------------------------------------------------------------------------

    async def _replay(self, action: Action) -> None:
        async with self._desk:
            before = self._load.asked
            try:
                settled = await self._on_call.apply(action.seconds)
            except (KafkaError, TimeoutError) as error:
                raise MissedError(f"the ledger can't be read: {type(error).__name__}") from error
            if self._load.asked == before:
                raise MissedError(f"nothing was asked for, of {settled} settled records")
            self._journal.count(action.name, asked=self._load.asked - before, settled=settled)

    # --- the wires between ----------------------------------------------------------------------------------

    async def _trouble(self, action: Action) -> None:
        assert isinstance(action.detail, LinkTrouble)
        wires = self._stage.wires
        wire = wires[int(action.chance * len(wires))][LINKS[action.kind]]
        async with wire.in_use:
            before = wire.struck
            wire.trouble(action.detail)
            try:
                await asyncio.sleep(action.seconds)
            finally:
                wire.heal()
            self._count_struck(action, wire.struck - before)

    def _count_struck(self, action: Action, struck: int) -> None:
        if not struck:
            raise MissedError(f"{action.name}: nothing was under way")
        self._journal.count(action.name, struck=struck, seconds=action.seconds)


@asynccontextmanager
async def _busy(seat: Seat) -> AsyncIterator[Seat]:
    seat.busy = True
    try:
        yield seat
    finally:
        seat.busy = False


async def _come(condition: Callable[[], bool], seconds: float, what: str) -> None:
    give_up_at = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > give_up_at:
            raise MissedError(what)
        await asyncio.sleep(POLL_S)
