"""One story: the parts and gateways of a seed, events and faults in virtual time, then all is well, settled and judged.

Knows the order of these. Must not know how anything is hurt, or what is wrong in the end.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from aiokafka.errors import KafkaConnectionError

from gateway.kafka.strict_producer import AnswerLostError
from gateway.sandbox.pki import Pki
from gateway.sandbox.verifier.history import Raw, Topic
from tests.simulation import evidence as evidences
from tests.simulation import faults, keys, orders, process, replays_seen, weave
from tests.simulation.broker.quick import compiled_structs
from tests.simulation.clocks import taken_over, wall_ms
from tests.simulation.deeds import Deeds
from tests.simulation.evidence import Evidence
from tests.simulation.faults import Kind
from tests.simulation.handles import Task
from tests.simulation.judge import verdict, violations
from tests.simulation.lookout import Lookout
from tests.simulation.loop import MAX_COMPLAINTS, Host, SimulationStuck, VirtualLoop, collect_quietly
from tests.simulation.orders import Orders
from tests.simulation.params import Params
from tests.simulation.parts import GROUP, Parts
from tests.simulation.process import Below, Process, installed
from tests.simulation.registry import SimulatedRegistry
from tests.simulation.seats import Seat
from tests.simulation.shape import EXPIRES_MS, SESSION_MS, SKEW_MS, Shape
from tests.simulation.story import Story
from tests.simulation.workload import Append, Workload

HEALED_S = 300.0  # how long it may take until one more record is settled, once nothing fails any more
MAX_STEPS = 5_000_000  # ten times what a large story takes
POLL_S = 0.5
NAMES = ("one", "two", "three", "four")
DRAIN_MS = 4_000
CHOKED_SHARE = 0.1  # of entries, on which GeNiE fails
CHOKES_ON_S = 30.0  # after all other trouble, so that who gives up on an entry has the time to
MOST_ENDS_A_FAULT = 10  # of gateways by themselves: who can't reach a part at its start tries again every second
_COUNTED_TOO = ("code", "topic")  # of what is beside a line of the log
_RAISED = "exception in"
_NEVER_RETRIEVED = "exception was never retrieved"
# Trouble at GeNiE all along: what share of the usual share each kind has.
_USUAL = {
    "too_many_requests": 0.2,
    "bad_gateway": 0.2,
    "bad_gateway_after_accepting": 0.2,
    "reset_before_accepting": 0.2,
    "reset_after_accepting": 0.2,
    "entry_retry": 0.05,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a story."""

    params: Params
    events: int = 0
    faults: int = 0
    violations: tuple[str, ...] = ()
    evidence: Evidence = field(default_factory=Evidence)
    digest: str = ""
    lines: tuple[str, ...] = ()
    about: tuple[str, ...] = ()  # those of the lines that the first violation is about
    inputs: int = 0  # that can be left out
    cpu_s: float = 0.0


def play(params: Params, directory: Path) -> Outcome:
    """Play it, in a fresh directory."""
    began = time.process_time()
    loop = VirtualLoop(max_steps=MAX_STEPS)
    story = Story(loop.time)
    world = _World(params, loop, story, keys.cached(), directory)
    stuck = []
    below = Below(world.transport, world.registry, world.hear)
    with taken_over(loop, params.seed), compiled_structs(), installed(below):
        try:
            loop.run(world.go())
        except SimulationStuck as error:
            stuck.append(f"stuck: {error}")
        outcome = world.outcome(stuck)
        del world
        collect_quietly()
    return replace(outcome, cpu_s=time.process_time() - began)


