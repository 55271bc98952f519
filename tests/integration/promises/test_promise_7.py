"""Memory stays bounded with a slow, hung or hostile GeNiE, and with any input."""

from gateway.sandbox.genie.faults import Point
from tests.integration.chosen_records import a_customer
from tests.integration.gateway_world import World
from tests.integration.promises.proof import PLAIN, Removed, also_without

ANN = "subject-ann"
WINDOW_BYTES = 1 << 20  # the least that can be set
MEMORY_BUDGET = 24 << 20  # beyond what the idle process keeps: window, feed and the client's buffers
RECORDS = 400
MEMO_BYTES = 100_000
HANGING = 2  # requests that GeNiE has taken and does not answer, one after the other


@also_without("no_byte_bounds")
async def test_promise_7_memory_stays_bounded(world: World, removed: Removed) -> None:
    """While GeNiE hangs, records of 40 MB wait in Kafka, not in the process."""
    gate = world.gate(Point.BEFORE_JUDGING)
    await world.consent(ANN)
    async with world.gateway(*removed, lane__window_bytes=str(WINDOW_BYTES)) as gateway:
        await gateway.ready(lanes=1)
        idle = gateway.most_resident_bytes()
        await world.payments(ANN, RECORDS, customer=a_customer(ANN, memo="x" * MEMO_BYTES))

        async def most(name: str) -> int:
            return max(view.get(name, 0) for view in (await gateway.status())["lanes"].values())

        async def all_are_inside() -> bool:
            return await most("unsettled") == RECORDS

        if removed == PLAIN:
            await world.sees(lambda: gate.came >= HANGING, "requests that hang")
        else:
            await world.sees(all_are_inside, "all records in the window")
        grown = gateway.most_resident_bytes() - idle
        window = await most("window_bytes")
    if removed == PLAIN:
        assert grown < MEMORY_BUDGET
        assert WINDOW_BYTES <= window < MEMORY_BUDGET, "less, and this run proves nothing"
    else:
        assert grown > MEMORY_BUDGET
