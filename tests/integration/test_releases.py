"""One release back and forth, at work: what the other one leaves behind is taken over, or refused in words."""

from gateway.sandbox.genie.faults import Point
from tests.faults import Where, fault
from tests.integration.gateway_world import LANES, PARTITIONS, World

ANNS = [f"subject-ann-{number}" for number in range(8)]
WRONG_USE = 2


async def write_round(world: World) -> None:
    """A payment of each, over both partitions."""
    for number, subject in enumerate(ANNS):
        await world.payment(subject, number % PARTITIONS)


@fault(
    Where.RELEASES,
    "the next release is killed in the middle of its work, and this one takes over",
    does="resolves what the other one announced, and builds its view anew if that has another format",
    seen="log `consent view is built anew` with reason `other_origin`; `gateway_build_info`",
)
async def test_back_and_forth(world: World) -> None:
    """Forward, back with intents live, and forward again: each record is settled once."""
    for subject in ANNS:
        await world.consent(subject)
    async with world.gateway() as this:
        await write_round(world)
        await world.settled(len(ANNS))
        await this.end_in_order()
    async with world.gateway("next_release") as later:
        gate = world.gate(Point.AFTER_ACCEPTING, first=PARTITIONS)
        await write_round(world)
        await world.sees(lambda: gate.came, "a request at GeNiE")
        later.kill()
        gate.open()
    async with world.gateway() as this:
        assert (await this.says("consent view is built anew"))["reason"] == "other_origin"
        await world.settled(2 * len(ANNS))
        await this.end_in_order()
    async with world.gateway("next_release"):
        await write_round(world)
        await world.settled(3 * len(ANNS))
    versions = {written["gateway"]["version"] for written in world.ledger}
    assert len(versions) == 2, versions
    verdict = await world.judged()
    assert verdict.ledger_records == verdict.produced == 3 * len(ANNS)


@fault(
    Where.RELEASES,
    "a rollback over more releases than one, to one that can't read what was committed",
    does="does not start, and leaves the offsets as they are",
    seen="exit status 2; `was committed by a later release of the gateway`",
)
async def test_too_far_back_is_refused(world: World) -> None:
    """The message says which release can go on; started again, that one does."""
    for subject in ANNS:
        await world.consent(subject)
    async with world.gateway("release_after_next") as later:
        await later.ready(LANES)
        await write_round(world)
        await world.settled(len(ANNS))
        await later.end_in_order()
    async with world.gateway() as this:
        assert await this.end_status() == WRONG_USE
        said = this.log.read_text("utf-8")
    assert "was committed by a later release of the gateway (format 2, this release reads 1)" in said
    async with world.gateway("release_after_next"):
        await write_round(world)
        await world.settled(2 * len(ANNS))
    verdict = await world.judged()
    assert verdict.ledger_records == 2 * len(ANNS)
