"""Decodes input records that a person asks for: in a child process first, what kills it kills no command.

Knows that an input may be such a record, settled or not, and who finds out. Must not know why anyone looks. A child
takes a moment to start, and each record a way there and back: what may be a whole backlog is sifted undecoded first.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from gateway.core.reasons import Reason
from gateway.kafka.taster import Taster
from gateway.oncall.desk import Desk, Found
from gateway.oncall.ledger.source import Place
from gateway.oncall.standing import event_types


@dataclass(slots=True)
class _Raw:
    topic: str
    key: bytes | None
    value: bytes | None


class Wary:
    """Of the topics that lanes read: inputs and requests to replay them."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._tasters = {topic: Taster(desk.codec, kind) for topic, kind in event_types(desk.names).items()}
        self._tasters[desk.names.replays] = Taster(desk.codec)

    async def at(self, places: Sequence[Place]) -> list[Found | None]:
        """The record at each place; None where the log has none (any more). Raises as `decoded`."""
        found = await self._desk.at(places, decoded=False)
        there = iter(await self.decoded([each for each in found if each is not None]))
        return [None if each is None else next(there) for each in found]

    async def decoded(self, found: Sequence[Found]) -> list[Found]:
        """The same, with their records, or why there are none.

        Raises KafkaUnavailableError, RegistryAway, TasterFailedError.
        """
        deadly = [await self._kills(each) for each in found]
        fit = iter(await self._desk.decoded([each for each, kills in zip(found, deadly, strict=True) if not kills]))
        return [
            replace(each, why=Reason.KILLS_DECODER) if kills else next(fit)
            for each, kills in zip(found, deadly, strict=True)
        ]

    async def close(self) -> None:
        """End the children."""
        for taster in self._tasters.values():
            await taster.close()

    async def _kills(self, found: Found) -> bool:
        taster = self._tasters.get(found.topic)
        key = None if found.key is None else found.key.encode("utf-8", "replace")
        return taster is not None and await taster.dies_of(_Raw(found.topic, key, found.value))


@asynccontextmanager
async def wary(desk: Desk) -> AsyncIterator[Wary]:
    """One who decodes so, until the end."""
    made = Wary(desk)
    try:
        yield made
    finally:
        await made.close()
