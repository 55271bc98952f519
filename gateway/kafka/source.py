"""The input topics as one member of the consumer group: each owned partition is a feed of raw records.

Knows aiokafka's consumer: its callbacks swallow exceptions, so they only pause and hand over; it leaves the group
unless it is polled, so it is polled while all is paused too; it does not know when a topic is made anew. Must not know
lanes, what records say, or how it is known that the group still has us (membership.py).
"""

# aiokafka's consumer is untyped:
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError
from aiokafka.structs import TopicPartition

from gateway.kafka.cluster import Cluster, Topic, TopicMissingError, describe
from gateway.kafka.connection import (
    KAFKA_START_TIMEOUT_S,
    KafkaConnection,
    KafkaUnavailableError,
    check_reading,
    stop_consumer,
    unavailable,
    within,
)
from gateway.kafka.membership import GroupSettings, Membership

POLL_MS = 100
POLL_RECORDS = 2_000
FEW_RECORDS = 200  # after fewer the next poll waits a little
GATHER_S = 0.01  # a poll costs much the same for one record as for hundreds
FEED_HIGH = 4_000  # records waiting in a feed: above, its partition is paused
FEED_LOW = 1_000  # below, it is resumed
TAKE_BYTES = 512 << 10  # in one take, so that decoding them neither blocks the loop for long nor overfills a window
POSITION_EVERY_S = 0.5  # how often an idle feed looks whether the position has passed a gap
ERROR_PAUSE_S = 0.5
FETCH_MAX_BYTES = 4 << 20
PARTITION_MAX_BYTES = 1 << 20
TOPICS_EVERY_S = 2.0  # how often it is looked whether the topics have grown or are still the same
MISSED_LOOKS = 3  # so often in a row a topic must be missing: a broker that has just started does not know all yet
_UNCLEAN = (NoOffsetForPartitionError, OffsetOutOfRangeError)


class PositionLostError(Exception):
    """An open lane's next offset is no longer in the log, or there is no log any more."""


class TopicReplacedError(PositionLostError):
    """A topic was made anew under open lanes, so that their offsets mean other records."""

    def __init__(self, topic: Topic, group: str) -> None:
        self.lanes = topic.partitions
        super().__init__(
            f"{topic.name}: the topic was made anew while its lanes were open, so their offsets mean other records. "
            f"Run `gateway lanes init --group {group} --from earliest --force --reason ... --ticket ...` with "
            "a --lane for each of its partitions."
        )


class Feed:
    """Raw records of one owned partition, in order, with a bound."""

    def __init__(self, source: Source, partition: TopicPartition, *, is_new: bool, lanes: int, most_bytes: int) -> None:
        self._source = source
        self.partition = partition
        self.is_new = is_new  # it was not there when this process joined: nobody can have settled anything of it before
        self.lanes = lanes  # of this process, of which each has a share of its memory
        self._most_bytes = most_bytes  # 4,000 records of the largest size would be gigabytes
        self._records: deque[Any] = deque()
        self._bytes = 0  # of the records that wait
        self._position: int | None = None  # what was taken, or passed as a gap
        self._more = asyncio.Event()
        self._looked_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether a lane takes from it."""
        return self._position is not None

    def seek(self, offset: int) -> None:
        """Start (again) at an offset; what waited is forgotten."""
        self._forget()
        self._position = offset
        self._more.clear()
        self._source.seek(self.partition, offset)

    def stop(self) -> None:
        """Take no more until the next seek."""
        self._position = None
        self._forget()
        self._source.pause(self.partition)

    async def take(self, limit: int) -> tuple[Sequence[Any], int]:
        """At most `limit` records, at least one unless only the position moved; the position behind them."""
        await self._more.wait()
        taken: list[Any] = []
        size = 0
        while self._records and len(taken) < limit and size < TAKE_BYTES:
            taken.append(self._records.popleft())
            size += _size(taken[-1])
        if taken:
            self._position = taken[-1].offset + 1
            self._bytes -= size
        if not self._records:
            self._more.clear()
        if len(self._records) < FEED_LOW and self._bytes < self._most_bytes / 4:
            self._source.resume(self.partition)
        if self._position is None:
            raise AssertionError("a feed is taken from after its seek")
        return taken, self._position

    async def confirm_membership(self) -> None:
        """Wait for a heartbeat of this generation from now on; raises MembershipLostError."""
        await self._source.membership.confirm()

    def put(self, records: Sequence[Any]) -> None:
        """Records that were polled; those before the last seek are stale."""
        if self._position is None:
            return
        expected = self._records[-1].offset + 1 if self._records else self._position
        fresh = [record for record in records if record.offset >= expected]
        self._records.extend(fresh)
        self._bytes += sum(map(_size, fresh))
        if len(self._records) >= FEED_HIGH or self._bytes >= self._most_bytes:
            self._source.pause(self.partition)
        if self._records:
            self._more.set()

    def view(self) -> Mapping[str, int]:
        """What waits, for health and metrics."""
        return {"feed_records": len(self._records), "feed_bytes": self._bytes}

    def passed(self, position: int) -> None:
        """The consumer's position while nothing waits: offsets below it are never delivered."""
        if self._position is not None and position > self._position:
            self._position = position
            self._more.set()

    def wants_position(self, now: float) -> bool:
        """Whether it is time to look at the consumer's position."""
        if self._position is None or self._records or now - self._looked_at < POSITION_EVERY_S:
            return False
        self._looked_at = now
        return True

    def _forget(self) -> None:
        self._records.clear()
        self._bytes = 0


