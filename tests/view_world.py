"""A Kafka with the topics of a consent view, played by a test, and how a test looks at the view."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from aiokafka.errors import KafkaError, OffsetOutOfRangeError
from aiokafka.structs import TopicPartition

from gateway.core.consent import Denied
from gateway.kafka.cluster import Cluster, LogBounds, Topic
from gateway.kafka.consent_view import ConsentView
from tests.view_records import consent_value

CONSENTS, CONTROLS = "consent.records", "genie.gateway.controls"
ONE, TWO, CONTROL = TopicPartition(CONSENTS, 0), TopicPartition(CONSENTS, 1), TopicPartition(CONTROLS, 0)
ANNA, BERT = "subject-anna", "subject-bert"
START_MS = 1_772_000_000_000
REAL_SLEEP = asyncio.sleep  # whatever a test puts in its place


class Kafka:
    """Two topics; a record of None is a marker, which no consumer delivers. What fails, fails once."""

    def __init__(self) -> None:
        self.logs: dict[TopicPartition, list[Any]] = {ONE: [], TWO: [], CONTROL: []}
        self.starts: dict[TopicPartition, int] = {}
        self.ids = {CONSENTS: UUID(int=1), CONTROLS: UUID(int=2)}
        self.missing_looks = 0
        self.now = START_MS
        self.seconds = 0.0
        self.polls: list[BaseException] = []  # what the next polls raise
        self.looks: list[BaseException] = []  # and the next looks at the ends of the logs
        self.looked = 0
        self.assigned: list[list[TopicPartition]] = []
        self.stopped = 0
        self.deaf = False  # nothing is delivered
        self.breaks = asyncio.Event()  # aiokafka's fetchers, which they tell nobody

    async def fetching(self) -> None:
        await self.breaks.wait()
        raise KafkaError

    def write(self, partition: TopicPartition, key: str, value: bytes | None) -> None:
        offset = len(self.logs[partition])
        record = SimpleNamespace(
            topic=partition.topic, partition=partition.partition, offset=offset, key=key.encode(), value=value
        )
        self.logs[partition].append(record)

    def consent(self, subject: str, version: int, status: str = "given", partition: TopicPartition = ONE) -> None:
        self.write(partition, subject, consent_value(subject, version, status))

    def ends(self) -> dict[TopicPartition, int]:
        return {partition: len(log) for partition, log in self.logs.items()}

    async def describe(self, client: object, names: Iterable[str]) -> Cluster:
        self.looked += 1
        if self.missing_looks:
            self.missing_looks -= 1
            return Cluster("c", (1,), {})
        leaders = {name: {p.partition: 1 for p in self.logs if p.topic == name} for name in names}
        return Cluster("c", (1,), {name: Topic(name, self.ids[name], leaders[name], 1) for name in names})

    async def log_bounds(self, client: object, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, LogBounds]:
        return {p: LogBounds(self.starts.get(p, 0), len(self.logs[p])) for p in partitions}

    async def list_offsets(self, client: object, times: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        if self.looks:
            raise self.looks.pop(0)
        return {partition: len(self.logs[partition]) for partition in times}


class Consumer:
    """Delivers what is there."""

    def __init__(self, kafka: Kafka) -> None:
        self._kafka = kafka
        self._positions: dict[TopicPartition, int] = {}
        self._started = False

    async def start(self) -> None:
        self._started = True
        self._fetcher = SimpleNamespace(error_future=asyncio.create_task(self._kafka.fetching()))

    async def stop(self) -> None:
        self._kafka.stopped += 1

    def assign(self, partitions: list[TopicPartition]) -> None:
        self._kafka.assigned.append(partitions)
        self._positions = dict.fromkeys(partitions, -1)

    def assignment(self) -> set[TopicPartition]:
        return set(self._positions)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._positions[partition] = offset

    async def position(self, partition: TopicPartition) -> int:
        return self._positions[partition]

    async def getmany(self, *, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Any]]:
        assert self._started
        await REAL_SLEEP(0)
        if self._kafka.polls:
            raise self._kafka.polls.pop(0)
        found = {}
        for partition, at in self._positions.items():
            if at < self._kafka.starts.get(partition, 0):
                raise OffsetOutOfRangeError({partition: at})
            if not self._kafka.deaf:
                log = self._kafka.logs[partition][at:]
                self._positions[partition] += len(log)
                found[partition] = [record for record in log if record is not None]
        return {partition: records for partition, records in found.items() if records}


async def reach(view: ConsentView, kafka: Kafka) -> None:
    """All that is in the topics now is applied."""
    async with asyncio.timeout(2):
        await view.reach(kafka.ends())


async def until(condition: Callable[[], object]) -> None:
    """Give the loop turns until this is so."""
    async with asyncio.timeout(2):
        while not condition():
            await REAL_SLEEP(0)


def status(view: ConsentView, subject: str) -> Any:
    state = view.get_many([subject])[subject]
    if state is None:
        return None
    return state.reason if isinstance(state, Denied) else state.status.value
