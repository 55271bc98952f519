"""A client that reaches none of the brokers it knows of asks the addresses that it was given at first.

aiokafka never does. While one broker is restarted its clients forget it; if the other then stops, before they have
heard that the first is back, they know of none that lives, and stand still until that very broker returns. (What
Kafka calls KIP-899.) Knows aiokafka's client. Must not know who uses it.
"""

# aiokafka's client is untyped:
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError

_update = AIOKafkaClient._metadata_update


async def _update_or_bootstrap(self: AIOKafkaClient, cluster: Any, topics: Collection[str]) -> bool:
    if await _update(self, cluster, topics):
        return True
    try:
        await self.bootstrap()
    except KafkaConnectionError:
        return False  # as before: whoever needs the metadata asks again
    updated: bool = await _update(self, cluster, topics)
    return updated


def install() -> None:
    """Make it so for every client of this process; once is enough, more does no harm."""
    AIOKafkaClient._metadata_update = _update_or_bootstrap  # type: ignore[method-assign]  # the library has no hook
