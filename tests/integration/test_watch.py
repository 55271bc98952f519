"""What the metrics of a running gateway say of how far it is."""

import re
import resource
from pathlib import Path

from gateway.sandbox.genie.faults import Point
from tests.integration.gateway_process import GatewayProcess
from tests.integration.gateway_world import BOUND_S, World
from tests.integration.waiting import until

PAYMENTS = 3


async def lag(gateway: GatewayProcess, topic: str, partition: int) -> float | None:
    """The lane's lag as Prometheus would read it; None before it is measured."""
    pattern = rf'^gateway_lane_lag_records{{partition="{partition}",topic="{re.escape(topic)}"}} (.+)$'
    found = re.search(pattern, (await gateway.metrics()).decode(), re.MULTILINE)
    return float(found[1]) if found else None


async def test_lag_grows_while_genie_hangs_and_goes_when_it_answers(kafka: str, prefix: str, tmp_path: Path) -> None:
    """What waits is seen from outside, up to the last record; and so is the day on which our certificate ends."""
    async with World(kafka, prefix, tmp_path) as world, world.gateway(command=True) as gateway:
        gate = world.gate(Point.BEFORE_JUDGING)
        await gateway.serving()
        assert resource.prlimit(gateway.pid, resource.RLIMIT_CORE) == (0, 0)  # a crash leaves no personal data behind
        await world.consent("subject-1")
        for _ in range(PAYMENTS):
            await world.payment("subject-1")

        async def behind() -> bool:
            return (await lag(gateway, world.names.payments, 0) or 0) >= PAYMENTS

        async def done() -> bool:
            return await lag(gateway, world.names.payments, 0) == 0

        await until(behind, BOUND_S, "the lag shows")
        gate.open()
        await world.settled(PAYMENTS)
        await until(done, BOUND_S, "no lag")
        assert b'gateway_certificate_expiry_timestamp_seconds{name="genie"}' in await gateway.metrics()
