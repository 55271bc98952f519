"""Per subject, first-time provisions keep the order of the input partition."""

from gateway.sandbox.genie.faults import Point
from tests.integration.gateway_world import World
from tests.integration.promises.proof import PLAIN, Removed, also_without, judge

ANN = "subject-ann"
EXPIRES_MS = "30000"  # GeNiE hangs no longer than that


@also_without("any_order")
async def test_promise_5_order_per_subject(world: World, removed: Removed) -> None:
    """While GeNiE sits on a subject's event, the next one of the subject waits."""
    await world.consent(ANN)
    gate = world.gate(Point.BEFORE_JUDGING, first=1)
    async with world.gateway(*removed, genie__expires_ms=EXPIRES_MS) as gateway:
        await world.payment(ANN)
        await world.sees(lambda: gate.came, "the first payment at GeNiE")
        await world.payment(ANN)

        async def second_is_in_the_window() -> bool:
            return any(view.get("unsettled") == 2 for view in (await gateway.status())["lanes"].values())

        if removed == PLAIN:
            await world.sees(second_is_in_the_window, "the second payment waiting")
        else:
            await world.settled(1)
        gate.open()
        await world.settled(2)
        gateway.terminate()
        await gateway.end_status()
    judge(await world.verdict(), removed, breaks="out_of_order")
