"""Settings of topics that somebody changes while a gateway runs."""

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import MessageSizeTooLargeError

from gateway import schemas
from gateway.kafka.inflation import MAX_INFLATED_BYTES
from gateway.kafka.topics import needs
from tests.faults import Where, fault
from tests.integration.chosen_records import a_payment
from tests.integration.gateway_world import LANES, World

ANN = "subject-ann"
BOMB_BYTES = 4 * MAX_INFLATED_BYTES  # 2 KB on the wire
WRONG_USE, UNREACHABLE = 2, 3


async def change(admin: AIOKafkaAdminClient, world: World, topic: str, changes: dict[str, str]) -> None:
    """Set a topic as it must be but for these changes."""
    right = {need.setting: need.value for need in needs(world.names, relaxed=True)[topic]}
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {**right, **changes})])


@fault(
    Where.KAFKA,
    "the setting of an input topic is changed so that it takes compressed records, and one of a few KB unpacks to "
    "hundreds of MB",
    does="reads what unpacks to at most 16 MiB; what does not ends the process before it takes the memory. No process "
    "starts while the setting is wrong. (With the right one the brokers refuse such a record.)",
    seen="exit status 2, `a batch that is damaged, or unpacks to more than ...`; at start `compression.type is ...`",
)
async def test_a_decompression_bomb(world: World, kafka: str, admin: AIOKafkaAdminClient) -> None:
    """Refused by the broker while the topic is as it must be; by the gateway if it is changed under it."""
    await world.consent(ANN)
    bomber = AIOKafkaProducer(bootstrap_servers=kafka, compression_type="zstd", max_request_size=2 * BOMB_BYTES)
    async with bomber:
        with pytest.raises(MessageSizeTooLargeError):
            await bomber.send_and_wait(world.names.payments, key=ANN.encode(), value=bytes(BOMB_BYTES), partition=0)
        async with world.gateway() as gateway:
            await gateway.ready(LANES)
            await change(admin, world, world.names.payments, {"compression.type": "producer"})
            small = schemas.encode("LeasePaymentEvent", a_payment(ANN))
            await bomber.send_and_wait(world.names.payments, key=ANN.encode(), value=small, partition=0)
            await world.settled(1)
            await bomber.send_and_wait(world.names.payments, key=ANN.encode(), value=bytes(BOMB_BYTES), partition=0)
            assert await gateway.end_status() == WRONG_USE, gateway.end()
            assert "unpacks to more than" in gateway.end()
    async with world.gateway() as second:
        assert await second.end_status() == WRONG_USE
        assert "compression.type is producer" in second.end()
    verdict = await world.judged(complete=False)
    assert verdict.ledger_records == 1


@fault(
    Where.KAFKA,
    "max.message.bytes of the ledger is lowered below its records",
    does="ends the process after the second refused transaction, and does not start before the setting is mended; then "
    "settles what it could not write",
    seen='`gateway_doubtful_commits_total{step="produce"}`; exit status 3, then 2 with `max.message.bytes is ...`',
)
async def test_a_ledger_that_takes_no_record(world: World, admin: AIOKafkaAdminClient) -> None:
    """What the brokers refuse to store is never taken for settled, and nothing is lost."""
    await world.consent(ANN)
    async with world.gateway() as first:
        await first.ready(LANES)
        await change(admin, world, world.names.ledger, {"max.message.bytes": "100"})
        await world.payment(ANN)
        assert await first.end_status() == UNREACHABLE, first.end()
        assert any(line.get("code") == "NOT_WRITTEN" and line.get("step") == "produce" for line in first.lines())
    async with world.gateway() as second:
        assert await second.end_status() == WRONG_USE
        assert "max.message.bytes is 100" in second.end()
    await change(admin, world, world.names.ledger, {})
    async with world.gateway() as third:
        await third.ready(LANES)
        await world.settled(1)
        await third.end_in_order()
    verdict = await world.judged()
    assert verdict.ledger_records == verdict.produced == 1
