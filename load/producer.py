"""Writes consents and events to Kafka as a process of its own: `python -m load.producer`.

Knows how to write much at little cost, and when by the clock. The loop is open: it waits for nobody who reads, and
where Kafka or this process itself makes it late, that is counted, not hidden. Must not know what becomes of anything.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import uvloop
from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import RecordMetadata

from gateway.sandbox.producers.stream import CONSENTS, PAYMENTS, SCORES
from load.records import Made, Moulds, chooser
from load.schedule import Schedule

TICK_SECONDS = 0.005
FILL_RECORDS = 2_000  # made before others get their turn
BATCH_BYTES = 768 * 1024  # below the largest message that the input topics take
MAX_WAITING = 200  # batches that Kafka has not acknowledged
SERVICES = {PAYMENTS: b"billing", SCORES: b"scoring", CONSENTS: b"consent-desk"}
_HEADERS = {topic: [("producer", name)] for topic, name in SERVICES.items()}

Lane = tuple[str, int]


@dataclass(slots=True)
class Done:
    """What was written."""

    events: int = 0
    consents: int = 0
    started_at_ms: int = 0  # when the schedule began, by the clock that brokers here share
    seconds: float = 0.0
    behind_ms: float = 0.0  # worst time from when an event was due until its broker had appended it


class Writer:
    """Batches for each partition, acknowledged in the background; bounded by MAX_WAITING."""

    def __init__(self, producer: AIOKafkaProducer, prefix: str, partitions: dict[str, int]) -> None:
        self._producer = producer
        self._prefix = prefix
        self._partitions = partitions
        self._open: dict[Lane, BatchBuilder] = {}
        self._waiting: set[asyncio.Future[RecordMetadata]] = set()
        self._room = asyncio.Semaphore(MAX_WAITING)

    async def put(self, records: Iterable[Made]) -> None:
        """Add to the batches; a full one leaves."""
        for made in records:
            lane = made.topic, made.place % self._partitions[made.topic]
            batch = self._open.get(lane)
            if batch is not None and _fits(batch, made):
                continue
            if batch is not None:
                await self._send(lane, batch)
            batch = self._open[lane] = self._producer.create_batch()
            if not _fits(batch, made):
                raise ValueError(f"a record for {made.topic} is larger than {BATCH_BYTES} bytes")

    async def leave(self) -> list[asyncio.Future[RecordMetadata]]:
        """Let all batches leave; what tells of their appends."""
        left = [await self._send(lane, batch) for lane, batch in self._open.items()]
        self._open.clear()
        return left

    async def acknowledged(self) -> None:
        """Wait until Kafka has all that left."""
        await self.leave()
        await asyncio.gather(*self._waiting)

    async def _send(self, lane: Lane, batch: BatchBuilder) -> asyncio.Future[RecordMetadata]:
        topic, partition = lane
        await self._room.acquire()
        sent: asyncio.Future[RecordMetadata] = await self._producer.send_batch(
            batch, self._prefix + topic, partition=partition
        )
        self._waiting.add(sent)
        sent.add_done_callback(self._appended)
        return sent

    def _appended(self, sent: asyncio.Future[RecordMetadata]) -> None:
        self._room.release()
        if sent.cancelled() or sent.exception() is None:
            self._waiting.discard(sent)  # one that failed stays, for `acknowledged` to raise


def _fits(batch: BatchBuilder, made: Made) -> bool:
    return batch.append(timestamp=None, key=made.key, value=made.value, headers=_HEADERS[made.topic]) is not None


class Paced:
    """Writes what is due, when it is due, and keeps how late it was."""

    def __init__(self, writer: Writer, schedule: Schedule, done: Done) -> None:
        self._writer = writer
        self._schedule = schedule
        self._done = done

    async def run(self, events: Iterator[Made], withdrawals: Iterator[Made], withdrawals_per_second: float) -> None:
        """All of the schedule."""
        done, clock = self._done, time.monotonic
        began = clock()
        done.started_at_ms = int(time.time() * 1000)
        while done.events < self._schedule.events:
            elapsed = clock() - began
            withdrawn = int(elapsed * withdrawals_per_second) - done.consents
            await self._writer.put(_next(withdrawals, withdrawn))
            done.consents += withdrawn
            due = min(self._schedule.due(elapsed), done.events + FILL_RECORDS)
            if due > done.events:
                first = self._schedule.due_at(done.events)
                await self._writer.put(_next(events, due - done.events))
                done.events = due
                for sent in await self._writer.leave():
                    sent.add_done_callback(partial(self._appended, first))
            if self._schedule.due(clock() - began) <= done.events:
                await asyncio.sleep(TICK_SECONDS)
        await self._writer.acknowledged()
        done.seconds = clock() - began

    def _appended(self, due_at: float, sent: asyncio.Future[RecordMetadata]) -> None:
        if sent.cancelled() or sent.exception() is not None:
            return
        late = (sent.result().timestamp or 0) - self._done.started_at_ms - due_at * 1000
        self._done.behind_ms = max(self._done.behind_ms, late)


def _next(records: Iterator[Made], count: int) -> list[Made]:
    return [next(records) for _ in range(count)]


async def _fill(writer: Writer, records: Iterator[Made], count: int, said: str) -> None:
    """Write as fast as Kafka takes it."""
    for start in range(0, count, FILL_RECORDS):
        await writer.put(_next(records, min(FILL_RECORDS, count - start)))
        _say({said: start})
        await asyncio.sleep(0)
    await writer.acknowledged()


def _events(moulds: Moulds, first: int, hot_share: float, seed: int) -> Iterator[Made]:
    whose = chooser(moulds.subjects, hot_share, seed + first)
    number = first
    while True:
        yield moulds.event(number, whose())
        number += 1


def _withdrawals(moulds: Moulds) -> Iterator[Made]:
    """Of one subject after another, and from the beginning again when all have withdrawn."""
    while True:
        for subject in range(moulds.subjects):
            yield moulds.withdrawal(subject)


@asynccontextmanager
async def _writing(bootstrap: str, prefix: str) -> AsyncIterator[Writer]:
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, max_batch_size=BATCH_BYTES
    )
    await producer.start()
    try:
        cluster = await producer.client.fetch_all_metadata()
        partitions = {topic: len(cluster.partitions_for_topic(prefix + topic) or ()) for topic in SERVICES}
        missing = [prefix + topic for topic, count in partitions.items() if not count]
        if missing:
            raise SystemExit(f"{bootstrap} has no topic {', '.join(missing)}: run `gateway topics create` first")
        yield Writer(producer, prefix, partitions)
    finally:
        await producer.stop()


async def _consents(given: argparse.Namespace) -> Done:
    moulds = Moulds(given.subjects, given.seed)
    async with _writing(given.bootstrap, given.prefix) as writer:
        await _fill(writer, map(moulds.consent, range(given.subjects)), given.subjects, "consents_so_far")
    return Done(consents=given.subjects)


async def _produce(given: argparse.Namespace) -> Done:
    moulds = Moulds(given.subjects, given.seed, memo_bytes=given.memo_bytes)
    events = _events(moulds, given.first, given.hot_share, given.seed)
    done = Done()
    async with _writing(given.bootstrap, given.prefix) as writer:
        if given.schedule is None:
            await _fill(writer, events, given.events, "events_so_far")
            done.events = given.events
        else:
            await Paced(writer, given.schedule, done).run(events, _withdrawals(moulds), given.withdrawals)
    return done


def _say(document: dict[str, Any]) -> None:
    print(json.dumps(document), flush=True)


def main() -> None:
    """One line of JSON on the way now and then, and one in the end."""
    parser = argparse.ArgumentParser(prog="python -m load.producer", description=__doc__)
    parser.add_argument("what", choices=["consents", "events"])
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--prefix", default="")
    parser.add_argument("--subjects", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--events", type=int, default=0, help="without --schedule: as fast as Kafka takes them")
    parser.add_argument("--schedule", type=Schedule.parse, help="RATExSECONDS, several with commas")
    parser.add_argument("--first", type=int, default=0, help="number of the first event: no two rounds share one")
    parser.add_argument("--hot-share", type=float, default=0.0)
    parser.add_argument("--memo-bytes", type=int, default=0)
    parser.add_argument("--withdrawals", type=float, default=0.0, help="a second")
    given = parser.parse_args()
    done = uvloop.run(_consents(given) if given.what == "consents" else _produce(given))
    _say({"done": asdict(done)})


if __name__ == "__main__":
    main()
