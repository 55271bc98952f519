"""Too much of everything: what waits, waits in Kafka; memory stays below its budget, and nobody starves."""

import asyncio
import base64
import random
import uuid
from bisect import bisect_left
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway import memory, schemas
from gateway.core.events import EventType
from gateway.core.identity import Identity
from gateway.sandbox.genie.answer import Wire
from gateway.sandbox.genie.faults import Point
from tests.faults import Where, fault
from tests.integration.chosen_records import a_customer, a_payment
from tests.integration.gateway_process import GatewayProcess
from tests.integration.gateway_world import LANES, Gate, World
from tests.integration.waiting import until

CONNECTIONS = 4
BUDGET = memory.least_bytes(CONNECTIONS)  # the least that can be set
MEMO_BYTES = 64_000  # the longest that billing allows
AT_ONCE = 5_000  # records that the test's producer has under way
ROUNDS = 3  # times that requests hang until they are given up
RESUMES = 1_000  # records settled once the cause is gone

TOO_MUCH = {
    "does": "leaves in Kafka what its windows and feeds do not take, and so stays below `memory_bytes`",
    "seen": "`process_resident_memory_bytes` below `gateway_memory_budget_bytes`; `gateway_lane_feed_records` and "
    "`gateway_lane_window_bytes` at their bounds, `gateway_lane_lag_records` growing",
}
STARVING = {
    "does": "sends the subject's events in their order; the others of the partition overtake them within the window",
    "seen": "`gateway_lane_window_span_offsets` large while `gateway_settled_total` grows",
}


async def write_payments(world: World, partition: int, subjects: Iterable[str], memo: str = "m") -> list[str]:
    """A payment of each, all in one partition, acknowledged; their event ids."""
    events, sent = [], []
    made: dict[str, Mapping[str, Any]] = {}
    for subject in subjects:
        if subject not in made:
            made[subject] = a_payment(subject, customer=a_customer(subject, memo=memo))
        record = {**made[subject], "event_id": str(uuid.uuid4())}
        events.append(record["event_id"])
        value, key = schemas.encode("LeasePaymentEvent", record), subject.encode()
        sent.append(await world.producer.send(world.names.payments, key=key, value=value, partition=partition))
        if len(sent) >= AT_ONCE:
            await asyncio.gather(*sent)
            sent = []
    await asyncio.gather(*sent)
    return events


async def shown(gateway: GatewayProcess) -> dict[str, float]:
    """The sum of each metric over its labels."""
    sums: dict[str, float] = {}
    for family in text_string_to_metric_families((await gateway.metrics()).decode()):
        for sample in family.samples:
            sums[sample.name] = sums.get(sample.name, 0.0) + sample.value
    return sums


async def lanes_are_full(world: World, gateway: GatewayProcess) -> bool:
    """Whether both lanes of payments take no more, and their feeds neither."""
    lanes = (await gateway.status())["lanes"]
    full = [
        view["feed_records"] and (view["window_bytes"] >= view["window_bytes_limit"] or view["unsettled"] >= 2_000)
        for name, view in lanes.items()
        if name.startswith(world.names.payments)
    ]
    return len(full) == 2 and all(full)


async def write_much(world: World, small: int, large: int) -> None:
    """So many small records, and so many large ones in another partition."""
    subjects = [f"subject-{number:03d}" for number in range(200)]
    for subject in subjects:
        await world.consent(subject)
    await write_payments(world, 0, (subjects[number % 200] for number in range(small)))
    await write_payments(world, 1, (subjects[number % 200] for number in range(large)), "x" * MEMO_BYTES)


@asynccontextmanager
async def full_gateway(world: World, gate: Gate) -> AsyncIterator[GatewayProcess]:
    """One whose lanes take no more, because requests hang at the gate."""
    async with world.gateway(memory_bytes=str(BUDGET), genie__connections=str(CONNECTIONS)) as gateway:
        await gateway.ready(LANES)
        await world.sees(lambda: gate.came >= ROUNDS * 2, "requests that hang")
        await until(lambda: lanes_are_full(world, gateway), 20, "lanes that take no more")
        metrics = await shown(gateway)
        assert metrics["gateway_memory_budget_bytes"] == BUDGET
        assert 0 < metrics["process_resident_memory_bytes"] < BUDGET
        assert metrics["gateway_lane_window_bytes"] > memory.LEAST_WINDOW_BYTES, "less, and this run proves nothing"
        assert metrics["gateway_lane_feed_bytes"] > 0
        yield gateway


