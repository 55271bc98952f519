"""A schema registry that may be away: the release's own files, when it answers.

Knows whether it answers. Must not know who asks.
"""

from __future__ import annotations

import asyncio
from typing import Any

from gateway.kafka.registry import FileRegistry, RegistryAway

ANSWER_S = 0.002
SILENCE_S = 1.0  # before it is given up, while it is away


class SimulatedRegistry:
    """The one registry of a world."""

    where = "simulated registry"

    def __init__(self) -> None:
        self.is_away = False
        self.missed = 0  # questions while it was away
        self._files = FileRegistry()

    async def writer_schema(self, schema_id: int) -> Any | None:
        await self._answer()
        return await self._files.writer_schema(schema_id)

    async def id_of(self, name: str) -> int:
        await self._answer()
        return await self._files.id_of(name)

    async def close(self) -> None:
        """A gateway lets go; the others still ask."""

    async def _answer(self) -> None:
        if self.is_away:
            self.missed += 1
            await asyncio.sleep(SILENCE_S)
            raise RegistryAway(f"{self.where} gave no usable answer")
        await asyncio.sleep(ANSWER_S)
