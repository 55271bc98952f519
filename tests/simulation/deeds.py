"""Brings about what a plan wants, and counts what came about.

Of a process that is to stop at a point, of GeNiE's troubles and of a broker's lost, late or refused answers only what
has struck somebody counts. Of all else (links to Kafka, brokers, leaders, markers, followers, clocks, the registry) it
counts that it was done: what came of it, if anybody was there to feel it, is for sometimes.py to see.

Knows which part each kind of fault hurts, and how it is well again. Must not know when a fault is due.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from random import Random
from typing import Any

from tests.chaos.plan import LinkTrouble, Outage
from tests.chaos.points import Point
from tests.simulation import faults
from tests.simulation.broker.api import Api
from tests.simulation.broker.errors import Error
from tests.simulation.broker.faults import Effect
from tests.simulation.broker.faults import Fault as RequestFault
from tests.simulation.faults import Broken, BrokerTrouble, Change, Fault, Kind
from tests.simulation.loop import Host
from tests.simulation.orders import Orders
from tests.simulation.parts import Parts
from tests.simulation.seats import Seat
from tests.simulation.workload import Workload

POINT_S = 20.0  # for a process to come to a point
POLL_S = 0.05
DELAY_MS = 700.0
BYTES_BEFORE_RESET = 300
LAG_MS = 300.0  # of followers that are far behind, where shape.py has drawn none
LOST_SHARE = 0.7  # of times that followers are far behind: they become leaders, and what they lack is lost
_OPENING = frozenset({Point.TAKEN_OVER, Point.OPENED})
# What is given to the sandbox's faults beside the share.
_PARAMETERS: Mapping[str, Mapping[str, Any]] = {
    "hang_before_accepting": {"seconds": 5},
    "timeout_after_accepting": {"seconds": 5},
    "late_acceptance": {"seconds": 1.5},
    "client_error": {"status": 403},
    "latency": {"ms": 900, "spread": "exponential"},
}
_SHARES: Mapping[str, float] = {
    "entry_rejected": 0.2,
    "entry_retry": 0.5,
    "entry_breaks": 0.3,
    "entry_spoils_batch": 0.3,
}
_REQUESTS: Mapping[BrokerTrouble, Callable[[float], RequestFault]] = {
    BrokerTrouble.LOST_COMMIT: lambda ms: RequestFault(Api.END_TXN, Effect.LOSE_ANSWER, times=1 + int(ms) % 4),
    BrokerTrouble.LATE_COMMIT: lambda ms: RequestFault(Api.END_TXN, Effect.DELAY_ANSWER, delay_ms=ms),
    BrokerTrouble.REFUSED_COMMIT: lambda _: RequestFault(
        Api.END_TXN, Effect.REFUSE, error=Error.CONCURRENT_TRANSACTIONS
    ),
    BrokerTrouble.COMMIT_DONE_LATE: lambda ms: RequestFault(Api.END_TXN, Effect.DELAY_REQUEST, delay_ms=ms),
    BrokerTrouble.LOST_PRODUCE: lambda _: RequestFault(Api.PRODUCE, Effect.LOSE_ANSWER),
    BrokerTrouble.REFUSED_PRODUCE: lambda _: RequestFault(
        Api.PRODUCE, Effect.REFUSE, error=Error.NOT_LEADER_OR_FOLLOWER
    ),
    BrokerTrouble.LOST_HEARTBEAT: lambda _: RequestFault(Api.HEARTBEAT, Effect.LOSE_ANSWER),
    BrokerTrouble.SLOW_OFFSETS: lambda ms: RequestFault(Api.LIST_OFFSETS, Effect.DELAY_ANSWER, times=4, delay_ms=ms),
    BrokerTrouble.SLOW_FETCH: lambda ms: RequestFault(Api.FETCH, Effect.DELAY_ANSWER, times=40, delay_ms=ms / 8),
    BrokerTrouble.LOST_OFFSETS: lambda _: RequestFault(Api.TXN_OFFSET_COMMIT, Effect.LOSE_ANSWER),
}


class Missed(Exception):  # noqa: N818 - it did not come about, and nobody is to blame
    """There was nothing to hurt."""


class Deeds:
    """Several may go on at once."""

    def __init__(
        self, parts: Parts, workload: Workload, seats: list[Seat], orders: Orders, tell: Callable[[str], None]
    ) -> None:
        self._parts = parts
        self._workload = workload
        self._seats = seats
        self._orders = orders
        self._tell = tell
        self.done: Counter[str] = Counter()
        self._genie = asyncio.Lock()
        self._over = asyncio.Event()
        self._ways: Mapping[Kind, Callable[[Fault], Awaitable[None]]] = {
            Kind.KILL_AT: self._at_point,
            Kind.FREEZE_AT: self._at_point,
            Kind.KILL: self._kill,
            Kind.FREEZE: self._freeze,
            Kind.RESTART: self._restart,
            Kind.LOSE_VIEW: self._lose_view,
            Kind.KAFKA_LINK: self._kafka_link,
            Kind.GENIE_LINK: self._genie_link,
            Kind.BROKER_STOP: self._broker_stop,
            Kind.LEADER_MOVE: self._leader_move,
            Kind.COORDINATOR_MOVE: self._coordinator_move,
            Kind.SLOW_MARKERS: self._slow_markers,
            Kind.SLOW_REPLICAS: self._slow_replicas,
            Kind.BROKER_TROUBLE: self._broker_trouble,
            Kind.OUTAGE: self._outage,
            Kind.BROKEN: self._outage,
            Kind.GENIE_KILL: self._genie_kill,
            Kind.OPEN_CHANGE: self._open_change,
            Kind.REGISTRY_AWAY: self._registry_away,
            Kind.COMPACTION: self._compaction,
            Kind.CLOCK: self._clock,
            Kind.GENIE_CLOCK: self._genie_clock,
            Kind.STANDSTILL: self._standstill,
        }

    async def do(self, fault: Fault) -> None:
        """Return when it is over."""
        self._tell(f"fault {fault.number}: {fault.name}, {self._seat(fault).name}, {fault.seconds:.1f} s")
        try:
            await self._ways[fault.kind](fault)
        except Missed as missed:
            self._tell(f"fault {fault.number} does not come about: {missed}")
        else:
            self.done[fault.name] += 1

    def end(self) -> None:
        """Whatever lasts is over now."""
        self._over.set()

    async def _last(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._over.wait()

    async def _come(self, condition: Callable[[], bool]) -> None:
        """Wait for it, in vain perhaps."""
        for _ in range(round(POINT_S / POLL_S)):
            if condition() or self._over.is_set():
                return
            await asyncio.sleep(POLL_S)

    def _seat(self, fault: Fault) -> Seat:
        return self._seats[fault.host % len(self._seats)]

    # --- gateways -------------------------------------------------------------------------------------------

    async def _at_point(self, fault: Fault) -> None:
        point, seat = fault.detail, self._seat(fault)
        assert isinstance(point, Point)
        deed = Host.kill if fault.kind is Kind.KILL_AT else Host.freeze
        host = await self._come_to(point, [seat], fault.kind.value, deed)
        if fault.kind is Kind.FREEZE_AT:
            await self._last(fault.seconds)
            host.thaw()

    async def _come_to(self, point: Point, seats: list[Seat], what: str, deed: Callable[[Host], None]) -> Host:
        """Who of these is the first to come to the point, where this was done to it."""
        reached: list[Host] = []

        def do(host: Host) -> None:
            reached.append(host)
            for seat in seats:
                self._orders.take_back(seat.name)
            self._tell(f"{host.name} is at {point.value}: {what}")
            deed(host)

        for seat in seats:
            self._orders.give(seat.name, point, do)
            if point in _OPENING:
                seat.process.kill()
            elif point is Point.DRAINING:
                seat.terminate()
        await self._come(lambda: bool(reached))
        for seat in seats:
            self._orders.take_back(seat.name)
        if not reached:
            raise Missed(f"{', '.join(seat.name for seat in seats)} does not come to {point.value}")
        return reached[0]

    async def _standstill(self, fault: Fault) -> None:
        """While one of them has a transaction open: it ends without its owner."""
        frozen: list[Host] = []

        def freeze_all(_: Host) -> None:
            frozen.extend(host for seat in self._seats if (host := seat.process.host) is not None and host.running)
            for host in frozen:
                host.freeze()

        await self._come_to(Point.PRODUCED, self._seats, fault.kind.value, freeze_all)
        await self._last(fault.seconds)
        for host in frozen:
            host.thaw()

    async def _kill(self, fault: Fault) -> None:
        seat = self._seat(fault)
        if not seat.process.alive:
            raise Missed("it is not there")
        seat.process.kill()

    async def _freeze(self, fault: Fault) -> None:
        host = self._seat(fault).process.host
        if host is None or not host.running:
            raise Missed("it is not there, or frozen already")
        host.freeze()
        await self._last(fault.seconds)
        host.thaw()

    async def _restart(self, fault: Fault) -> None:
        seat = self._seat(fault)
        if not seat.works:
            raise Missed("it does not work")
        seat.terminate()

    async def _lose_view(self, fault: Fault) -> None:
        self._seat(fault).lose_view()

    async def _clock(self, fault: Fault) -> None:
        process = self._seat(fault).process
        by_ms = faults.clock_ms(fault, self._parts.shape.drift_ms)
        self._tell(f"the clock of {process.name} is {by_ms} ms ahead")
        process.set_clock(by_ms)
        await self._last(fault.seconds)
        process.set_clock(0)

    # --- Kafka ------------------------------------------------------------------------------------------------

    async def _kafka_link(self, fault: Fault) -> None:
        """With one broker, some or all: who reaches the coordinator need not reach a leader."""
        network, name = self._parts.network, self._seat(fault).name
        hurt = self._several(fault, self._parts.brokers)
        self._tell(f"{name} has trouble with {', '.join(host for host, _ in hurt)}")
        for address in hurt:
            match fault.detail:
                case LinkTrouble.CUT:
                    network.refuse(name, address)
                    network.reset(name, address)
                case LinkTrouble.DELAY:
                    network.delay(name, address, DELAY_MS)
                case LinkTrouble.SILENT:
                    network.silence(name, address)
                case LinkTrouble.HALF_OPEN:
                    network.half_open(name, address)
                case LinkTrouble.RESET_AFTER:
                    network.reset_after(name, address, BYTES_BEFORE_RESET)
        await self._last(fault.seconds)
        for address in hurt:
            network.heal(name, address)

    async def _broker_stop(self, fault: Fault) -> None:
        kafka = self._parts.kafka
        node = self._some(fault, self._parts.nodes)
        kafka.stop_node(node)
        await self._last(fault.seconds)
        kafka.start_node(node)

    async def _leader_move(self, fault: Fault) -> None:
        topic, partition = self._some(fault, self._parts.partitions)
        self._parts.move_leader(topic, partition)

    async def _coordinator_move(self, fault: Fault) -> None:
        self._parts.move_coordinators()

    async def _slow_markers(self, fault: Fault) -> None:
        surroundings = self._parts.kafka.surroundings
        usual = surroundings.markers
        surroundings.markers = (50.0, 1_000 * fault.seconds)
        await self._last(fault.seconds)
        surroundings.markers = usual

    async def _slow_replicas(self, fault: Fault) -> None:
        self._parts.lag(self._parts.shape.lag_ms or LAG_MS)
        await self._last(fault.seconds / 2)
        if fault.chance < LOST_SHARE:
            for topic, partition in self._parts.partitions:
                self._parts.move_leader(topic, partition)
        await self._last(fault.seconds / 2)
        self._parts.lag(0.0)

    async def _broker_trouble(self, fault: Fault) -> None:
        assert isinstance(fault.detail, BrokerTrouble)
        trouble = _REQUESTS[fault.detail](1_000 * fault.seconds)
        trouble.skip = int(fault.chance * 3)
        before = self._parts.counted(trouble)
        self._parts.kafka.faults.add(trouble)
        await self._come(lambda: self._parts.counted(trouble) > before)
        if self._parts.counted(trouble) == before:
            raise Missed("no such request came")

    # --- GeNiE and the registry -------------------------------------------------------------------------------

    async def _genie_link(self, fault: Fault) -> None:
        assert isinstance(fault.detail, LinkTrouble)
        wire = self._parts.partner.wire(self._seat(fault).name)
        if wire.trouble is not None:
            raise Missed("it is in trouble already")
        before = wire.struck[fault.detail]
        wire.hurt(fault.detail)
        await self._last(fault.seconds)
        wire.heal()
        if wire.struck[fault.detail] == before:
            raise Missed("nothing was under way")

    async def _outage(self, fault: Fault) -> None:
        assert isinstance(fault.detail, Outage | Broken)
        name, partner = fault.detail.value, self._parts.partner
        wanted = {"share": _SHARES.get(name, 1.0), **_PARAMETERS.get(name, {})}
        before = partner.faults.hits[name]
        partner.fail({name: wanted})
        await self._last(fault.seconds)
        partner.mend(name)
        if partner.faults.hits[name] == before:
            raise Missed("GeNiE was asked nothing")

    async def _genie_kill(self, fault: Fault) -> None:
        async with self._genie:
            self._parts.partner.crash()
            await self._last(fault.seconds)
            self._parts.partner.start_again()

    async def _genie_clock(self, fault: Fault) -> None:
        partner = self._parts.partner
        partner.skew_ms = faults.clock_ms(fault, self._parts.shape.drift_ms)
        self._tell(f"GeNiE's clock is {partner.skew_ms} ms ahead")
        await self._last(fault.seconds)
        partner.skew_ms = 0

    async def _registry_away(self, fault: Fault) -> None:
        registry = self._parts.registry
        registry.is_away = True
        if fault.chance < 0.5:
            self._seat(fault).process.kill()  # what runs asks no more
        await self._last(fault.seconds)
        registry.is_away = False

    async def _open_change(self, fault: Fault) -> None:
        if fault.detail is Change.HOLD:
            self._workload.hold_slowly(fault.seconds)
        elif not self._workload.change_slowly(fault.seconds):
            raise Missed("nobody of late has a consent that may change")
        await self._last(fault.seconds)

    async def _compaction(self, fault: Fault) -> None:
        if not self._parts.shape.compacts:
            raise Missed("in this world nothing is compacted")
        self._parts.compact()

    def _several(self, fault: Fault, among: list[Any]) -> list[Any]:
        rng = Random(fault.chance)
        return rng.sample(among, rng.randint(1, len(among)))

    def _some(self, fault: Fault, among: list[Any]) -> Any:
        return among[Random(fault.chance).randrange(len(among))]
