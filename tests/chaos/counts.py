"""How many events and requests for replays went in, how many are recorded, and how the replays ended: counted as a
read_committed reader gets them.

Knows offsets, so that its memory does not grow, and of records only the ends of replays.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from gateway import schemas
from gateway.kafka.connection import REQUEST_TIMEOUT_MS
from tests.integration.waiting import POLL_SECONDS
from tests.simulation.replays import NAMES

POLL_MS = 200
RECORDS_A_POLL = 2_000
_BYTES_A_PARTITION = 4 * 1024 * 1024
_OF_A_REPLAY = NAMES.replays.encode()  # is in its ledger record, and in few others


class Counts:
    """`async with` follows the topics, through whatever befalls the broker."""

    def __init__(
        self,
        bootstrap: str,
        inputs: Sequence[TopicPartition],
        replays: Sequence[TopicPartition],
        ledger: Sequence[TopicPartition],
    ) -> None:
        self.inputs = 0
        self.asked = 0
        self.settled = 0
        self.replayed: Counter[str] = Counter()  # by outcome
        self._replays = frozenset(replays)
        self._ledger = frozenset(ledger)
        self._seen = dict.fromkeys((*inputs, *replays, *ledger), -1)
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=_BYTES_A_PARTITION,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
        )

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        self._consumer.assign(list(self._seen))
        self._following = asyncio.create_task(self._follow())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._following.cancel()
        await asyncio.gather(self._following, return_exceptions=True)
        await self._consumer.stop()

    @property
    def waiting(self) -> int:
        """Events and requests that are not recorded yet."""
        return self.inputs + self.asked - self.settled

    async def all_settled(self) -> bool:
        """Whether all that is in the topics was counted, and is recorded."""
        if self._following.done():
            self._following.result()
        ends = await self._consumer.end_offsets(list(self._seen))
        positions = {partition: await self._consumer.position(partition) for partition in ends}
        return positions == ends and not self.waiting

    async def _follow(self) -> None:
        while True:
            try:
                polled = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=RECORDS_A_POLL)
            except KafkaError:
                await asyncio.sleep(POLL_SECONDS)  # the broker is down
                continue
            for partition, records in polled.items():
                fresh = [record for record in records if record.offset > self._seen[partition]]
                self._seen[partition] = max(self._seen[partition], records[-1].offset)
                if partition in self._ledger:
                    self.settled += len(fresh)
                    self.replayed.update(_ends(record.value for record in fresh))
                elif partition in self._replays:
                    self.asked += len(fresh)
                else:
                    self.inputs += len(fresh)


def _ends(ledger: Iterable[bytes]) -> Iterator[str]:
    """The outcomes of those that are of replays."""
    for value in ledger:
        if _OF_A_REPLAY in value:
            record = schemas.decode(value)[1]
            if record["input"]["topic"] == NAMES.replays:
                yield record["outcome"]
