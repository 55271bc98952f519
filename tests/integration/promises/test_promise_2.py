"""Nothing leaves without valid consent: a withdrawal that Kafka acknowledged before the decision is honoured."""

from tests.integration.gateway_world import World
from tests.integration.promises.proof import PLAIN, Removed, also_without, judge

ANN = "subject-ann"


@also_without("no_fence")
async def test_promise_2_nothing_leaves_without_valid_consent(world: World, removed: Removed) -> None:
    """A withdrawal that is acknowledged, but not visible yet because another transaction is open, stops the event."""
    await world.consent(ANN)
    async with world.gateway(*removed) as gateway:
        await gateway.ready(lanes=1)
        async with world.open_consent_transaction():
            await world.withdraw(ANN)
            await world.payment(ANN)
            waits = world.intents if removed == PLAIN else world.ledger
            await world.sees(lambda: waits, "the announcement, or without the fence the end")
        await world.settled(1)
        gateway.terminate()
        await gateway.end_status()
    judge(await world.verdict(), removed, breaks="unconsented")
    if removed == PLAIN:
        assert world.reasons() == ["consent_withdrawn"]
        assert world.received() == []


@also_without("retry_on_the_old_decision")
async def test_promise_2_holds_for_every_retry(world: World, removed: Removed) -> None:
    """What GeNiE had no time for is not sent again after a withdrawal."""
    await world.consent(ANN)
    world.faults(unavailable={"share": 1, "retry_after": 1})
    async with world.gateway(*removed) as gateway:
        await world.payment(ANN)
        await world.sees(lambda: world.genie.faults.hits["unavailable"], "a first attempt")
        await world.withdraw(ANN)
        world.faults()
        await world.settled(1)
        gateway.terminate()
        await gateway.end_status()
    # The verifier can't tell this removal: for all it knows, the first attempt may have arrived late.
    await world.judged()
    assert (world.reasons() == ["consent_withdrawn"]) is (removed == PLAIN)
