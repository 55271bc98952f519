"""A cluster of two brokers in which one may be away, and our topics on both."""

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from gateway.kafka.names import TopicNames
from gateway.kafka.topics import needs
from tests.integration.gateway_world import PARTITIONS
from tests.integration.waiting import until

BROKERS = 2
IN_SYNC_S = 30.0


async def make_topics(bootstrap: str, prefix: str) -> None:
    """Our topics, on every broker; a World that finds them there leaves them so."""
    topics = [
        NewTopic(topic, PARTITIONS, BROKERS, topic_configs={need.setting: need.value for need in needed})
        for topic, needed in needs(TopicNames(prefix), relaxed=True).items()
    ]
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics(topics)
    finally:
        await admin.close()


async def in_sync(bootstrap: str) -> None:
    """Wait until every broker has every record, as one does before the next broker is restarted."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()

    async def whole() -> bool:
        topics = await admin.describe_topics()
        return all(len(partition["isr"]) == BROKERS for topic in topics for partition in topic["partitions"])

    try:
        await until(whole, IN_SYNC_S, "all partitions in sync")
    finally:
        await admin.close()