class _World:
    def __init__(self, params: Params, loop: VirtualLoop, story: Story, pki: Pki, directory: Path) -> None:
        self._params = params
        self._shape: Shape = params.shape
        self._loop = loop
        self._story = story
        self._pki = pki
        self._directory = directory
        self._orders = Orders()
        self._evidence = Evidence()
        self._logs: list[str] = []
        self._wrong: list[str] = []
        self.registry = SimulatedRegistry()
        self._parts: Parts | None = None
        self._seats: list[Seat] = []

    # --- what gateways stand on -----------------------------------------------------------------------------

    def transport(self, name: str) -> process.Connect:
        return self._made.partner.transport(name)

    def hear(self, host: str, level: str, event: str, beside: Mapping[str, Any]) -> None:
        """A line of a gateway's log."""
        del level
        self._evidence.logs[event] += 1
        for name in _COUNTED_TOO:
            if name in beside:
                self._evidence.logs[f"{event}/{beside[name]}"] += 1
        said = " ".join(f"{key}={value}" for key, value in beside.items() if isinstance(value, str | int | float))
        self._story.tell(f"{host} says: {event} {said}", [str(beside["lane"])] if "lane" in beside else ())
        self._logs.append(f"{event} {beside}")

    @property
    def _made(self) -> Parts:
        if self._parts is None:
            raise AssertionError("the parts are made inside the loop")
        return self._parts

    # --- the course of a story ------------------------------------------------------------------------------

    async def go(self) -> None:
        shape, tell = self._shape, self._story.tell
        parts = self._parts = Parts(shape, self._loop, self._pki, self.registry)
        orders.stand(self._orders)
        tell(f"seed {shape.seed}: {shape.size}{self._params.less}")
        self._workload = Workload(shape, self._write, parts.settled, parts.later, lambda: wall_ms(self._loop))
        self._workload.at_first()
        self._seats = [Seat(self._process(number), tell) for number in range(shape.hosts)]
        self._deeds = Deeds(parts, self._workload, self._seats, self._orders, tell)
        lookout = Lookout(parts, self._seats, shape, self._evidence.seen)
        sitting = [asyncio.create_task(seat.run()) for seat in self._seats]
        looking = asyncio.create_task(lookout.run())
        latency = {"latency": {"share": 1, "ms": shape.latency_ms, "spread": "exponential"}}
        usual = {name: {"share": part * shape.usual} for name, part in _USUAL.items()} if shape.usual else {}
        parts.partner.fail_as_usual(latency | usual | self._chokes)
        await self._troubles()
        await self._settle()
        for seat in self._seats:
            await seat.close()
        await asyncio.gather(*sitting)
        looking.cancel()
        collect_quietly()  # that nobody asked how something ended is told when it is collected
        self._wrong += _overlooked(self._loop.complaints)
        self._wrong += _unasked([host for seat in self._seats for host in seat.killed])

    @property
    def _chokes(self) -> Mapping[str, object]:
        return {"entry_breaks": {"share": CHOKED_SHARE}} if self._shape.chokes else {}

    def _process(self, number: int) -> Process:
        shape, name = self._shape, NAMES[number]
        rng = Random(f"{shape.seed}/host {name}")
        given = process.settings(
            self._pki,
            name,
            self._directory / name,
            kafka={
                "bootstrap_servers": self._made.kafka.bootstrap,
                "group_id": GROUP,
                "session_timeout_ms": SESSION_MS,
                "rebalance_timeout_ms": shape.rebalance_ms,
                "group_instance_id": name if shape.static else None,
            },
            genie={
                "expires_ms": EXPIRES_MS,
                "skew_ms": SKEW_MS,
                "batch": shape.batch,
                "connections": shape.connections,
            },
            lane={"window": shape.window, "drain_ms": DRAIN_MS},
        )
        made = Process(name, self._loop, given)
        made.set_clock(rng.uniform(-shape.drift_ms, shape.drift_ms) // 2)
        return made

    async def _troubles(self) -> None:
        """Events flow, and things go wrong."""
        agenda: list[tuple[float, Any]] = list(self._workload.agenda(self._params.inputs))
        doing: list[asyncio.Task[None]] = []

        def do(fault: faults.Fault) -> None:
            doing.append(asyncio.create_task(self._deeds.do(fault)))

        agenda += [(fault.due_s, partial(do, fault)) for fault in self._faults()]
        began = self._loop.time()
        for due_s, act in sorted(agenda, key=lambda each: each[0]):
            await asyncio.sleep(max(0.0, began + due_s - self._loop.time()))
            act()
        await asyncio.sleep(max(0.0, began + self._shape.trouble_s - self._loop.time()))
        self._deeds.end()
        await asyncio.gather(*doing)
        self._story.tell("nothing fails any more")
        self._be_well()

    def _faults(self) -> Iterator[faults.Fault]:
        kept = self._params.faults
        return (fault for fault in faults.plan(self._params.drawn) if kept is None or fault.number in kept)

    def _be_well(self) -> None:
        self._made.be_well()
        if self._shape.chokes:
            partner = self._made.partner
            partner.fail_as_usual(self._chokes)
            self._loop.call_later(CHOKES_ON_S, partner.fail_as_usual, {})
        self._workload.release_all()
        for seat in self._seats:
            self._orders.take_back(seat.name)
            seat.process.thaw()
            seat.process.set_clock(0)

    async def _settle(self) -> None:
        """Until every lane has committed all that lies in its partition."""
        moved_at, progress = self._loop.time(), self._made.progress()
        while unsettled := self._made.unsettled():
            if (now := self._made.progress()) != progress:
                moved_at, progress = self._loop.time(), now
            elif self._loop.time() - moved_at > HEALED_S:
                views = [f"{seat.name}: {_views(seat)}" for seat in self._seats]
                self._wrong.append(f"not settled: {', '.join(unsettled)}, and nothing more for {HEALED_S:g} s: {views}")
                return
            await asyncio.sleep(POLL_S)
        self._story.tell("all is settled")

    def _write(self, append: Append, told: Any) -> None:
        def lie(offsets: Sequence[int]) -> None:
            self._story.tell(*weave.of_append(append, offsets))
            told(offsets)

        self._made.write(append, lie)

    # --- the end --------------------------------------------------------------------------------------------

    def outcome(self, stuck: Sequence[str]) -> Outcome:
        records, receipts = self._made.records(), self._made.partner.receipts.lines
        clocks_ms = max(
            [self._shape.drift_ms, *(abs(faults.clock_ms(fault, self._shape.drift_ms)) for fault in self._clocks())]
        )
        found = verdict(records, receipts, self._logs, skew_ms=SKEW_MS + 2 * clocks_ms, drift_ms=clocks_ms)
        raised = [f"raised by a callback: {told}" for told in self._loop.complaints if _RAISED in told["message"]]
        wrong = [
            *stuck,
            *raised,
            *(wrong for seat in self._seats for wrong in seat.wrong),
            *self._too_many_ends(),
            *self._wrong,
            *violations(found),
            *replays_seen.wrongly_parked(records),
        ]
        self._gather(records, receipts)
        digest = self._story.seal(_contents(records, receipts))
        return Outcome(
            self._params,
            found.produced,
            sum(self._evidence.done.values()),
            tuple(wrong),
            self._evidence,
            digest,
            *self._told(wrong, records, receipts),
            inputs=self._workload.planned,
        )

    def _told(
        self, wrong: Sequence[str], records: Mapping[Topic, Sequence[Raw]], receipts: Sequence[bytes]
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """All lines, and those that the first violation is about."""
        if not wrong and not self._params.told:
            return (), ()
        wanted = weave.followed(wrong[0], records, receipts) if wrong else frozenset[str]()
        lines = weave.woven(self._story.lines, records, self._made.partner.asked, receipts, wanted)
        return tuple(map(str, lines)), tuple(map(str, weave.only(lines, wanted)))

    def _too_many_ends(self) -> Iterator[str]:
        """Of gateways that could not reach a part: without faults none is right."""
        ends = sum((seat.ends for seat in self._seats), Counter[str]())
        bound = MOST_ENDS_A_FAULT * len(list(self._faults()))
        if ends.total() > bound:
            yield f"gateways ended by themselves {ends.total()} times, at most {bound} are right: {dict(ends)}"

    def _clocks(self) -> Iterator[faults.Fault]:
        return (fault for fault in self._faults() if fault.kind in (Kind.CLOCK, Kind.GENIE_CLOCK))

    def _gather(self, records: Mapping[Topic, Sequence[Raw]], receipts: Sequence[bytes]) -> None:
        evidence, partner = self._evidence, self._made.partner
        evidence.add(evidences.of_records(records, receipts))
        kills = [(seat.name, at) for seat in self._seats for at in seat.killed_at]
        evidence.joined.update(replays_seen.seen(records, kills))
        evidence.done.update(self._deeds.done)
        evidence.seen.update({f"at {point}": count for point, count in self._orders.reached.items()})
        evidence.seen["the registry was asked in vain"] += self.registry.missed
        for seat in self._seats:
            evidence.ends.update(seat.ends)
        evidence.genie.update({f"entry {status}": count for status, count in partner.counts.entries.items()})
        evidence.genie.update({f"lookup {status}": count for status, count in partner.counts.lookups.items()})
        evidence.genie.update(partner.counts.refusals)
        evidence.genie.update(partner.faults.hits)
        evidence.brokers.update(self._made.kafka.counts)
        evidence.brokers.update({trouble.value: count for trouble, count in self._made.network.counts.items()})


def _overlooked(complaints: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Tasks and futures that failed, and nobody asked. aiokafka makes another connection for one it gave up, and a
    transaction whose gateway ends by itself at that moment fails with nobody left to hear of it."""
    for told in complaints:
        if _NEVER_RETRIEVED in told["message"] and not isinstance(
            told["exception"], KafkaConnectionError | AnswerLostError
        ):
            yield f"overlooked: {told}"
    if len(complaints) >= MAX_COMPLAINTS:
        yield f"overlooked: there may be more than these {MAX_COMPLAINTS} complaints of the loop"


def _unasked(killed: Sequence[Host]) -> Iterator[str]:
    """Tasks that failed, nobody asked, and something still holds; who was killed had no time to ask."""
    for task in gc.get_objects():
        if type(task) is Task and task._log_traceback and task.host not in killed:
            yield f"overlooked: {task!r}"


def _views(seat: Seat) -> object:
    gateway = seat.process.gateway
    return [f"{driver.name} {driver.view()}" for driver in gateway._drivers()] if gateway else None


def _contents(records: Mapping[Topic, Sequence[Raw]], receipts: Sequence[bytes]) -> Iterator[bytes]:
    """Everything, for the digest."""
    for raws in records.values():
        for raw in raws:
            yield f"{raw.where} {raw.timestamp}".encode()
            yield raw.key or b""
            yield raw.value or b""
    yield from receipts
