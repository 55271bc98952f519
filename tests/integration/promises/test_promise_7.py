"""Memory stays bounded with a slow, hung or hostile GeNiE, and with any input."""

from gateway.sandbox.genie.faults import Point
from tests.integration.chosen_records import a_customer
from tests.integration.gateway_world import World
from tests.integration.promises.proof import PLAIN, Removed, also_without

ANN = "subject-ann"
WINDOW_BYTES = 1 << 20  # the least that can be set
MEMORY_BUDGET = 48 << 20  # beyond what the idle process keeps: window, feed and the client's buffers
RECORDS = 1_000
MEMO_BYTES = 100_000
HANGING = 3  # requests that GeNiE has taken and does not answer


@also_without("no_byte_bounds")
async def test_promise_7_memory_stays_bounded(world: World, removed: Removed) -> None:
    """While GeNiE hangs, records of 100 MB wait in Kafka, not in the process."""
    gate = world.gate(Point.BEFORE_JUDGING)
    await world.consent(ANN)
    async with world.gateway(*removed, lane__window_bytes=str(WINDOW_BYTES)) as gateway:
        await gateway.ready(lanes=1)
        idle = gateway.most_resident_bytes()
        await world.payments(ANN, RECORDS, customer=a_customer(ANN, memo="x" * MEMO_BYTES))
        await world.sees(lambda: gate.came >= HANGING, "requests that hang")
        grown = gateway.most_resident_bytes() - idle
        window = max(view.get("window_bytes", 0) for view in (await gateway.status())["lanes"].values())
    if removed == PLAIN:
        assert grown < MEMORY_BUDGET
        assert window < MEMORY_BUDGET
        assert window >= WINDOW_BYTES, "the window was never full: this run proves nothing"
    else:
        assert grown > MEMORY_BUDGET
