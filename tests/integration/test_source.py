"""The group member on a real broker: what it does when the log moves under an open lane."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import RecordsToDelete
from aiokafka.structs import TopicPartition

from gateway.kafka.connection import KafkaConnection
from gateway.kafka.membership import GroupSettings
from gateway.kafka.source import Feed, PositionLostError, Source
from tests.integration.waiting import until

BOUND_S = 20


async def test_an_open_lane_whose_records_are_deleted_ends_the_process(
    kafka: str, prefix: str, admin: Any, make_topic: Any
) -> None:
    """It can neither skip what is gone nor wait for it: the next start refuses and says what to do."""
    topic = await make_topic("input")
    partition = TopicPartition(topic, 0)
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        for _ in range(50):
            await producer.send_and_wait(topic, b"x", partition=0)
    feeds: list[Feed] = []

    async def closed(lost: Sequence[TopicPartition]) -> None:
        """Nothing to drain."""

    connection = KafkaConnection(kafka, "test")
    group = GroupSettings(f"{prefix}group", None, 10_000, 60_000)
    async with connection.client() as client:
        source = Source(connection, client, group, [topic], feeds.append, closed, pytest.fail, lambda _: 1 << 20)
        await source.start()
        polling = asyncio.create_task(source.run())
        try:
            await until(lambda: feeds, BOUND_S, "the partition")
            await admin.delete_records({partition: RecordsToDelete(40)})
            feeds[0].seek(10)
            with pytest.raises(PositionLostError, match=f"{topic}:0"):
                await asyncio.wait_for(polling, BOUND_S)
        finally:
            polling.cancel()
            await source.stop()
