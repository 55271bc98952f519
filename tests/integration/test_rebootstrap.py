"""A client all of whose known brokers are gone, while the addresses that it was given lead to others."""

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.structs import BrokerMetadata

from gateway.kafka import rebootstrap
from gateway.sandbox.broker.node import HOST, free_port


async def finds_brokers(kafka: str) -> bool:
    """Whether new metadata is had by a client that knows of a dead broker alone."""
    client = AIOKafkaClient(bootstrap_servers=kafka)
    await client.bootstrap()
    try:
        client.cluster._brokers = {99: BrokerMetadata(99, HOST, free_port(), None)}
        return await client.force_metadata_update()
    finally:
        await client.close()


async def test_the_library_still_needs_it(kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Left alone, aiokafka asks the dead broker again and again; when it no longer does, rebootstrap.py can go."""
    monkeypatch.setattr(AIOKafkaClient, "_metadata_update", rebootstrap._update)
    assert not await finds_brokers(kafka)


async def test_it_asks_the_first_addresses_again(kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the gateway's correction the living broker is found."""
    monkeypatch.setattr(AIOKafkaClient, "_metadata_update", rebootstrap._update)  # put back afterwards
    rebootstrap.install()
    assert await finds_brokers(kafka)
