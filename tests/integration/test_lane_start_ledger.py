"""Committed offsets that are lost or overwritten, and found again by the ledger alone."""

from aiokafka.structs import TopicPartition

from gateway.core.metadata import CommitMetadata
from gateway.kafka.connection import KafkaConnection
from gateway.sandbox.genie.faults import Point
from tests.coordinator_offsets import fetch_committed
from tests.faults import Where, fault
from tests.integration.gateway_world import LANES, World
from tests.integration.lost_offsets import delete_offset, empty_group, lanes_init, reset_offset

ANN, BOB, CAROL = "subject-ann", "subject-bob", "subject-carol"
WRONG_USE = 2


@fault(
    Where.KAFKA,
    "the group's offsets are deleted, or reset by a tool, after a kill -9 with requests at GeNiE",
    does="refuses to start; `gateway lanes init --from ledger --force` finds offsets, settled set and live intents "
    "again, and the next start records what GeNiE got, though its consent is withdrawn since",
    seen="exit status 2; the message names the lane and `gateway lanes init`",
)
async def test_lost_offsets_are_found_again_by_the_ledger(world: World) -> None:
    """Nothing is lost, nothing recorded twice, and what was at GeNiE is recorded: the verdict is clean."""
    deleted, reset = (TopicPartition(world.names.payments, number) for number in (0, 1))
    await let_the_process_die_with_requests_at_genie(world)
    await empty_group(world)
    before = await committed(world, deleted)
    await delete_offset(world, deleted)
    await reset_offset(world, reset, 0)
    async with world.gateway() as refusing:
        assert await refusing.end_status() == WRONG_USE
    assert "no committed offset" in refusing.end()
    assert "gateway lanes init" in refusing.end()

    status, refused = await lanes_init(world, "--from", "ledger")
    assert status == 1
    assert f"{world.names.payments}:1" in refused["message"]
    only = [f"--lane={lane.topic}:{lane.partition}" for lane in (deleted, reset)]
    status, planned = await lanes_init(world, "--from", "ledger", "--force", *only, "--dry-run")
    assert status == 0
    assert await committed(world, deleted) is None
    status, done = await lanes_init(world, "--from", "ledger", "--force", *only)
    assert status == 0
    assert done["lanes"] == planned["lanes"]
    assert [lane["started"] for lane in done["lanes"]] == ["set", "replaced"]
    assert before is not None
    assert await committed(world, deleted) == (before[0], CommitMetadata(before[1].settled, before[1].intents))

    async with world.gateway() as second:
        await second.ready(LANES)
        await world.settled(9)
        await second.end_in_order()
    verdict = await world.judged()
    assert verdict.ledger_records == verdict.produced == 9
    assert world.reasons().count("resolved_by_lookup") == 2
    accepted = [entry["idempotency_key"] for entry in world.received() if entry["status"] == "accepted"]
    assert len(accepted) == len(set(accepted)) == 8, "all but the one that was withdrawn before it was sent"


async def let_the_process_die_with_requests_at_genie(world: World) -> None:
    """In each of two lanes: two settled, one settled beyond one that hangs, one more that hangs and is withdrawn; and
    one that nobody has announced yet."""
    for subject in (ANN, BOB, CAROL):
        await world.consent(subject)
    async with world.gateway(genie__batch="1") as first:
        await first.ready(LANES)
        for partition in (0, 1):
            await world.payment(CAROL, partition)
        await world.settled(2)
        gate = world.gate(Point.AFTER_ACCEPTING, first=4)
        for partition in (0, 1):
            await world.payment(ANN, partition)
            await world.payment(BOB, partition)
        await world.sees(lambda: gate.came == 4, "all four at GeNiE")
        for partition in (0, 1):
            await world.payment(CAROL, partition)
        await world.settled(4)
        first.kill()
        await first.end_status()
    gate.open()
    await world.withdraw(BOB)
    await world.payment(BOB, 0)


async def committed(world: World, lane: TopicPartition) -> tuple[int, CommitMetadata] | None:
    async with KafkaConnection(world.kafka, "test").client() as client:
        found = await fetch_committed(client, world.group, *lane)
    return None if found is None else (found.offset, CommitMetadata.decode(found.metadata, found.offset))
