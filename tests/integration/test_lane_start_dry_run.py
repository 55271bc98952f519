"""`gateway lanes init --from ledger --dry-run`: it reads, and leaves whoever still owns a lane alone."""

from gateway.kafka.connection import KafkaConnection
from gateway.kafka.opening import LaneName
from gateway.kafka.transactions import LaneProducer
from tests.integration.gateway_world import World
from tests.integration.lost_offsets import lanes_init


async def test_a_dry_run_takes_no_lane_over(world: World) -> None:
    """An owner that the group has forgotten commits after it as before; it says that it may be behind such a one."""
    lane = LaneName(world.group, world.names.payments, 0)
    owner = LaneProducer(KafkaConnection(world.kafka, "test"), lane.transactional_id, lane.group)
    await owner.take_over()
    try:
        status, planned = await lanes_init(world, "--from", "ledger", "--force", f"--lane={lane}", "--dry-run")
        assert (status, planned["dry_run"], planned["may_be_behind"]) == (0, True, True)
        await owner.begin_and_produce([])
        await owner.commit(lane.topic, lane.partition, 0, "")
    finally:
        await owner.drop()
