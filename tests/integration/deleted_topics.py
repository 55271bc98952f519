"""Topics deleted, as by an administrator's tool, and made anew."""

from aiokafka.admin import AIOKafkaAdminClient

from gateway.kafka.connection import KafkaConnection
from gateway.kafka.topics import create_topics
from tests.integration.gateway_world import PARTITIONS, World
from tests.integration.waiting import until

BOUND_S = 30


async def delete(admin: AIOKafkaAdminClient, topic: str) -> None:
    """Until no broker names it."""
    await admin.delete_topics([topic])

    async def gone() -> bool:
        return topic not in await admin.list_topics()

    await until(gone, BOUND_S, "the topic's end")


async def make_anew(world: World) -> None:
    """Create what is missing, once the brokers have forgotten the old topic."""

    async def created() -> bool:
        made, _ = await create_topics(
            KafkaConnection(world.kafka, "test"), world.names, partitions=PARTITIONS, relaxed=True
        )
        return bool(made)

    await until(created, BOUND_S, "the new topic")
