"""Where all records leave: ten lines to Kafka, nine plain and one transactional, and which record takes which.

Knows order: the records of a key take one line to one partition, the one that the Java client would choose.
Must not know what the records say.
"""

from __future__ import annotations

import asyncio
import uuid
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import lru_cache

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner

from gateway.sandbox.producers.lines import BATCH_BYTES, Line, ProduceError, Routed, TransactionalLine, UnreachableError
from gateway.sandbox.producers.stream import Input

PLAIN_LINES = 9
MAX_WAITING = 20_000  # records handed in and not yet acknowledged
ROUTES_KEPT = 200_000
START_SECONDS = 20.0
CLOSE_SECONDS = 5.0
TRANSACTION_TIMEOUT_MS = 20_000  # a killed producer's open transaction holds back readers so long

Seen = Callable[[Input], None]


class Outlet:
    """Takes records, says when there is room for more, and counts what Kafka acknowledged."""

    def __init__(
        self,
        prefix: str,
        partitions: Mapping[str, int],
        producers: Sequence[AIOKafkaProducer],
        seen: Seen,
    ) -> None:
        self.produced: Counter[str] = Counter()  # by topic, as readers of committed records see it
        self.kinds: Counter[str] = Counter()
        self.waiting = 0
        self._names = {topic: prefix + topic for topic in partitions}
        self._partitions = partitions
        self._seen = seen
        self._moved = asyncio.Event()
        *plain, transactional = producers
        self._transactional = TransactionalLine(transactional, self._delivered)
        self.lines = (*(Line(producer, self._delivered) for producer in plain), self._transactional)
        self._route = lru_cache(maxsize=ROUTES_KEPT)(self._find_route)

    @property
    def aborted(self) -> int:
        """Records that were written in a transaction that was aborted, and then again."""
        return self._transactional.aborted

    def put(self, made: Input) -> None:
        """Take one record."""
        line, partition = self._route(made.topic, made.key if made.key is not None else made.value or b"")
        headers = [("producer", made.producer.encode())] if made.producer else []
        self.waiting += 1
        self.lines[line].put(Routed(self._names[made.topic], partition, made, headers))

    async def until_below(self, waiting: int) -> None:
        """Wait until fewer records than that wait to be acknowledged."""
        while self.waiting >= waiting:
            self._moved.clear()
            await self._moved.wait()

    def _find_route(self, topic: str, key: bytes) -> tuple[int, int]:
        count = self._partitions[topic]
        partition = DefaultPartitioner()(key, range(count), range(count))
        if zlib.crc32(key) % (PLAIN_LINES + 1) == PLAIN_LINES:
            return PLAIN_LINES, partition
        return (zlib.crc32(topic.encode()) + partition) % PLAIN_LINES, partition

    def _delivered(self, part: Sequence[Routed]) -> None:
        self.waiting -= len(part)
        for routed in part:
            self.produced[routed.topic] += 1
            self.kinds[routed.input.kind] += 1
            self._seen(routed.input)
        self._moved.set()


@asynccontextmanager
async def opened(bootstrap: str, prefix: str, topics: Sequence[str], seen: Seen) -> AsyncIterator[Outlet]:
    """An outlet to these topics; leaving waits until all is acknowledged. Raises ProduceError."""
    producers = [_producer(bootstrap) for _ in range(PLAIN_LINES)]
    producers.append(_producer(bootstrap, f"{prefix}producers-{uuid.uuid4()}"))
    try:
        await _start(bootstrap, producers)
        outlet = Outlet(prefix, await _partitions(bootstrap, producers[0], prefix, topics), producers, seen)
        try:
            async with asyncio.TaskGroup() as group:
                running = [group.create_task(line.run()) for line in outlet.lines]
                yield outlet
                await outlet.until_below(1)
                for task in running:
                    task.cancel()
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from failed
    finally:
        await asyncio.gather(*map(_stop, producers))


def _producer(bootstrap: str, transactional_id: str | None = None) -> AIOKafkaProducer:
    return AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        acks="all",
        enable_idempotence=True,
        max_batch_size=BATCH_BYTES,
        transactional_id=transactional_id,
        transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
    )


async def _start(bootstrap: str, producers: Sequence[AIOKafkaProducer]) -> None:
    try:
        async with asyncio.timeout(START_SECONDS):
            await producers[0].start()  # alone, so that one complains if Kafka is away
            await asyncio.gather(*(producer.start() for producer in producers[1:]))
    except (KafkaError, TimeoutError) as error:
        raise UnreachableError(f"no Kafka answers at {bootstrap}: start it or correct the address") from error


async def _partitions(bootstrap: str, producer: AIOKafkaProducer, prefix: str, topics: Sequence[str]) -> dict[str, int]:
    """How many partitions each topic has; asking for all topics creates none."""
    cluster = await producer.client.fetch_all_metadata()
    found = {topic: len(cluster.partitions_for_topic(prefix + topic) or ()) for topic in topics}
    missing = [prefix + topic for topic, count in found.items() if count == 0]
    if missing:
        raise ProduceError(f"{bootstrap} has no topic {', '.join(missing)}: run `gateway topics create` first")
    return found


async def _stop(producer: AIOKafkaProducer) -> None:
    with suppress(KafkaError, TimeoutError):  # all that counts is acknowledged by now, or has failed already
        async with asyncio.timeout(CLOSE_SECONDS):
            await producer.stop()
