"""Reading a whole topic over a consumer that the test plays: how far, and when it gives up."""

import asyncio
from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from aiokafka.structs import TopicPartition

from gateway.kafka import scan as scan_module
from gateway.kafka.cluster import Cluster, LogBounds, Topic, TopicMissingError
from gateway.kafka.connection import KafkaUnavailableError
from gateway.kafka.scan import STALLED_S, TELL_EVERY_S, scan

ZERO, ONE, EMPTY = (TopicPartition("ledger", number) for number in range(3))


class Kafka:
    """Three partitions, of which one is empty; each poll gives a record, or passes a gap, and takes a second."""

    def __init__(self) -> None:
        self.there = True
        self.bounds = {ZERO: LogBounds(5, 8), ONE: LogBounds(0, 2), EMPTY: LogBounds(4, 4)}
        self.gaps = {(ZERO, 6)}
        self.at: dict[TopicPartition, int] = {}
        self.seconds = 0.0
        self.stuck = False
        self.calls: list[str] = []

    async def describe(self, client: object, names: list[str]) -> Cluster:
        topics = {"ledger": Topic("ledger", UUID(int=1), {0: 1, 1: 1, 2: 1}, 1)} if self.there else {}
        return Cluster("c", (1,), topics)

    async def log_bounds(self, client: object, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, LogBounds]:
        return {partition: self.bounds[partition] for partition in partitions}

    # --- the connection and its consumer ------------------------------------------------------------------

    def kwargs(self) -> dict[str, Any]:
        return {}

    async def start(self, starting: Any = None) -> None:
        self.calls.append("start")
        if starting is not None:
            await starting

    async def stop(self) -> None:
        await asyncio.sleep(0)
        self.calls.append("stop")

    def assign(self, partitions: list[TopicPartition]) -> None:
        self.at = dict.fromkeys(partitions, -1)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.at[partition] = offset

    async def getmany(self, *, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Any]]:
        self.seconds += 1
        if self.stuck:
            return {}
        for partition, at in self.at.items():
            if at < self.bounds[partition].end:
                self.at[partition] += 1
                is_gap = (partition, at) in self.gaps
                return {} if is_gap else {partition: [SimpleNamespace(offset=at, partition=partition.partition)]}
        return {}

    async def position(self, partition: TopicPartition) -> int:
        return self.at[partition]


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> Any:
    made = Kafka()
    monkeypatch.setattr(scan_module, "describe", made.describe)
    monkeypatch.setattr(scan_module, "log_bounds", made.log_bounds)
    monkeypatch.setattr(scan_module, "AIOKafkaConsumer", lambda **_: made)
    monkeypatch.setattr(scan_module, "time", SimpleNamespace(monotonic=lambda: made.seconds))
    return made


async def scanned(kafka: Any) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Partition and offset of each record, and what was told meanwhile."""
    taken: list[tuple[int, int]] = []
    told: list[tuple[int, int]] = []

    async def take(records: Sequence[Any]) -> None:
        await asyncio.sleep(0)
        taken.extend((record.partition, record.offset) for record in records)

    await scan(kafka, None, "ledger", take, lambda topic, read, whole: told.append((read, whole)))  # type: ignore[arg-type]
    return taken, told


async def test_all_that_is_there_is_read_and_no_more(kafka: Any) -> None:
    """Gaps are passed; now and then it is told how far it is, and at the end that it is done."""
    taken, told = await scanned(kafka)
    assert taken == [(0, 5), (0, 7), (1, 0), (1, 1)]
    assert int(TELL_EVERY_S) == 2
    assert told == [(3, 5), (5, 5)]
    assert kafka.calls == ["start", "start", "stop"]


async def test_a_topic_that_is_missing_is_told(kafka: Any) -> None:
    """Nothing is started for it."""
    kafka.there = False
    with pytest.raises(TopicMissingError):
        await scanned(kafka)
    assert kafka.calls == []


async def test_who_makes_no_step_forward_gives_up(kafka: Any) -> None:
    """A transaction stays open, or a broker is away; the consumer is closed."""
    kafka.stuck = True
    with pytest.raises(KafkaUnavailableError, match="no step forward"):
        await scanned(kafka)
    assert kafka.seconds == STALLED_S + 1
    assert kafka.calls[-1] == "stop"


async def test_an_empty_topic_is_read_at_once(kafka: Any) -> None:
    """There is nothing to wait for."""
    kafka.bounds = dict.fromkeys((ZERO, ONE, EMPTY), LogBounds(4, 4))
    assert await scanned(kafka) == ([], [])
    assert kafka.seconds == 0


async def test_where_nothing_is_nothing_is_started(kafka: Any) -> None:
    """An empty topic, or a time in which nothing came, costs no consumer."""
    kafka.bounds = {ZERO: LogBounds(5, 5), ONE: LogBounds(0, 0), EMPTY: LogBounds(4, 4)}
    assert await scanned(kafka) == ([], [])
    assert kafka.calls == []
