"""A record whose decoding ends the process: four starts find it, and the partition goes on."""

from typing import Any

from gateway import schemas
from tests.faults import Where, fault
from tests.integration.chosen_records import a_customer, a_replay
from tests.integration.gateway_process import GatewayProcess
from tests.integration.gateway_world import LANES, World
from tests.promises.deadly_decoder import ENDS_PROCESS

PATCH = "marked_records_end_the_process"
STARTS_THAT_DIE = 3
BEHIND = 20


def deadly(subject: str) -> dict[str, Any]:
    """What makes a payment of this subject end the decoder's process."""
    return {"customer": a_customer(subject, memo=ENDS_PROCESS.decode())}


async def dies(gateway: GatewayProcess) -> None:
    """It was ended by a signal, not by itself."""
    assert (await gateway.end_status() or 0) < 0


@fault(
    Where.INPUT,
    "a record that kills the process which decodes it, and a replay of that record",
    does="after three starts of its lane without progress, the lane's records are decoded in a child process first; "
    "the record is INVALID kills_decoder, the others go on",
    seen="the process ends by a signal three times; then "
    '`gateway_settled_total{outcome="INVALID",reason="kills_decoder"}` and the log line `record kills the decoder`',
)
async def test_a_record_that_kills_the_decoder(world: World) -> None:
    """Three starts die of it, the fourth finds it; a replay of it is found after no more deaths than that, those of
    before included if the lane of replays was open by then."""
    await world.consent("subject-one")
    await world.consent("subject-two")
    before = await world.payment("subject-one")
    killer = await world.payment("subject-one", **deadly("subject-one"))
    for _ in range(BEHIND):
        await world.payment("subject-two")
    for _ in range(STARTS_THAT_DIE):
        async with world.gateway(PATCH) as gateway:
            await dies(gateway)
    async with world.gateway(PATCH) as gateway:
        await world.settled(2 + BEHIND)
        said = await gateway.says("record kills the decoder")
        assert (said["partition"], said["offset"]) == (0, killer)
        assert await gateway.value("gateway_settled_total", outcome="INVALID", reason="kills_decoder") == 1
        await gateway.ready(LANES)
        await replay(world, killer)
        await dies(gateway)
    await found_by_one_of_the_next(world)
    assert world.reasons() == ["accepted", "kills_decoder", *["accepted"] * BEHIND]
    assert before < killer
    assert [record["reason"] for record in world.ledger if record["replay_of"] is not None] == ["kills_decoder"]
    await world.judged()


async def found_by_one_of_the_next(world: World) -> None:
    """Starts die of the replay until its lane has been opened often enough."""
    for _ in range(STARTS_THAT_DIE):
        async with world.gateway(PATCH) as gateway:
            await world.sees(lambda: gateway.ended or len(world.ledger) == 3 + BEHIND, "an end or a record")
            if not gateway.ended:
                await gateway.end_in_order()
                return
    raise AssertionError("the replay is not found")


async def replay(world: World, offset: int) -> None:
    """Ask for a payment of partition 0 again."""
    request = a_replay("subject-one", world.names.payments, 0, offset)
    await world.write(world.names.replays, "subject-one", schemas.encode("ReplayRequest", request))