@fault(Where.BOUNDS, "hundreds of MB wait in records of up to 64 KB, and GeNiE hangs", **TOO_MUCH)
async def test_memory_stays_below_its_budget(world: World) -> None:
    """What memory_bytes says is not exceeded, whatever waits; a process that is given more makes up for it faster."""
    small, large = 5_000, 4_000
    await write_much(world, small, large)
    gate = world.gate(Point.BEFORE_JUDGING)
    async with full_gateway(world, gate) as gateway:
        gate.open()
        await world.settled(RESUMES)
        await world.save_metrics(gateway)
        assert gateway.most_resident_bytes() < BUDGET
        await gateway.end_in_order()
    async with world.gateway(memory_bytes=str(4 << 30), lane__window_bytes=str(1 << 30)):
        await until(lambda: len(world.ledger) == small + large, 60, "all settled")
    verdict = await world.judged()
    assert verdict.ledger_records == small + large


@pytest.mark.long
@pytest.mark.timeout(600)
@fault(Where.BOUNDS, "a million records wait, and GeNiE hangs", **TOO_MUCH)
async def test_memory_stays_below_its_budget_before_a_million_records(world: World) -> None:
    """The same before a million; nothing was received so far, and then it goes on."""
    await write_much(world, 1_000_000, 3_000)
    gate = world.gate(Point.BEFORE_JUDGING)
    async with full_gateway(world, gate) as gateway:
        await world.save_metrics(gateway)
        await world.judged(complete=False)
        gate.open()
        await world.settled(RESUMES)
        assert gateway.most_resident_bytes() < BUDGET


class SlowFor(Gate):
    """GeNiE takes its time over requests with certain keys, until it is opened."""

    def __init__(self, keys: Iterable[str], seconds: float) -> None:
        super().__init__(Point.AFTER_ACCEPTING)
        self._keys = frozenset(keys)
        self._seconds = seconds

    async def act(self, wire: Wire, chance: random.Random) -> None:
        if not self._keys.isdisjoint(wire.keys):
            self.came += 1
            try:
                async with asyncio.timeout(self._seconds):
                    await self._opened.wait()
            except TimeoutError:
                pass


def keys_of(world: World, events: Sequence[str]) -> list[str]:
    """The idempotency keys of payments."""
    pki = world.genie.pki
    secrets = (base64.b64decode(path.read_bytes()) for path in (pki.idempotency_key, pki.pseudonym_key))
    identity = Identity(*secrets, "genie", "")
    return [identity.idempotency_key(EventType.LEASE_PAYMENT, event) for event in events]


async def write_hot(world: World, hot: int, every: int) -> tuple[list[str], list[str]]:
    """So many events of one subject, and one of another behind each `every` of them, all in one partition."""
    subjects = ["subject-hot" if number % (every + 1) else f"subject-{number:06d}" for number in range(1, hot + 1)]
    others = [subject for subject in subjects if subject != "subject-hot"]
    for subject in ("subject-hot", *others):
        await world.consent(subject)
    events = await write_payments(world, 0, subjects)
    return subjects, [event for event, subject in zip(events, subjects, strict=True) if subject == "subject-hot"]


def settled_at(world: World, *, hot: bool) -> dict[int, int]:
    """Offset -> when it was settled, of the hot subject's records or of the others'."""
    return {
        written["input"]["offset"]: written["settled_at"]
        for written in world.ledger
        if (written["subject_ref"] == "subject-hot") is hot
    }


@fault(Where.BOUNDS, "one subject has 5,000 events waiting, and GeNiE is slow over them", **STARVING)
async def test_a_hot_subject_starves_nobody(world: World) -> None:
    """While GeNiE takes its time over one subject, all others of the partition are settled, between and behind it."""
    subjects, events = await write_hot(world, 5_000, 24)
    slow = SlowFor(keys_of(world, events), 1.0)
    world.add(slow)
    others = len(subjects) - len(events)
    async with world.gateway() as gateway:
        await world.sees(lambda: len(settled_at(world, hot=False)) == others, "all others settled")
        assert slow.came
        assert len(settled_at(world, hot=True)) < len(events) / 2, "the hot subject did not wait: this proves nothing"
        slow.open()
        await world.settled(len(subjects))
        await world.save_metrics(gateway)
    verdict = await world.judged()
    assert verdict.ledger_records == len(subjects)


@pytest.mark.long
@pytest.mark.timeout(900)
@fault(Where.BOUNDS, "one subject has 100,000 events waiting", **STARVING)
async def test_a_very_hot_subject_starves_nobody(world: World) -> None:
    """Each other subject overtakes thousands of the hot one's events, as far as the window reaches."""
    subjects, _ = await write_hot(world, 100_000, 99)
    async with world.gateway():
        await until(lambda: len(world.ledger) == len(subjects), 800, "all settled")
    hot = sorted(settled_at(world, hot=True).items())
    offsets, times = [offset for offset, _ in hot], sorted(at for _, at in hot)
    overtaken = sorted(
        bisect_left(offsets, offset) - bisect_left(times, at) for offset, at in settled_at(world, hot=False).items()
    )
    assert overtaken[len(overtaken) // 2] > 2_000, overtaken
    verdict = await world.judged()
    assert verdict.ledger_records == len(subjects)
