"""The open loop: arrivals wait for nobody."""

import asyncio
from typing import Any

from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import RecordMetadata, TopicPartition

from gateway.sandbox.producers.stream import CONSENTS, PAYMENTS, SCORES
from load.producer import BATCH_BYTES, Done, Paced, Writer, _events, _withdrawals
from load.records import Moulds
from load.schedule import Schedule

EVENTS = 60
LATE_MS = 5_000
MOULDS = Moulds(50)


class SilentKafka:
    """Takes batches; acknowledges all of them once it has as many events as it was told to wait for."""

    def __init__(self, events: int) -> None:
        self.records: dict[str, int] = {}
        self._events = events
        self._waiting: list[tuple[asyncio.Future[RecordMetadata], RecordMetadata]] = []
        self.started_at_ms = 0

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(BATCH_BYTES, 0, is_transactional=False)

    async def send_batch(self, batch: BatchBuilder, topic: str, *, partition: int) -> Any:
        self.records[topic] = self.records.get(topic, 0) + batch.record_count()
        sent = asyncio.get_running_loop().create_future()
        appended = self.started_at_ms + LATE_MS
        told = RecordMetadata(topic, partition, TopicPartition(topic, partition), 0, appended, 1, 0)
        self._waiting.append((sent, told))
        if self.records.get(PAYMENTS, 0) + self.records.get(SCORES, 0) >= self._events:
            for waiting, metadata in self._waiting:
                waiting.set_result(metadata)
            self._waiting.clear()
        return sent


async def _paced(kafka: SilentKafka, schedule: Schedule, withdrawals: float = 0.0) -> Done:
    done = Done()
    writer = Writer(kafka, "", dict.fromkeys((PAYMENTS, SCORES, CONSENTS), 2))  # type: ignore[arg-type]
    async with asyncio.timeout(20):
        await Paced(writer, schedule, done).run(_events(MOULDS, 0, 0.0, 1), _withdrawals(MOULDS), withdrawals)
    return done


async def test_events_do_not_wait_for_those_before_them() -> None:
    """Every one is handed over although nothing was acknowledged until the last: a closed loop would stand still."""
    kafka = SilentKafka(EVENTS)
    done = await _paced(kafka, Schedule.parse(f"{EVENTS * 10}x0.1"))
    assert done.events == EVENTS
    assert kafka.records == {PAYMENTS: EVENTS / 2, SCORES: EVENTS / 2}


async def test_what_comes_late_to_kafka_is_told() -> None:
    """From when it was due to when its broker had it, by the broker's clock."""
    kafka = SilentKafka(EVENTS)
    kafka.started_at_ms = 1 << 50  # the broker's clock is far ahead, so all that it appends is late
    done = await _paced(kafka, Schedule.parse(f"{EVENTS * 10}x0.1"))
    assert done.behind_ms > (1 << 50) - done.started_at_ms


async def test_withdrawals_come_by_the_same_clock() -> None:
    """Of another subject each time."""
    kafka = SilentKafka(EVENTS)
    done = await _paced(kafka, Schedule.parse(f"{EVENTS * 5}x0.2"), withdrawals=500.0)
    assert 0 < done.consents == kafka.records[CONSENTS]
