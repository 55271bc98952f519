"""The consent view: what consent.records and genie.gateway.controls say, followed whole by this process.

Knows how far the two topics are applied, here and on disk, and when that may no longer be trusted. Must not know
what a record makes of a state (view_reader.py), events, or what a decision does with a state.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, OffsetOutOfRangeError
from aiokafka.structs import TopicPartition

from gateway.core.consent import ConsentState
from gateway.core.holds import Hold, Holds
from gateway.kafka.cluster import LATEST, Cluster, TopicMissingError, describe, list_offsets, log_bounds
from gateway.kafka.codec import Codec
from gateway.kafka.connection import (
    KAFKA_START_TIMEOUT_S,
    KafkaConnection,
    KafkaUnavailableError,
    check_reading,
    stop_consumer,
    within,
)
from gateway.kafka.endings import failure_of
from gateway.kafka.registry import RegistryAway
from gateway.kafka.view_reader import Changes, ViewCounts, ViewReader
from gateway.kafka.view_store import Origin, Rebuilt, ViewFullError, ViewStore
from gateway.observe.logs import get_logger

POLL_MS = 50  # markers move the position without delivering anything, so it is looked at as often
POLL_RECORDS = 500  # applied in one write; the lanes wait meanwhile
GATHER_S = 0.02  # what comes one by one is applied together, unless a fence waits for it
FETCH_BYTES = 4 * 1024 * 1024
PARTITION_FETCH_BYTES = 256 * 1024
REFRESH_S = 15.0  # how often partitions and freshness are looked at without a fence
TOPICS_APPEAR_S = 5.0  # a topic just created is not known to every broker yet
RETRY_S = 0.5  # after a read that failed, while the registry is away, or while there is no room on the disk

log = get_logger()


class ViewFailedError(Exception):
    """The view no longer follows its topics; the process must end."""


class ConsentView:
    """Every subject's consent and every hold, as applied so far."""

    def __init__(
        self,
        connection: KafkaConnection,
        codec: Codec,
        *,
        consents: str,
        controls: str,
        directory: Path,
        max_idle_ms: int,
        now: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.topics = (consents, controls)
        self.counts = ViewCounts()
        self._reader = ViewReader(codec, consents, self.counts)
        self._connection = connection
        self._codec = codec
        self._directory = directory
        self._max_idle_ms = max_idle_ms
        self._now = now
        self._held: dict[str, Hold] = {}
        self.holds = Holds()
        self._applied: dict[TopicPartition, int] = {}
        self._control_at: dict[int, int] = {}  # partition -> when a record of it was last applied here, ms
        self._wanted: set[TopicPartition] = set()
        self._ends: Mapping[TopicPartition, int] = {}  # as last heard of
        self._moved: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waited_for = asyncio.Event()
        self._store: ViewStore | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self, client: AIOKafkaClient) -> Rebuilt | None:
        """Open what is on disk and begin to follow; `client` has no long polls. Why it starts empty, if so."""
        cluster = await self._described(client)
        self._origin = _origin(cluster)
        store = self._open_store()
        bounds = await log_bounds(client, self._wanted)
        if any(not bounds[p].start <= at <= bounds[p].end for p, at in store.positions().items() if p in bounds):
            store.discard()  # records that it had applied are gone from the log
            store = self._open_store()
            store.rebuilt = Rebuilt.DAMAGED
        self._store = store
        self._applied = store.positions()
        self._held = store.holds()
        self.holds = Holds(self._held.values())
        self._task = asyncio.create_task(self._follow(client), name="consent view")
        return store.rebuilt

    async def close(self) -> None:
        """Stop following; what is applied stays on disk."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            self._failed()  # looked at: whoever waits for `following` is told
        if self._store is not None and not self._store.closed:
            with suppress(ViewFullError):  # then the next start reads again what came last
                self._store.write({}, {}, self._applied)
            self._store.close()

    @property
    def following(self) -> asyncio.Task[None]:
        """Ends only when the view fails; whoever runs the process waits for it."""
        if self._task is None:
            raise RuntimeError("the consent view is not started")
        return self._task

    def get_many(self, subjects: Collection[str]) -> dict[str, ConsentState]:
        """Each subject's consent as applied so far."""
        return self._opened().get_many(subjects)

    def subjects(self) -> int:
        """How many subjects have a state."""
        return self._opened().count()

    @property
    def remembered(self) -> int:
        """How many states are kept decoded."""
        return self._opened().remembered

    def caught_up_at(self) -> int:
        """When the view last surely held all of its topics, ms."""
        return self._opened().caught_up_at()

    def expect(self, cluster: Cluster) -> None:
        """Follow what fresh metadata shows; partitions may have been added. Raises if the topics are others."""
        if missing := set(self.topics) - set(cluster.topics):
            raise TopicMissingError(missing)
        if _origin(cluster) != self._origin:
            raise ViewFailedError("cluster id or a topic's id changed: start the gateway again")
        self._wanted.update(p for name in self.topics for p in cluster.topics[name].partitions)

    def behind(self, ends: Mapping[TopicPartition, int]) -> tuple[tuple[TopicPartition, int, int], ...]:
        """(partition, applied, needed) of each partition that is not applied up to its end."""
        return tuple(
            (partition, self._applied.get(partition, 0), end)
            for partition, end in ends.items()
            if self._applied.get(partition, 0) < end
        )

    def lag(self) -> int:
        """How many offsets are still to be applied, of those heard of."""
        return sum(end - applied for _, applied, end in self.behind(self._ends))

    def controls(self) -> dict[int, tuple[int, int | None]]:
        """Of each partition of the controls: the offset up to which it is applied, and when that last changed a hold
        (ms; None: not since the process started)."""
        return {
            partition.partition: (offset, self._control_at.get(partition.partition))
            for partition, offset in self._applied.items()
            if partition.topic == self.topics[1]
        }

    async def reach(self, ends: Mapping[TopicPartition, int]) -> None:
        """Wait until all that lies before these offsets is applied; the caller bounds the wait."""
        self._ends = ends
        while self.behind(ends):
            self._waited_for.set()
            await asyncio.wait({self._moved, self.following}, return_when=asyncio.FIRST_COMPLETED)
            if self._failed():
                raise ViewFailedError("the consent view stopped following") from failure_of(self.following)

    async def _described(self, client: AIOKafkaClient) -> Cluster:
        give_up_at = time.monotonic() + TOPICS_APPEAR_S
        while missing := set(self.topics) - set((cluster := await describe(client, self.topics)).topics):
            if time.monotonic() > give_up_at:
                raise TopicMissingError(missing)
            await asyncio.sleep(RETRY_S)
        self._wanted = {p for topic in cluster.topics.values() for p in topic.partitions}
        return cluster

    def _open_store(self) -> ViewStore:
        return ViewStore.open(self._directory, self._origin, now=self._now(), max_idle_ms=self._max_idle_ms)

    def _opened(self) -> ViewStore:
        if self._store is None:
            raise RuntimeError("the consent view is not started")
        return self._store

    def _failed(self) -> bool:
        return self._task is not None and self._task.done() and failure_of(self._task) is not None

    async def _follow(self, client: AIOKafkaClient) -> None:
        consumer = AIOKafkaConsumer(
            **self._connection.kwargs(),
            isolation_level="read_committed",
            auto_offset_reset="none",
            enable_auto_commit=False,
            fetch_max_bytes=FETCH_BYTES,
            max_partition_fetch_bytes=PARTITION_FETCH_BYTES,
        )
        refresh_at = 0.0
        try:
            await within(KAFKA_START_TIMEOUT_S, "starting the consent view's consumer", consumer.start())
            while True:
                if self._wanted != consumer.assignment():
                    await self._assign(client, consumer)
                if time.monotonic() >= refresh_at:
                    await self._refresh(client)
                    refresh_at = time.monotonic() + REFRESH_S
                if 0 < await self._poll(consumer) < POLL_RECORDS:
                    await self._gather()
        except OffsetOutOfRangeError as error:
            self._opened().discard()
            raise ViewFailedError("records were deleted from its topics: start again, it is rebuilt") from error
        finally:
            await stop_consumer(consumer)

    async def _assign(self, client: AIOKafkaClient, consumer: AIOKafkaConsumer) -> None:
        wanted = set(self._wanted)
        bounds = await log_bounds(client, wanted - set(self._applied))
        consumer.assign(sorted(wanted))
        for partition in wanted:
            if partition in bounds:
                self._applied[partition] = bounds[partition].start
            consumer.seek(partition, self._applied[partition])

    async def _refresh(self, client: AIOKafkaClient) -> None:
        """Without a fence too, find new partitions and note that the view is whole."""
        read_at = self._now()
        try:
            self.expect(await describe(client, self.topics))
            ends = await list_offsets(client, dict.fromkeys(self._wanted, LATEST))
        except KafkaUnavailableError as error:
            log.warning("consent view cannot look whether it is whole", error=error)
        else:
            if not self.behind(ends):
                self.note_whole(read_at)
        if self._now() - self.caught_up_at() > self._max_idle_ms:
            self._opened().discard()
            raise ViewFailedError("it was behind for so long that tombstones may be gone: start again")

    def note_whole(self, at: int) -> None:
        """All that was in the topics at this time (ms) is applied."""
        if at > self.caught_up_at():
            with suppress(ViewFullError):  # it is whole all the same; only a restart would not know since when
                self._opened().note_caught_up(at)

    async def _gather(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(GATHER_S):
                await self._waited_for.wait()
        self._waited_for.clear()

    async def _poll(self, consumer: AIOKafkaConsumer) -> int:
        """Apply what is there, or else comes soon; how many records it was."""
        try:
            batches = await consumer.getmany(timeout_ms=POLL_MS, max_records=POLL_RECORDS)
        except OffsetOutOfRangeError:
            raise
        except KafkaError as error:
            log.warning("consent view cannot read, trying again", error=error)
            await asyncio.sleep(RETRY_S)
            return 0
        check_reading(consumer)
        records = [record for batch in batches.values() for record in batch]
        positions = {partition: await consumer.position(partition) for partition in consumer.assignment()}
        if records:
            await self._learn_schemas(records)
            await self._apply(records, positions)
        self._applied.update(positions)
        self._moved.set_result(None)
        self._moved = asyncio.get_running_loop().create_future()
        return len(records)

    async def _learn_schemas(self, records: Sequence[Any]) -> None:
        waiting = False
        while True:
            try:
                await self._codec.prepare([record.value for record in records])
            except RegistryAway:
                if not waiting:
                    log.warning("consent view waits for the schema registry")
                waiting = True
                await asyncio.sleep(RETRY_S)
            else:
                return

    async def _apply(self, records: Sequence[Any], positions: Mapping[TopicPartition, int]) -> None:
        changes = self._reader.read(records, self._opened().seen)
        await self._write(changes, positions)
        held = {**self._held, **changes.holds}
        self._held = {hold_id: hold for hold_id, hold in held.items() if hold is not None}
        self.holds = Holds(self._held.values())
        if changes.holds:
            now = self._now()
            self._control_at.update((record.partition, now) for record in records if record.topic == self.topics[1])

    async def _write(self, changes: Changes, positions: Mapping[TopicPartition, int]) -> None:
        """Until there is room: meanwhile no fence is reached that needs it, so nothing is sent on an older view."""
        waiting = False
        while True:
            try:
                self._opened().write(changes.seen, changes.holds, positions)
            except ViewFullError as error:
                if not waiting:
                    log.error("consent view has no room on its disk and waits", error=error)
                waiting = True
                await asyncio.sleep(RETRY_S)
            else:
                if waiting:
                    log.info("consent view has room again")
                return


def _origin(cluster: Cluster) -> Origin:
    return Origin(cluster.id, {name: topic.id for name, topic in cluster.topics.items()})
