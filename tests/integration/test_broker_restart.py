"""A broker that crashes under a gateway at work, and comes back."""

from pathlib import Path

from gateway.sandbox.broker import Node
from gateway.sandbox.genie.faults import Point
from tests.faults import Where, fault
from tests.integration.gateway_process import GatewayProcess
from tests.integration.gateway_world import LANES, World
from tests.integration.waiting import until

WAITED_S = 1.0
CRASH_S = 60.0  # to come back, or to end in order
UNREACHABLE = 3


@fault(
    Where.KAFKA,
    "the only broker is killed under load and comes back",
    does="settles nothing meanwhile; goes on by itself, or ends where it can't keep its promises",
    seen="`gateway_kafka_silence_seconds` and `gateway_lane_oldest_unsettled_seconds` grow, log line "
    "`Unable connect to node`; exit status 3 if it ends",
)
async def test_broker_crash(prefix: str, tmp_path: Path) -> None:
    """While the only broker is away nothing is settled; afterwards each record is settled once, if need be by the
    next process: one that can't keep its promises any more has ended and said so."""
    subjects = [f"subject-{number:03d}" for number in range(20)]
    async with Node() as node, World(node.bootstrap, prefix, tmp_path) as world:
        for subject in subjects:
            await world.consent(subject)
        async with world.gateway() as gateway:
            await gateway.ready(LANES)
            gate = world.gate(Point.AFTER_ACCEPTING)
            count = await world.write_to_all(subjects)
            await world.sees(lambda: gate.came, "a request at GeNiE")
            node.kill()
            gate.open()
            await world.sees(lambda: is_seen(gateway), "that the broker is away")
            assert not world.ledger
            await node.start_async()
            count += await world.write_to_all(subjects)
            await until(lambda: gateway.ended or len(world.ledger) == count, CRASH_S, "all, or its end")
            if gateway.ended:
                assert await gateway.end_status() == UNREACHABLE, gateway.log.read_text()
        async with world.gateway() as second:
            await second.ready(LANES)
            await world.settled(count)
            await second.end_in_order()
        verdict = await world.judged()
    assert verdict.ledger_records == verdict.produced == count


async def is_seen(gateway: GatewayProcess) -> bool:
    """By a metric and in the log."""
    waited_s = await gateway.value("gateway_lane_oldest_unsettled_seconds")  # of all lanes
    return waited_s > WAITED_S and any(line["event"].startswith("Unable connect to node") for line in gateway.lines())
