"""Kafka away from a gateway that has caught up: nothing waits, so nothing but its silence tells."""

from pathlib import Path

import pytest

from gateway.sandbox.broker import Node
from tests.faults import Where, fault
from tests.integration.gateway_world import LANES, World

ANN = "subject-ann"
SESSION_S = 6.0


@pytest.mark.long
@fault(
    Where.KAFKA,
    "the only broker is killed while there is nothing to do, and comes back",
    does="is not ready once its session is over, for others may have its lanes; goes on by itself",
    seen="`gateway_kafka_silence_seconds` grows, and `kafka_silence_seconds` in `/status`; `/ready` and the log say "
    "`Kafka says nothing`",
)
async def test_kafka_is_away_from_an_idle_gateway(prefix: str, tmp_path: Path) -> None:
    """Its lag stays 0 and no call fails, but its silence is a metric, and past the session it is not ready."""
    async with Node() as node, World(node.bootstrap, prefix, tmp_path) as world:
        await world.consent(ANN)
        async with world.gateway(kafka__session_timeout_ms="6000") as gateway:
            await gateway.ready(LANES)
            await world.payment(ANN)
            await world.settled(1)

            async def is_ready() -> bool:
                return (await gateway.status())["ready"]

            await world.sees(is_ready, "that it is ready")
            assert await gateway.value("gateway_kafka_silence_seconds") < SESSION_S
            node.kill()
            await gateway.says("Kafka says nothing, others may have our lanes")
            shown = await gateway.status()
            assert not shown["ready"]
            assert shown["reasons"] == ["Kafka says nothing for longer than kafka.session_timeout_ms"]
            assert shown["kafka_silence_seconds"] > SESSION_S
            assert await gateway.value("gateway_kafka_silence_seconds") > SESSION_S
            assert await gateway.value("gateway_lane_lag_records") == 0
            await node.start_async()
            await gateway.says("Kafka answers again")
            await world.payment(ANN)
            await world.settled(2)
            await world.sees(is_ready, "that it is ready again")
            await gateway.end_in_order()
        await world.judged()
