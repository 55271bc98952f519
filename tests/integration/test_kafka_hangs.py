"""A broker that hangs: its connections stay open, and nothing is answered."""

import re
from pathlib import Path

import pytest

from gateway.kafka.connection import KAFKA_CALL_TIMEOUT_S, KAFKA_START_TIMEOUT_S
from gateway.kafka.lane_driver import CLOSE_BOUND_S
from gateway.kafka.transactions import COMMIT_TIMEOUT_S, PRODUCE_TIMEOUT_S
from gateway.sandbox.broker import Node
from gateway.sandbox.genie.faults import Point
from tests.faults import Where, fault
from tests.integration.gateway_process import GatewayProcess
from tests.integration.gateway_world import LANES, World
from tests.integration.waiting import until

ANN, BOB = "subject-ann", "subject-bob"
SHORT_S = 2.0
SESSION_S = 6.0
DRAIN_S = 2.0
UNREACHABLE = 3
# In doubt after the bound of a step, then not confirmed as a member, then the lanes' end.
END_S = max(PRODUCE_TIMEOUT_S, COMMIT_TIMEOUT_S) + SESSION_S + DRAIN_S + CLOSE_BOUND_S
START_S = KAFKA_START_TIMEOUT_S + KAFKA_CALL_TIMEOUT_S


async def oldest_unsettled_s(gateway: GatewayProcess) -> float:
    """How long the oldest record has waited, of all lanes."""
    shown = (await gateway.metrics()).decode()
    ages = re.findall(r"^gateway_lane_oldest_unsettled_seconds\{.*\} (\S+)$", shown, re.MULTILINE)
    return max(map(float, ages), default=0.0)


@fault(
    Where.KAFKA,
    "the broker hangs for a moment",
    does="waits, and goes on by itself",
    seen="`gateway_kafka_silence_seconds` and `gateway_lane_oldest_unsettled_seconds` grow",
)
async def test_a_short_hang(prefix: str, tmp_path: Path) -> None:
    """A broker that answers again within the bounds ends no process."""
    async with Node() as node, World(node.bootstrap, prefix, tmp_path) as world:
        for subject in (ANN, BOB):
            await world.consent(subject)
        async with world.gateway() as gateway:
            await gateway.ready(LANES)
            gates = []
            for subject in (ANN, BOB):
                gates.append(world.gate(Point.AFTER_ACCEPTING, first=1))
                await world.payment(subject)
                await world.sees(lambda: gates[-1].came, "the payment at GeNiE")
            node.freeze()
            gates[0].open()  # what is to be settled meets a broker that hangs, the other record only waits

            async def waited() -> bool:
                return await oldest_unsettled_s(gateway) > SHORT_S

            await world.sees(waited, "a record that waits")
            node.thaw()
            gates[1].open()
            await world.settled(2)
            await world.payment(ANN)
            await world.settled(3)
            await gateway.end_in_order()
        await world.judged()


@pytest.mark.long
@fault(
    Where.KAFKA,
    "the broker hangs past every bound",
    does="ends the process, and each one that is started meanwhile, within a bound; the first one that is started when "
    "the broker answers again goes on",
    seen="exit status 3, `no heartbeat within ...`; at start `Kafka: connecting to ...`",
)
async def test_a_long_hang(prefix: str, tmp_path: Path) -> None:
    """No call waits for ever: the process ends by itself, and so does one that starts; afterwards nothing is lost."""
    async with Node() as node, World(node.bootstrap, prefix, tmp_path) as world:
        for subject in (ANN, BOB):
            await world.consent(subject)
        async with world.gateway(lane__drain_ms="2000") as first:
            await first.ready(LANES)
            gate = world.gate(Point.AFTER_ACCEPTING)
            await world.payment(ANN)
            await world.sees(lambda: gate.came, "the payment at GeNiE")
            node.freeze()
            gate.open()
            await until(lambda: first.ended, END_S, "the end of a process whose broker hangs")
            assert await first.end_status() == UNREACHABLE, first.end()
            assert "no heartbeat within" in first.end()
        async with world.gateway() as second:
            await until(lambda: second.ended, START_S, "the end of a process that can't start")
            assert await second.end_status() == UNREACHABLE, second.end()
            assert "Kafka: connecting to" in second.end()
        node.thaw()
        async with world.gateway() as third:
            await third.ready(LANES)
            await world.payment(ANN)
            await world.settled(2)
            await third.end_in_order()
        verdict = await world.judged()
    assert verdict.ledger_records == verdict.produced == 2


@pytest.mark.long
@fault(
    Where.KAFKA,
    "the broker hangs for longer than the session while there is nothing to do",
    does="goes on when the broker answers again; asked to stop meanwhile, it does, within a bound",
    seen="`gateway_kafka_silence_seconds` grows; `/ready` and the log say `Kafka says nothing`",
)
async def test_an_idle_hang(prefix: str, tmp_path: Path) -> None:
    """A process that had nothing to commit goes on by itself, and SIGTERM ends it even while Kafka hangs."""
    async with Node() as node, World(node.bootstrap, prefix, tmp_path) as world:
        await world.consent(ANN)
        async with world.gateway() as gateway:
            await gateway.ready(LANES)
            node.freeze()
            await gateway.says("Heartbeat session expired - marking coordinator dead")
            await gateway.says("Kafka says nothing, others may have our lanes")
            assert not (await gateway.status())["ready"]
            node.thaw()
            await world.payment(ANN)
            await world.settled(1)
            await gateway.ready(LANES)
            node.freeze()
            gateway.terminate()
            await until(lambda: gateway.ended, END_S, "the end of a process that was asked to stop")
            assert await gateway.end_status() == 0, gateway.end()
        node.thaw()
        await world.judged()
