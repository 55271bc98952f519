"""The naive gateway, as most teams would write it: what an event costs without the promises.

Knows a plain consumer with automatic commits, one POST an event by httpx, and a plain producer. It has no consent,
no signature, no intents and no transactions, and must not share code with the gateway's rooms: it is the yardstick
that machines are compared by. It loses and repeats events whenever it dies.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import ssl
import time
import uuid
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from gateway import schemas
from load.result import Baseline

IN_FLIGHT = 16  # httpx's own transport stalls above
WARM_UP_SHARE = 0.2  # of the events: connections, caches and the event loop are warm behind them
SILENCE_S = 60.0  # without a record: the topic holds fewer events than were asked for
POST_TIMEOUT_S = 30.0


class Naive:
    """Reads, posts and notes; at most IN_FLIGHT events at once."""

    def __init__(self, client: httpx.AsyncClient, producer: AIOKafkaProducer, ledger: str) -> None:
        self._client = client
        self._producer = producer
        self._ledger = ledger
        self._slots = asyncio.Semaphore(IN_FLIGHT)
        self._running: set[asyncio.Task[None]] = set()
        self._error: BaseException | None = None

    async def run(self, consumer: AIOKafkaConsumer, events: int) -> Baseline:
        """Handle so many events after the warm-up; what they cost."""
        await self._handle_next(consumer, max(1, int(events * WARM_UP_SHARE)))
        cpu, began = time.process_time(), time.monotonic()
        await self._handle_next(consumer, events)
        cpu, seconds = time.process_time() - cpu, time.monotonic() - began
        rss_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return Baseline(events, seconds, events / seconds, cpu / events * 1e6, rss_mb)

    async def _handle_next(self, consumer: AIOKafkaConsumer, events: int) -> None:
        for _ in range(events):
            async with asyncio.timeout(SILENCE_S):
                record = await consumer.getone()
            await self._slots.acquire()
            task = asyncio.create_task(self._handle(record))
            self._running.add(task)
            task.add_done_callback(self._finished)
        await asyncio.gather(*self._running)
        await self._producer.flush()
        if self._error is not None:  # of an event that had ended before anybody waited for it
            raise self._error

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._slots.release()
        self._error = self._error or task.exception()

    async def _handle(self, record: Any) -> None:
        kind, event = schemas.decode(record.value)
        response = await self._client.post("/v1/events", json={"type": kind, "event": event})
        response.raise_for_status()
        note = {"event_id": event.get("event_id", event.get("score_id")), "receipt_id": response.json()["receipt_id"]}
        await self._producer.send(self._ledger, json.dumps(note).encode(), key=record.key)


async def measure(bootstrap: str, topic: str, ledger: str, url: str, ca: Path, events: int) -> Baseline:
    """What `events` of this topic, from its beginning on, cost after a warm-up by a few more of them."""
    limits = httpx.Limits(max_connections=IN_FLIGHT, max_keepalive_connections=IN_FLIGHT)
    tls = ssl.create_default_context(cafile=str(ca))
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, group_id=f"naive-{uuid.uuid4()}", auto_offset_reset="earliest"
    )
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    async with httpx.AsyncClient(base_url=url, verify=tls, limits=limits, timeout=POST_TIMEOUT_S) as client:
        try:
            await consumer.start()
            await producer.start()
            return await Naive(client, producer, ledger).run(consumer, events)
        finally:
            await producer.stop()
            await consumer.stop()


def main() -> None:
    """One line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m load.baseline", description=__doc__)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True, help="an input topic with at least 1.2 times EVENTS records")
    parser.add_argument("--ledger", required=True, help="the topic that it notes receipts in")
    parser.add_argument("--url", required=True, help="a partner that takes unsigned events: load.plain_partner")
    parser.add_argument("--ca", required=True, type=Path)
    parser.add_argument("--events", required=True, type=int)
    a = parser.parse_args()
    measured = asyncio.run(measure(a.bootstrap, a.topic, a.ledger, a.url, a.ca, a.events))
    print(json.dumps(asdict(measured)))


if __name__ == "__main__":
    main()
