"""Exactly one ledger record per input record, for read_committed readers, whatever happens to processes."""

from tests.integration.gateway_world import World
from tests.integration.promises.killed import killed_with_one_in_flight
from tests.integration.promises.proof import Removed, also_without, judge

ANN, BOB = "subject-ann", "subject-bob"


@also_without("ledger_outside_the_transaction")
async def test_promise_4_exactly_one_ledger_record(world: World, removed: Removed) -> None:
    """A kill -9 between writing the ledger and committing the offset leaves nothing that a reader gets."""
    await world.consent(ANN)
    await world.consent(BOB)
    await world.payment(ANN)
    async with world.gateway(*removed, "die_before_commit") as first:
        assert await first.end_status() == -9
    async with world.gateway(*removed) as second:
        last = await world.payment(BOB)
        await world.sees(lambda: world.has_settled(last), "the last payment settled")
        await second.end_in_order()
    judge(await world.verdict(), removed, breaks="duplicated")


@also_without("no_settled_set")
async def test_promise_4_holds_beyond_the_watermark(world: World, removed: Removed) -> None:
    """What was settled while an earlier record was still with GeNiE is not settled again by the next process."""
    judge(await killed_with_one_in_flight(world, removed), removed, breaks="duplicated")
