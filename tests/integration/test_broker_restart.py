"""A broker that crashes under a gateway at work, and comes back."""

from pathlib import Path

from gateway.sandbox.broker import Node
from gateway.sandbox.genie.faults import Point
from tests.faults import Where, fault
from tests.integration.gateway_world import LANES, PARTITIONS, World
from tests.integration.waiting import until

CRASH_S = 60.0  # to come back, or to end in order
UNREACHABLE = 3


@fault(
    Where.KAFKA,
    "the only broker is killed under load and comes back",
    does="settles nothing meanwhile; goes on by itself, or ends where it can't keep its promises",
    seen="`gateway_doubtful_commits_total`, lag growing; exit status 3 if it ends",
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
            gate = world.gate(Point.AFTER_ACCEPTING, first=PARTITIONS)
            await write_to_all(world, subjects)
            await world.sees(lambda: gate.came, "a request at GeNiE")
            node.kill()
            gate.open()
            await node.start_async()
            await write_to_all(world, subjects)
            await until(lambda: gateway.ended or len(world.ledger) == 2 * len(subjects), CRASH_S, "all, or its end")
            if gateway.ended:
                assert await gateway.end_status() == UNREACHABLE, gateway.log.read_text()
        async with world.gateway() as second:
            await second.ready(LANES)
            await world.settled(2 * len(subjects))
            second.terminate()
            assert await second.end_status() == 0
        verdict = await world.verdict()
    assert verdict.clean, verdict.examples
    assert verdict.ledger_records == verdict.produced == 2 * len(subjects)


async def write_to_all(world: World, subjects: list[str]) -> None:
    """A payment of each, over all partitions."""
    for number, subject in enumerate(subjects):
        await world.payment(subject, number % PARTITIONS)
