"""One embedded Apache Kafka, shared with everyone, and the nine topics behind one prefix for each module."""

import asyncio
import uuid
from pathlib import Path

import pytest

from gateway.kafka.connection import KafkaConnection
from gateway.kafka.names import TopicNames
from gateway.kafka.topics import create_topics
from tests.integration.conftest import kafka, world

__all__ = ["kafka", "world"]

HERE = Path(__file__).parent
PARTITIONS = 3


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents and "kafka" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.integration)


@pytest.fixture(scope="module")
def topics(kafka: str) -> TopicNames:
    """All of them, empty."""
    names = TopicNames(f"t{uuid.uuid4().hex[:8]}.")
    asyncio.run(create_topics(KafkaConnection(kafka, "test"), names, partitions=PARTITIONS, relaxed=True))
    return names
