"""Reads whole topics, from the beginning to where they ended when reading began.

Knows Kafka. Must not know what the records mean.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

CONNECT_SECONDS = 15.0
# An open transaction hides what follows it until the broker ends it; ours time out after 20 s.
STALL_SECONDS = 40.0
_POLL_MS = 500
_FETCH_WAIT_MS = 20  # questions about offsets wait behind a fetch on the same connection
_RECORDS_A_POLL = 5_000
_BYTES_A_PARTITION = 4 * 1024 * 1024

Progress = Callable[[str, int, int], None]  # topic, records read, records in all


class TopicsError(Exception):
    """A topic could not be read to its end; the text says which, and what to do."""


class Topics:
    """A read_committed reader of whole topics."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)  # a consumer knows only the topics it reads
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=_BYTES_A_PARTITION,
            fetch_max_wait_ms=_FETCH_WAIT_MS,
        )

    async def __aenter__(self) -> Topics:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._consumer.start()
                await self._admin.start()
        except (KafkaError, OSError, TimeoutError):
            await self.__aexit__()
            raise TopicsError(f"no Kafka at {self._bootstrap}: start it or give --bootstrap") from None
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()
        await self._admin.close()

    async def records(self, topic: str, progress: Progress) -> AsyncIterator[ConsumerRecord[bytes, bytes]]:
        """Every record of a topic, in order within each partition."""
        try:
            ends = await self._assign(topic)
            async for record in self._read(topic, ends, progress):
                yield record
        except (KafkaError, TimeoutError) as error:
            raise TopicsError(f"{topic} could not be read from {self._bootstrap} ({type(error).__name__})") from error

    async def _assign(self, topic: str) -> Mapping[TopicPartition, int]:
        """Where each partition ends now."""
        async with asyncio.timeout(CONNECT_SECONDS):
            if topic not in await self._admin.list_topics():
                raise TopicsError(
                    f"no topic {topic} at {self._bootstrap}: check --prefix, or run `gateway topics create`"
                )
            (described,) = await self._admin.describe_topics([topic])
            partitions = [TopicPartition(topic, found["partition"]) for found in described["partitions"]]
            self._consumer.assign(partitions)
            ends: Mapping[TopicPartition, int] = await self._consumer.end_offsets(partitions)
            return ends

    async def _read(
        self, topic: str, ends: Mapping[TopicPartition, int], progress: Progress
    ) -> AsyncIterator[ConsumerRecord[bytes, bytes]]:
        begins = await self._consumer.beginning_offsets(list(ends))
        total = sum(ends.values()) - sum(begins.values())
        clock = asyncio.get_running_loop().time
        moved_at, left = clock(), total
        while left := await self._left(ends, left):
            batches = await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=_RECORDS_A_POLL)
            for partition, records in batches.items():
                for record in records:
                    if record.offset < ends[partition]:
                        yield record
            now_left = await self._left(ends, left)
            if now_left < left:
                moved_at = clock()
            elif clock() - moved_at > STALL_SECONDS:
                raise TopicsError(f"{topic} does not end: a transaction stays open; wait for its timeout and try again")
            progress(topic, total - now_left, total)

    async def _left(self, ends: Mapping[TopicPartition, int], before: int) -> int:
        """Offsets that reading has not passed yet."""
        positions = [await self._consumer.position(partition) for partition in ends]
        return sum(max(0, end - position) for end, position in zip(ends.values(), positions, strict=True))
