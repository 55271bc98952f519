"""What runs a gateway in production: one that ended because Kafka was away is started again."""

import asyncio
from typing import Self

from tests.integration.gateway_world import World
from tests.integration.waiting import until

STARTS = 8
LIFE_S = 240.0
UNREACHABLE = 3


class Supervisor:
    """`async with` keeps a gateway running; every end but "Kafka could not be reached" fails the test."""

    def __init__(self, world: World, instance: str = "one") -> None:
        self._world = world
        self._instance = instance
        self._over = False
        self.starts = 0

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self._run())
        await self.ready()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over = True
        await self._running

    async def ready(self) -> None:
        """Some process has opened a lane, and runs."""
        await until(lambda: self._running.done() or self._is_open(), LIFE_S, "an open lane")
        if self._running.done():
            await self._running

    def _is_open(self) -> bool:
        return self.starts > 0 and any(line["event"] == "lane open" for line in self.gateway.lines())

    async def _run(self) -> None:
        while not self._over and self.starts < STARTS:
            async with self._world.gateway(instance=self._instance) as self.gateway:
                self.starts += 1
                await until(lambda: self._over or self.gateway.ended, LIFE_S, "its end")
                if self._over:
                    await self.gateway.end_in_order()
                    return
                assert await self.gateway.end_status() == UNREACHABLE, self.gateway.log.read_text()
        raise AssertionError(f"ended {self.starts} times:\n{self.gateway.end()}")
