"""On-call under chaos: plans of replays for what the ledger has settled of late, applied as in the simulation.

Knows how the end of the ledger is read. Must not know what becomes of a replay.
"""

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition

from gateway import schemas
from gateway.kafka.connection import REQUEST_TIMEOUT_MS
from tests.chaos.load import Load
from tests.simulation.replays import Replays, Settled, settled_in

TAIL = 1_000  # records at the end of each partition of the ledger
READ_S = 10.0
PLANS = 12  # of one action
POLL_MS = 200


class OnCall:
    """Applies plans of one seed."""

    def __init__(self, bootstrap: str, ledger: Sequence[TopicPartition], load: Load, seed: int) -> None:
        self._bootstrap = bootstrap
        self._ledger = ledger
        self._load = load
        self._settled: list[Settled] = []
        loop = asyncio.get_running_loop()
        self._replays = Replays(
            seed,
            lambda: self._settled,
            load.ask,
            load.end_or_begin,
            lambda seconds, act: loop.call_later(seconds, act) and None,
        )

    async def apply(self, seconds: float) -> int:
        """Some plans, spread over this time; how many records they could choose from. Raises KafkaError, TimeoutError
        when the ledger can't be read."""
        async with asyncio.timeout(READ_S):
            self._settled = await self._latest()
        for _ in range(PLANS):
            self._replays.apply()
            await asyncio.sleep(seconds / PLANS)
        return len(self._settled)

    async def _latest(self) -> list[Settled]:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            request_timeout_ms=REQUEST_TIMEOUT_MS,
        )
        try:
            await consumer.start()
            consumer.assign(self._ledger)
            ends = await consumer.end_offsets(self._ledger)
            for partition, end in ends.items():
                consumer.seek(partition, max(0, end - TAIL))
            found: list[Settled] = []
            while any([await consumer.position(partition) < end for partition, end in ends.items()]):
                for records in (await consumer.getmany(timeout_ms=POLL_MS)).values():
                    found += settled_in(schemas.decode(record.value)[1] for record in records)
            return found
        finally:
            await consumer.stop()
