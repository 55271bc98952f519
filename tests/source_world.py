"""What a source sees, played by a test: a consumer, topics, pauses, and the process that it tells."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from aiokafka.structs import TopicPartition

from gateway.kafka.cluster import Cluster, Topic
from gateway.kafka.source import TOPICS_EVERY_S, Feed

TOPIC = "lease.payments"
ZERO, ONE = TopicPartition(TOPIC, 0), TopicPartition(TOPIC, 1)
MOST_BYTES = 100_000
REAL_SLEEP = asyncio.sleep  # whatever a test puts in its place


def record(offset: int, size: int = 1) -> Any:
    return SimpleNamespace(offset=offset, key=None, value=b"x" * size, headers=())


def records(first: int, behind: int) -> list[Any]:
    return [record(offset) for offset in range(first, behind)]


def offsets(taken: Sequence[Any]) -> list[int]:
    return [each.offset for each in taken]


async def until(condition: Callable[[], object]) -> None:
    """Give the loop turns until this is so."""
    async with asyncio.timeout(2):
        while not condition():
            await REAL_SLEEP(0)


class Kafka:
    """The consumer and the topics; what fails, fails once."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.polls: list[Any] = []  # what the next polls give or raise
        self.polled = 0
        self.looks: list[Any] = []  # what the next looks at the topics give or raise
        self.topics: dict[str, Topic] = {TOPIC: Topic(TOPIC, UUID(int=1), {0: 1, 1: 1}, 1)}
        self.owned: set[TopicPartition] = {ZERO, ONE}
        self.positions = {ZERO: 9, ONE: 9}
        self.asked_for: list[TopicPartition] = []  # their positions
        self._coordinator = SimpleNamespace(_do_heartbeat=None, _send_req=None)
        self._client = SimpleNamespace(force_metadata_update=self._update)

    def __call__(self, **_: object) -> "Kafka":
        return self

    async def describe(self, client: object, names: Iterable[str]) -> Cluster:
        if self.looks:
            look = self.looks.pop(0)
            if isinstance(look, BaseException):
                raise look
            return Cluster("c", (1,), look)
        return Cluster("c", (1,), self.topics)

    async def _update(self) -> None:
        self.calls.append("update metadata")

    async def start(self) -> None:
        self.calls.append("start")
        self._fetcher = SimpleNamespace(error_future=asyncio.create_task(asyncio.Event().wait()))

    def break_fetcher(self) -> None:
        """aiokafka's ends, which it tells nobody."""
        self._fetcher.error_future.cancel()

    async def stop(self) -> None:
        self.calls.append("stop")

    def subscribe(self, topics: list[str], listener: object) -> None:
        self.calls.append(f"subscribe {' '.join(topics)}")

    def assignment(self) -> set[TopicPartition]:
        return self.owned

    async def position(self, partition: TopicPartition) -> int:
        self.asked_for.append(partition)
        return self.positions[partition]

    async def getmany(self, *, timeout_ms: int, max_records: int) -> Any:
        await REAL_SLEEP(0)
        self.polled += 1
        polled = self.polls.pop(0) if self.polls else {}
        if isinstance(polled, BaseException):
            raise polled
        return polled

    def _noted(self, what: str, partition: TopicPartition) -> None:
        assert partition in self.owned, "aiokafka raises on a partition that is not assigned"
        self.calls.append(f"{what} {partition.partition}")

    def pause(self, partition: TopicPartition) -> None:
        self._noted("pause", partition)

    def resume(self, partition: TopicPartition) -> None:
        self._noted("resume", partition)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._noted(f"seek to {offset}", partition)


class Pauses:
    """The source's pauses: those between looks last until the test lets them go, any other is a turn of the loop."""

    def __init__(self) -> None:
        self.made: list[float] = []
        self._looks = asyncio.Semaphore(0)

    async def pause(self, seconds: float) -> None:
        self.made.append(seconds)
        if seconds == TOPICS_EVERY_S:
            await self._looks.acquire()
        else:
            await REAL_SLEEP(0)

    def over(self, looks: int = 1) -> None:
        for _ in range(looks):
            self._looks.release()


class World:
    """What the member tells: feeds that were opened, partitions that were closed, what ends the process."""

    def __init__(self) -> None:
        self.feeds: list[Feed] = []
        self.closed: list[TopicPartition] = []
        self.failures: list[BaseException] = []
        self.raises: BaseException | None = None

    def opened(self, feed: Feed) -> None:
        if self.raises:
            raise self.raises
        self.feeds.append(feed)

    async def close(self, partitions: Sequence[TopicPartition]) -> None:
        if self.raises:
            raise self.raises
        await REAL_SLEEP(0)
        self.closed += partitions
