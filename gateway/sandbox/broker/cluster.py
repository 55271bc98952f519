"""Some brokers and a controller of their own on this machine: a cluster in which one broker may be away.

Knows which nodes belong together. Must not know how a node is run, or who uses the cluster.
"""

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from gateway.sandbox.broker.config import CONTROLLER, Membership
from gateway.sandbox.broker.node import Node, free_port, new_cluster_id
from gateway.sandbox.broker.progress import Progress


class Cluster:
    """So many brokers, as an async context manager. The controller stays while a broker is stopped or killed.

    The internal topics lie on every broker; topics of clients lie where these say.
    """

    def __init__(
        self, brokers: int, *, properties: Mapping[str, str] | None = None, progress: Progress | None = None
    ) -> None:
        cluster_id, controller_port = new_cluster_id(), free_port()

        def node(number: int) -> Node:
            member = Membership(cluster_id, number, controller_port, brokers)
            return Node(properties=properties, member=member, progress=progress)

        self._controller = node(CONTROLLER)
        self.brokers = tuple(node(CONTROLLER + number) for number in range(1, brokers + 1))

    @property
    def bootstrap(self) -> str:
        """The addresses for clients."""
        return ",".join(broker.bootstrap for broker in self.brokers)

    async def start(self) -> None:
        """Return once every broker serves clients."""
        try:
            async with asyncio.TaskGroup() as starting:
                for node in (self._controller, *self.brokers):
                    starting.create_task(node.start_async())
        except BaseException:
            self.close()
            raise

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all nodes and delete what they hold."""
        for node in (*self.brokers, self._controller):
            node.close()
