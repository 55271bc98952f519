"""One embedded Apache Kafka for the whole run, and topics on it."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from gateway.sandbox.broker import Node
from tests.integration.gateway_world import World

HERE = Path(__file__).parent

MakeTopic = Callable[..., Awaitable[str]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.integration)


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """The bootstrap address: of the runner's node (TEST_KAFKA), else of one started here."""
    if address := os.environ.get("TEST_KAFKA"):
        yield address
        return
    with Node() as node:
        yield node.bootstrap


@pytest.fixture
async def admin(kafka: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """An admin client of the shared node."""
    client = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await client.start()
    yield client
    await client.close()


@pytest.fixture
def make_topic(admin: AIOKafkaAdminClient, prefix: str) -> MakeTopic:
    """`await make_topic("name", partitions=1, configs={...})` creates it and returns its prefixed name."""

    async def make(name: str, partitions: int = 1, configs: dict[str, str] | None = None) -> str:
        topic = NewTopic(prefix + name, partitions, 1, topic_configs=configs or {})
        await admin.create_topics([topic])
        return prefix + name

    return make


@pytest.fixture
async def world(kafka: str, prefix: str, tmp_path: Path) -> AsyncIterator[World]:
    """Topics, a strict GeNiE, and gateways to be started as processes."""
    async with World(kafka, prefix, tmp_path) as made:
        yield made
