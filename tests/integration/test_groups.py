"""Processes that share the lanes as members of one group: they join, leave, die, and take each other's place."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from gateway.sandbox.genie.faults import Point
from tests.faults import Where, fault
from tests.integration.gateway_process import GatewayProcess
from tests.integration.gateway_world import LANES, PARTITIONS, World
from tests.integration.waiting import until

SUBJECTS = [f"subject-{number:03d}" for number in range(20)]
WRONG_USE = 2
BOUND_S = 40


@fault(
    Where.KAFKA,
    "processes join the group, leave it and are killed, under load",
    does="lanes move; each is drained by its old owner or taken over by its new one, and goes on where it was",
    seen="`lane open` and `lane closed` in the logs; `/ready` says which lanes are opening",
)
async def test_processes_join_and_leave_under_load(world: World) -> None:
    """From one to three, one ends in order, one is killed: each record is settled once, and the last one has all."""
    for subject in SUBJECTS:
        await world.consent(subject)
    dynamic = {"kafka__group_instance_id": None}
    async with AsyncExitStack() as stack, load(world) as written:
        one = await stack.enter_async_context(world.gateway(instance="one", **dynamic))
        await one.ready(LANES)
        two = await stack.enter_async_context(world.gateway(instance="two", **dynamic))
        three = await stack.enter_async_context(world.gateway(instance="three", **dynamic))
        await world.sees(lambda: world.shared(one, two, three), "lanes on all three")
        await one.end_in_order()
        await world.sees(lambda: world.shared(two, three), "lanes on the two that are left")
        two.kill()
        await world.sees(lambda: world.shared(three), "all lanes on the last")
        written.stop()
        await world.settled(written.count)
        await three.end_in_order()
    verdict = await world.judged()
    assert verdict.ledger_records == verdict.produced == written.count


@fault(
    Where.KAFKA,
    "two processes run with one group.instance.id",
    does="the one that was there first ends; the other goes on with its lanes",
    seen="exit status 2; the message names `kafka.group_instance_id`, what was found, and the remedy",
)
async def test_a_restart_moves_no_lane_and_a_second_process_of_the_same_id_ends_the_first(world: World) -> None:
    """Static membership: the id belongs to whoever joined with it last, and the others' lanes stay where they are."""
    for subject in SUBJECTS:
        await world.consent(subject)
    async with world.gateway(instance="one") as one, world.gateway(instance="two") as two:
        await world.sees(lambda: world.shared(one, two), "lanes on both")
        moves = opened(one)
        lanes = await two.lanes()
        await two.end_in_order()
        async with world.gateway(instance="two") as again:
            await until(lambda: has_lanes(again, lanes), BOUND_S, "the same lanes")
            assert opened(one) == moves, "the other process has lost and gained no lane"
            twin = world.gateway(instance="twin", kafka__group_instance_id=f"{world.prefix}two")
            async with twin:
                assert await again.end_status() == WRONG_USE
                assert f"kafka.group_instance_id: found {world.prefix}two, but another process" in again.end()
                await until(lambda: has_lanes(twin, lanes), BOUND_S, "the lanes of the first")
                count = await world.write_to_all(SUBJECTS)
                await world.settled(count)
                assert not one.ended
    await world.judged()


@fault(
    Where.KAFKA,
    "GeNiE hangs while a rebalance takes a lane away",
    does="the drain ends at `lane.drain_ms`; what is unsettled stays named as live, and the next owner finds out",
    seen="`lane closed` in the log; `live_intents` of the lane in /status of its next owner",
)
async def test_a_drain_ends_at_its_bound_and_the_next_owner_goes_on(world: World) -> None:
    """What hangs at GeNiE while its lane is revoked is recorded by whoever has the lane next, even if withdrawn."""
    for subject in SUBJECTS:
        await world.consent(subject)
    async with world.gateway(instance="one", lane__drain_ms="1000") as one:
        await one.ready(LANES)
        gate = world.gate(Point.AFTER_ACCEPTING)
        count = await world.write_to_all(SUBJECTS)
        await world.sees(lambda: gate.came >= 2 * PARTITIONS, "requests of every busy lane at GeNiE")
        async with world.gateway(instance="two") as two:
            await world.sees(lambda: world.shared(one, two), "lanes on both, although nothing is settled")
            assert not world.ledger
            await one.says("lane closed")
            assert any(view.get("live_intents") for view in (await two.status())["lanes"].values())
            await world.withdraw(SUBJECTS[0])
            await world.withdraw(SUBJECTS[1])
            gate.open()
            await world.settled(count)
            for gateway in (one, two):
                await gateway.end_in_order()
    verdict = await world.judged()
    assert verdict.ledger_records == verdict.produced == count
    assert {written["outcome"] for written in world.ledger} <= {"PROVIDED", "SUPERSEDED"}


class Load:
    """How many records were written so far."""

    def __init__(self) -> None:
        self.count = 0
        self.stopping = False

    def stop(self) -> None:
        """Write no more; called between two writes, so `count` is exact from here on."""
        self.stopping = True


@asynccontextmanager
async def load(world: World) -> AsyncIterator[Load]:
    """Payments and scores of all subjects, one after the other."""
    written = Load()

    async def write() -> None:
        for number in itertools.count():
            if written.stopping:
                return
            subject, partition = SUBJECTS[number % len(SUBJECTS)], number % PARTITIONS
            written.count += 1
            await (world.payment if number % 3 else world.score)(subject, partition)

    writing = asyncio.create_task(write())
    try:
        yield written
        await writing
    finally:
        writing.cancel()


async def has_lanes(gateway: GatewayProcess, lanes: set[str]) -> bool:
    return await gateway.lanes() == lanes


def opened(gateway: GatewayProcess) -> int:
    """How often lanes were opened there."""
    return sum(line["event"] == "lane open" for line in gateway.lines())
