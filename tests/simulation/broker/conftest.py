"""The same client story told to a simulated Kafka behind a real socket, and to the embedded Apache Kafka."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from random import Random

import pytest

from gateway.sandbox.broker import Node
from tests.simulation.broker import SimulatedKafka

HOST = "127.0.0.1"


@pytest.fixture(scope="session")
def apache() -> Iterator[str]:
    """The bootstrap address of a real node: the runner's (TEST_KAFKA), else one started here."""
    if address := os.environ.get("TEST_KAFKA"):
        yield address
        return
    with Node() as node:
        yield node.bootstrap


class Served:
    """A simulated cluster that real clients reach over TCP."""

    def __init__(self, nodes: int, seed: int = 1) -> None:
        self._nodes = nodes
        self._seed = seed
        self._servers: list[asyncio.Server] = []

    async def __aenter__(self) -> SimulatedKafka:
        loop = asyncio.get_running_loop()
        made: list[SimulatedKafka] = []
        for node in range(1, self._nodes + 1):
            self._servers.append(await loop.create_server(lambda node=node: made[0].protocol(node), HOST, 0))
        ports = [server.sockets[0].getsockname()[1] for server in self._servers]
        nodes = [(number, HOST, port) for number, port in enumerate(ports, start=1)]
        made.append(SimulatedKafka(Random(self._seed), nodes, lambda: time.time_ns() // 1_000_000))
        return made[0]

    async def __aexit__(self, *_: object) -> None:
        for server in self._servers:
            server.close()


@pytest.fixture
async def simulated() -> AsyncIterator[SimulatedKafka]:
    """A cluster of one node."""
    async with Served(1) as kafka:
        yield kafka


@pytest.fixture
async def cluster() -> AsyncIterator[SimulatedKafka]:
    """A cluster of three nodes."""
    async with Served(3) as kafka:
        yield kafka
