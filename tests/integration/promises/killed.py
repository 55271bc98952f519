"""A kill -9 while one record is with GeNiE and a later one of its partition is settled already."""

from gateway.sandbox.genie.faults import Point
from gateway.sandbox.verifier import Verdict
from tests.integration.gateway_world import World

ANN, BOB, CAROL = "subject-ann", "subject-bob", "subject-carol"


async def killed_with_one_in_flight(world: World, removed: tuple[str, ...]) -> Verdict:
    """The verdict after a second process has settled a record behind both and ended in order."""
    for subject in (ANN, BOB, CAROL):
        await world.consent(subject)
    gate = world.gate(Point.BEFORE_JUDGING, first=1)
    async with world.gateway(*removed):
        await world.payment(ANN)
        await world.sees(lambda: gate.came, "Ann's payment at GeNiE")
        await world.payment(BOB)
        await world.settled(1)
    gate.open()
    async with world.gateway(*removed) as second:
        last = await world.payment(CAROL)
        await world.sees(lambda: world.has_settled(last), "the last payment settled")
        await second.end_in_order()
    return await world.verdict()
