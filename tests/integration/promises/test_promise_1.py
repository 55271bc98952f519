"""Nothing is lost: every input record ends in exactly one terminal ledger record."""

from tests.integration.gateway_world import World
from tests.integration.promises.killed import killed_with_one_in_flight
from tests.integration.promises.proof import Removed, also_without, judge


@also_without("watermark_at_the_position")
async def test_promise_1_nothing_is_lost(world: World, removed: Removed) -> None:
    """A record that was with GeNiE when the process died is delivered again and settled."""
    judge(await killed_with_one_in_flight(world, removed), removed, breaks="lost")
