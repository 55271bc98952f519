"""A lane that is taken over by another owner while GeNiE has its batch."""

import pytest

from gateway.kafka.connection import KafkaConnection
from gateway.kafka.opening import LaneName
from gateway.kafka.transactions import LaneProducer
from gateway.sandbox.genie.faults import Point
from tests.faults import Where, fault
from tests.integration.gateway_process import GatewayProcess
from tests.integration.gateway_world import LANES, PARTITIONS, World
from tests.integration.kafka_proxy import HEARTBEAT, KafkaProxy

ANN, BOB = "subject-ann", "subject-bob"
UNREACHABLE = 3


@fault(
    Where.KAFKA,
    "a lane's producer is fenced while GeNiE has its batch, and the group still knows the process",
    does="commits nothing of it, opens the lane again, asks GeNiE once more with the same keys, and settles",
    seen="log `doubtful commit, the lane opens again` with code NEWER_OWNER",
)
async def test_fenced_by_an_owner_that_is_gone(world: World, kafka: str) -> None:
    """What takes a lane over and does nothing with it costs a reopening, and no record."""
    await world.consent(ANN)
    async with world.gateway() as gateway:
        await gateway.ready(LANES)
        gate = world.gate(Point.AFTER_ACCEPTING, first=1)
        await world.payment(ANN)
        await world.sees(lambda: gate.came, "the payment at GeNiE")
        lane = LaneName(world.group, world.names.payments, 0)
        other = LaneProducer(KafkaConnection(kafka, "other"), lane.transactional_id)
        await other.take_over()
        await other.drop()
        gate.open()
        await world.settled(1)
        assert is_fenced(gateway)
        await world.payment(ANN)
        await world.settled(2)
        await gateway.end_in_order()
    verdict = await world.judged()
    assert verdict.ledger_records == verdict.produced == 2


@pytest.mark.long
@fault(
    Where.KAFKA,
    "the group hears nothing more of a process that works on, and gives its lanes to another",
    does="the other finds what may have been sent, and settles it; the first can commit nothing any more, and ends",
    seen="log `doubtful commit, the lane opens again` with code NEWER_OWNER; exit status 3, `no heartbeat within ...`",
)
async def test_fenced_while_sending(world: World, kafka: str) -> None:
    """The answers that come to the older owner change nothing: each record is settled once, by the newer one."""
    for subject in (ANN, BOB):
        await world.consent(subject)
    async with KafkaProxy(kafka) as proxy, world.gateway(kafka__bootstrap_servers=proxy.address) as one:
        await one.ready(LANES)
        gate = world.gate(Point.AFTER_ACCEPTING)
        for partition, subject in enumerate((ANN, BOB)):
            await world.payment(subject, partition)
        await world.sees(lambda: gate.came >= PARTITIONS, "a batch of both lanes at GeNiE")
        proxy.swallow(HEARTBEAT)
        async with world.gateway(instance="two") as two:
            await two.ready(LANES)
            gate.open()
            await world.settled(PARTITIONS)
            await world.sees(lambda: is_fenced(one), "the older owner is refused")
            assert await one.end_status() == UNREACHABLE, one.end()
            await world.payment(ANN)
            await world.settled(PARTITIONS + 1)
            await two.end_in_order()
    verdict = await world.judged()
    assert verdict.ledger_records == verdict.produced == PARTITIONS + 1


def is_fenced(gateway: GatewayProcess) -> bool:
    """A newer owner has the lane, and the brokers have told it so."""
    return any(line.get("code") == "NEWER_OWNER" for line in gateway.lines())
