"""No provision goes unrecorded, even if the process dies and consent is withdrawn before the ledger is written."""

from tests.faults import Where, fault
from tests.integration.gateway_world import World
from tests.integration.promises.proof import PLAIN, Removed, also_without, judge

ANN, BOB = "subject-ann", "subject-bob"


@fault(
    Where.OWN,
    "kill -9 between GeNiE's 2xx and the settling, and consent is withdrawn before the next start",
    does="the next owner finds the live intent and sends the same bytes again or asks GeNiE, before it settles",
    seen="reason `resolved_by_lookup` in the ledger",
)
@also_without("no_live_intents", "withhold_without_asking")
async def test_promise_3_no_provision_goes_unrecorded(world: World, removed: Removed) -> None:
    """A kill -9 between GeNiE's 2xx and the settling: the next owner finds out, by sending again or by asking."""
    await world.consent(ANN)
    await world.consent(BOB)
    await world.payment(ANN)
    await world.payment(BOB)
    async with world.gateway("die_after_answer", *removed) as first:
        assert await first.end_status() == -9
    await world.withdraw(ANN)
    async with world.gateway(*removed) as second:
        await world.settled(2)
        await second.end_in_order()
    judge(await world.verdict(), removed, breaks="unrecorded")
    if removed == PLAIN:
        assert world.reasons() == ["resolved_by_lookup", "accepted"]
        assert {written["transmitted"] for written in world.ledger} == {"yes"}