def _size(record: Any) -> int:
    """Bytes that a raw record keeps in memory."""
    size = len(record.value or b"") + len(record.key or b"")
    for name, value in record.headers:
        size += len(name) + len(value or b"")
    return size


class Source(ConsumerRebalanceListener):
    """One member of the group. `opened` and `closed` are told of each partition gained and lost."""

    def __init__(
        self,
        connection: KafkaConnection,
        client: AIOKafkaClient,
        settings: GroupSettings,
        topics: Sequence[str],
        opened: Callable[[Feed], None],
        closed: Callable[[Sequence[TopicPartition]], Awaitable[None]],
        failed: Callable[[BaseException], None],
        feed_bytes: Callable[[int], int],
    ) -> None:
        self._client = client
        self._feed_bytes = feed_bytes  # what each of so many feeds may keep
        self._group = settings.group
        self.membership = Membership(settings, connection.bootstrap, failed)
        self._topics = list(topics)
        self._joined: Mapping[str, Topic] = {}  # the topics when this process joined
        self._seen: set[TopicPartition] = set()  # partitions as last looked at
        self._opened = opened
        self._closed = closed
        self._failed = failed
        self._feeds: dict[TopicPartition, Feed] = {}
        self.assigned = False  # whether the group has said which partitions are ours
        self._consumer = AIOKafkaConsumer(
            **connection.kwargs(),
            group_id=settings.group,
            group_instance_id=settings.instance_id,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            session_timeout_ms=settings.session_timeout_ms,
            rebalance_timeout_ms=settings.rebalance_timeout_ms,
            heartbeat_interval_ms=settings.session_timeout_ms // 10,
            fetch_max_bytes=FETCH_MAX_BYTES,
            max_partition_fetch_bytes=PARTITION_MAX_BYTES,
        )

    async def start(self) -> None:
        """Join the group; partitions come by `opened`."""
        self._joined = (await self._described()).topics
        self._seen = _partitions(self._joined)
        await within(KAFKA_START_TIMEOUT_S, "joining the consumer group", self._consumer.start())
        self.membership.watch(self._consumer)
        self._consumer.subscribe(self._topics, listener=self)

    async def stop(self) -> None:
        """Leave the group; partitions must have been closed before."""
        await stop_consumer(self._consumer)

    async def run(self) -> None:
        """Poll for ever; raises PositionLostError, TopicMissingError."""
        looking = asyncio.create_task(self._look_at_topics(), name="topics")
        try:
            while not looking.done():
                if 0 < await self._poll() < FEW_RECORDS:
                    await asyncio.sleep(GATHER_S)
            looking.result()
        finally:
            looking.cancel()

    async def _poll(self) -> int:
        """Hand over what is there, or else comes soon; how many records it was."""
        try:
            polled = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=POLL_RECORDS)
        except _UNCLEAN as error:
            self._check_open_feeds(error)
            await asyncio.sleep(ERROR_PAUSE_S)
            return 0
        except KafkaError as error:
            raise unavailable("reading the inputs", error) from error
        check_reading(self._consumer)
        for partition, records in polled.items():
            if feed := self._feeds.get(partition):
                feed.put(records)
        await self._look_at_positions()
        return sum(map(len, polled.values()))

    def _check_open_feeds(self, error: KafkaError) -> None:
        """A lane that opens finds out for itself that an offset is not in the log; one that is open cannot."""
        for partition, feed in self._feeds.items():
            if feed.is_open and partition in _partitions_of(error):
                raise PositionLostError(
                    f"lane {partition.topic}:{partition.partition}: its next offset has left the log: records were "
                    "deleted or the topic was made anew. The next start says what to do."
                )

    async def _described(self) -> Cluster:
        cluster = await describe(self._client, self._topics)
        if missing := set(self._topics) - set(cluster.topics):
            raise TopicMissingError(missing)
        return cluster

    async def _look_at_topics(self) -> None:
        """aiokafka knows topics by name, and looks for new partitions once a minute."""
        missed = 0
        while True:
            await asyncio.sleep(TOPICS_EVERY_S)
            try:
                topics = (await self._described()).topics
            except KafkaUnavailableError:
                continue  # that shows elsewhere
            except TopicMissingError as error:
                missed += 1
                if missed < MISSED_LOOKS:
                    continue
                raise PositionLostError(
                    f"{', '.join(error.topics)}: the topic was deleted while its lanes were open. Find out by whom, "
                    "and whether records were lost. Made anew it starts with `gateway lanes init`."
                ) from None
            missed = 0
            self.membership.heard()
            self._check_same(topics)
            if (partitions := _partitions(topics)) != self._seen:
                self._seen = partitions
                await self._consumer._client.force_metadata_update()

    def _check_same(self, topics: Mapping[str, Topic]) -> None:
        for name, topic in topics.items():
            if topic.id != self._joined[name].id:
                raise TopicReplacedError(topic, self._group)

    async def _look_at_positions(self) -> None:
        now = time.monotonic()
        for partition, feed in list(self._feeds.items()):
            if feed.wants_position(now) and partition in self._consumer.assignment():
                feed.passed(await self._consumer.position(partition))

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read a partition from here, and resume it."""
        if partition in self._consumer.assignment():
            self._consumer.seek(partition, offset)
            self._consumer.resume(partition)

    def pause(self, partition: TopicPartition) -> None:
        """Fetch no more of a partition."""
        if partition in self._consumer.assignment():
            self._consumer.pause(partition)

    def resume(self, partition: TopicPartition) -> None:
        """Fetch again."""
        if partition in self._consumer.assignment():
            self._consumer.resume(partition)

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        """aiokafka's callback: pause, and hand over."""
        try:
            for partition in sorted(assigned):
                self._consumer.pause(partition)
                known = partition.partition in self._joined[partition.topic].leaders
                feed = self._feeds[partition] = Feed(
                    self, partition, is_new=not known, lanes=len(assigned), most_bytes=self._feed_bytes(len(assigned))
                )
                self._opened(feed)
            self.assigned = True
        except Exception as error:  # aiokafka would log and swallow it
            self._failed(error)

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """aiokafka's callback, awaited by the rebalance: drain."""
        self.assigned = False
        try:
            for partition in revoked:
                self._consumer.pause(partition)
            await self._closed(sorted(revoked))
            for partition in revoked:
                self._feeds.pop(partition, None)
        except Exception as error:  # aiokafka would log and swallow it
            self._failed(error)


def _partitions(topics: Mapping[str, Topic]) -> set[TopicPartition]:
    return {partition for topic in topics.values() for partition in topic.partitions}


def _partitions_of(error: KafkaError) -> Collection[TopicPartition]:
    """The partitions that aiokafka's error is about: its one argument is a partition, or a mapping by partition."""
    about = error.args[0] if error.args else ()
    return (about,) if isinstance(about, TopicPartition) else tuple(about)
