"""Topics that grow under a running gateway, and under one that is stopped."""

import time
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from gateway import schemas
from gateway.kafka.cluster import describe
from gateway.kafka.connection import KafkaConnection
from tests.faults import Where, fault
from tests.integration.chosen_records import a_consent
from tests.integration.gateway_world import LANES, PARTITIONS, World
from tests.integration.lost_offsets import empty_group, lanes_init
from tests.integration.waiting import until

ANN, BOB, CAROL = "subject-ann", "subject-bob", "subject-carol"
NEW = PARTITIONS  # the number of the partition that is added to a topic of so many
WRONG_USE = 2
BOUND_S = 30


@fault(
    Where.KAFKA,
    "partitions are added to input, consent and controls topics while the gateway runs",
    does="follows them before its next fence; a new input partition becomes a lane that starts at its first record",
    seen="`lane open` with the new lane in the log",
)
async def test_partitions_added_while_running(world: World, admin: AIOKafkaAdminClient) -> None:
    """A withdrawal and a hold in new partitions are honoured at once, and the new lane needs no `lanes init`."""
    names = world.names
    await world.consent(BOB)
    async with world.gateway() as gateway:
        await gateway.ready(LANES)
        await grow(world, admin, names.consents)
        await in_new_consents(world, ANN)
        await in_new_consents(world, CAROL)
        await world.payment(ANN)
        await world.settled(1)
        await in_new_consents(world, ANN, consent_version=2, status="withdrawn")
        await world.payment(ANN)
        await world.settled(2)
        assert world.reasons() == ["accepted", "consent_withdrawn"]

        await grow(world, admin, names.controls, 1)
        await hold(world, "held")
        await grow(world, admin, names.payments)
        await world.payment(CAROL, NEW)
        lane = f"{names.payments}:{NEW}"
        await until(lambda: has(gateway, lane), BOUND_S, "the new lane")
        await world.payment(BOB)
        await world.score(BOB)
        await world.settled(3)
        assert world.ledger[-1]["event_type"] == "norel_score_update", "payments are held"
        await hold(world, "released")
        await world.settled(5)
        await gateway.end_in_order()
    await world.payment(CAROL, NEW)
    async with world.gateway() as second:
        await second.ready(LANES + 1)
        await world.settled(6)
        await second.end_in_order()
    verdict = await world.judged()
    assert verdict.ledger_records == verdict.produced == 6


@fault(
    Where.KAFKA,
    "partitions are added to an input topic while no gateway runs",
    does="refuses to start: it has not seen that they are new, so their offsets may have been lost",
    seen="exit status 2; the message names the lane and `gateway lanes init`",
)
async def test_partitions_added_while_stopped(world: World, admin: AIOKafkaAdminClient) -> None:
    """`gateway lanes init --from earliest` gives the new lane its start and moves no other."""
    await world.consent(ANN)
    await world.payment(ANN)
    async with world.gateway(kafka__group_instance_id=None) as first:  # it leaves the group when it ends
        await world.settled(1)
        await first.end_in_order()
    await grow(world, admin, world.names.payments)
    await world.payment(ANN, NEW)
    async with world.gateway() as refusing:
        assert await refusing.end_status() == WRONG_USE
    assert f"lane {world.names.payments}:{NEW}: group {world.group} has no committed offset" in refusing.end()
    await empty_group(world)
    status, answer = await lanes_init(world, "--from", "earliest")
    assert status == 0
    assert [lane["partition"] for lane in answer["lanes"] if lane["started"] == "set"] == [NEW]
    async with world.gateway() as second:
        await world.settled(2)
        await second.end_in_order()
    await world.judged()


async def grow(world: World, admin: AIOKafkaAdminClient, topic: str, partitions: int = PARTITIONS) -> None:
    """One partition more, known to the brokers and to the test's producer."""
    await admin.create_partitions({topic: NewPartitions(partitions + 1)})
    async with KafkaConnection(world.kafka, "test").client() as client:

        async def grown() -> bool:
            return len((await describe(client, [topic])).topics[topic].partitions) == partitions + 1

        await until(grown, BOUND_S, f"one more partition of {topic}")
    await world.producer.client.force_metadata_update()


async def in_new_consents(world: World, subject: str, **changes: Any) -> None:
    """A consent record in the new partition, acknowledged."""
    value = schemas.encode("ConsentRecord", a_consent(subject, **changes))
    await world.write(world.names.consents, subject, value, NEW)


async def hold(world: World, state: str) -> None:
    """On payments, in the new partition of the controls."""
    control = {
        "hold_id": "hold-1",
        "scope": "event_type",
        "value": "lease_payment",
        "state": state,
        "operator": "on-call",
        "reason": "a test",
        "ticket": "T-1",
        "at": time.time_ns() // 1_000_000,
        "expires_at": None,
    }
    await world.write(world.names.controls, "hold-1", schemas.encode("Control", control), 1)


async def has(gateway: Any, lane: str) -> bool:
    return "watermark" in (await gateway.status())["lanes"].get(lane, {})
