"""One producer of Kafka each: a plain line writes at once, a transactional one sometimes aborts and writes again.

Knows batches, acknowledgements and transactions. Must not know what the records say, nor which line they take.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder

from gateway.sandbox.producers.stream import Input

LINGER_SECONDS = 0.05  # fewer, fuller batches
TRANSACTION_LINGER_SECONDS = 0.2  # gather first: an open transaction holds back every reader
TRANSACTION_RECORDS = 500
ABORT_EVERY = 8  # transactions; the third is the first
BATCH_BYTES = 512 * 1024
WRITE_SECONDS = 60.0  # to write one round, with the client's retries


class ProduceError(Exception):
    """The records could not be produced; the text says what to do and holds no data."""


class UnreachableError(ProduceError):
    """Kafka does not answer."""


class Routed(NamedTuple):
    """A record and where it goes."""

    topic: str
    partition: int
    input: Input
    headers: Sequence[tuple[str, bytes]]


Delivered = Callable[[Sequence[Routed]], None]


class Line:
    """Takes records at once and writes them round by round, each round acknowledged before the next."""

    linger = LINGER_SECONDS

    def __init__(self, producer: AIOKafkaProducer, delivered: Delivered) -> None:
        self.producer = producer
        self._delivered = delivered
        self._waiting: list[Routed] = []
        self._wake = asyncio.Event()

    def put(self, routed: Routed) -> None:
        """Take one record; who hands them in bounds how many wait."""
        self._waiting.append(routed)
        self._wake.set()

    async def run(self) -> None:
        """Write what waits, until cancelled. Raises ProduceError."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(self.linger)
            self._wake.clear()
            taken, self._waiting = self._waiting, []
            for start in range(0, len(taken), TRANSACTION_RECORDS):
                await self._bounded(taken[start : start + TRANSACTION_RECORDS])

    async def _bounded(self, part: Sequence[Routed]) -> None:
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                await self._write(part)
        except (KafkaError, TimeoutError) as error:
            raise UnreachableError(
                f"Kafka did not acknowledge {len(part)} records ({type(error).__name__}): "
                "see whether its brokers are up and take them"
            ) from error
        self._delivered(part)

    async def _write(self, part: Sequence[Routed]) -> None:
        """Hand the records over as batches, and wait until all are acknowledged."""
        batches: dict[tuple[str, int], BatchBuilder] = {}
        acknowledged = []
        for routed in part:
            where = routed.topic, routed.partition
            if where in batches and _fits(batches[where], routed):
                continue
            if where in batches:
                acknowledged.append(await self.producer.send_batch(batches[where], where[0], partition=where[1]))
            batches[where] = self.producer.create_batch()
            if not _fits(batches[where], routed):
                raise ProduceError(f"a record for {routed.topic} is larger than {BATCH_BYTES} bytes")
        for (topic, partition), batch in batches.items():
            acknowledged.append(await self.producer.send_batch(batch, topic, partition=partition))
        await asyncio.gather(*acknowledged)


class TransactionalLine(Line):
    """Writes a few hundred records a transaction. What it aborts it writes again, as a real service would: each
    record is delivered once, and offsets have gaps."""

    linger = TRANSACTION_LINGER_SECONDS

    def __init__(self, producer: AIOKafkaProducer, delivered: Delivered) -> None:
        super().__init__(producer, delivered)
        self.aborted = 0  # records
        self._begun = 0

    async def _write(self, part: Sequence[Routed]) -> None:
        self._begun += 1
        if self._begun % ABORT_EVERY == 3:
            await self.producer.begin_transaction()
            await super()._write(part)
            await self.producer.abort_transaction()
            self.aborted += len(part)
        await self.producer.begin_transaction()
        await super()._write(part)
        await self.producer.commit_transaction()


def _fits(batch: BatchBuilder, routed: Routed) -> bool:
    made = routed.input
    return batch.append(timestamp=None, key=made.key, value=made.value, headers=routed.headers) is not None
