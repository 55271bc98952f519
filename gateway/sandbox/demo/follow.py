"""Reads the ledger as it is written, committed records only, into a tally.

Knows Kafka. Must not know what the counts are for.
"""

from __future__ import annotations

import asyncio

from aiokafka import AIOKafkaConsumer

from gateway import schemas
from gateway.sandbox.demo.tally import Tally

LEDGER = "genie.provision.ledger"
RECORDS_A_POLL = 2_000  # between them others get their turn
POLL_MS = 200
_BYTES_A_PARTITION = 4 * 1024 * 1024


class LedgerFollower:
    """`async with LedgerFollower(bootstrap, tally) as follower` reads on with each `run`."""

    def __init__(self, bootstrap: str, tally: Tally) -> None:
        self._consumer = AIOKafkaConsumer(
            LEDGER,
            bootstrap_servers=bootstrap,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=_BYTES_A_PARTITION,
        )
        self._tally = tally

    async def __aenter__(self) -> LedgerFollower:
        await self._consumer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            polled = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=RECORDS_A_POLL)
            for records in polled.values():
                for record in records:
                    _, decoded = schemas.decode(record.value or b"")
                    self._tally.add(decoded, record.timestamp)
            await asyncio.sleep(0)
