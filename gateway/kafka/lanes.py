"""The lanes of this process: one driver for each owned input partition, opened and closed as the group says.

Knows which drivers run. Must not know the protocol. Whatever fails in a lane ends the process: another one, or the
next start, takes over from what is committed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence

from aiokafka.structs import TopicPartition

from gateway.kafka.connection import KafkaConnection
from gateway.kafka.endings import failure_of
from gateway.kafka.lane_driver import CLOSE_BOUND_S, LaneDriver, LaneFailedError
from gateway.kafka.opening import LaneName, disown
from gateway.kafka.source import Feed, TopicReplacedError


class Lanes:
    """Opens a lane for each feed gained, closes those lost. `failed` is told of what ends the process."""

    def __init__(
        self,
        connection: KafkaConnection,
        group: str,
        make: Callable[[Feed], LaneDriver],
        drain_ms: int,
        failed: Callable[[BaseException], None],
    ) -> None:
        self._connection = connection
        self._group = group
        self._make = make
        self._drain_ms = drain_ms
        self._failed = failed
        self._running: dict[TopicPartition, tuple[LaneDriver, asyncio.Task[None]]] = {}

    def open(self, feed: Feed) -> None:
        """Start a lane on a partition that was gained."""
        driver = self._make(feed)
        task = asyncio.get_running_loop().create_task(driver.run(), name=f"lane {driver.name}")
        self._running[feed.partition] = (driver, task)
        task.add_done_callback(self._ended)

    async def close(self, partitions: Sequence[TopicPartition]) -> None:
        """Drain these lanes within the bound; raises LaneFailedError past it."""
        closing = [self._running.pop(partition) for partition in partitions if partition in self._running]
        for driver, _ in closing:
            driver.close(self._drain_ms)
        if not closing:
            return
        bound = self._drain_ms / 1000 + CLOSE_BOUND_S
        _, late = await asyncio.wait([task for _, task in closing], timeout=bound)
        if late:
            what = f"not closed within {bound:g} s: {', '.join(sorted(task.get_name() for task in late))}"
            remedy = "Check that the brokers are up and reachable."
            raise LaneFailedError(what, self._group, self._connection.bootstrap, remedy)

    async def close_all(self, error: BaseException | None = None) -> None:
        """Drain every lane. If a topic was made anew, what was committed of it since must not be taken for a place in
        it, whichever process did it."""
        await self.close(list(self._running))
        if isinstance(error, TopicReplacedError):
            for topic, partition in error.lanes:
                await disown(self._connection, LaneName(self._group, topic, partition))

    def drivers(self) -> Iterator[LaneDriver]:
        """The drivers that run now."""
        return (driver for driver, _ in list(self._running.values()))

    def _ended(self, task: asyncio.Task[None]) -> None:
        if (error := failure_of(task)) is not None:
            self._failed(error)
