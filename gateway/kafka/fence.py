"""The consent fence: proof that the view holds all that Kafka had acknowledged at a moment in time.

Knows the order that makes it a proof: clock, then end offsets, then wait for the view. Must not know why somebody
needs it. Ends are read uncommitted: an acknowledged withdrawal may still lack its transaction's marker, which the
view, reading committed, then waits for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from aiokafka.client import AIOKafkaClient
from aiokafka.structs import TopicPartition

from gateway.kafka.cluster import LATEST, TopicMissingError, describe_once, list_offsets_once
from gateway.kafka.connection import KafkaUnavailableError, retried
from gateway.kafka.consent_view import ConsentView, ViewFailedError
from gateway.observe.logs import get_logger

FENCE_TIMEOUT_S = 5.0
LOGGED_PARTITIONS = 5  # of those that are behind, in one round

log = get_logger()


@dataclass(frozen=True, slots=True)
class FenceMark:
    """All that was acknowledged before this time (ms, by the wall clock) is in the view."""

    read_at_ms: int


class FenceFailed(Exception):  # noqa: N818 - the fact of this name; the caller holds and tries again
    """The view could not be proven fresh in time: send nothing."""


class Fence:
    """Shares rounds: a caller joins the next round to begin, since its own moment is later than a running one's."""

    def __init__(
        self,
        client: AIOKafkaClient,
        view: ConsentView,
        now: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        timeout: float = FENCE_TIMEOUT_S,
    ) -> None:
        self._client = client
        self._view = view
        self._now = now
        self._timeout = timeout
        self._waiting: asyncio.Future[FenceMark] | None = None
        self._runner: asyncio.Task[None] | None = None
        self._closed = False

    async def reach(self) -> FenceMark:
        """Return once the view holds all that was acknowledged before this call; raises FenceFailed."""
        if self._waiting is None:
            self._waiting = asyncio.get_running_loop().create_future()
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._run(), name="consent fence")
        return await asyncio.shield(self._waiting)

    async def close(self) -> None:
        """Stop; whoever still waits fails."""
        self._closed = True
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.wait({self._runner})
        if self._waiting is not None:
            _answer(self._waiting, FenceFailed("the consent fence is closed"))

    async def _run(self) -> None:
        while self._waiting is not None:
            round_, self._waiting = self._waiting, None
            try:
                _answer(round_, await self._round())
            except FenceFailed as failed:
                _answer(round_, failed)
            except asyncio.CancelledError:
                _answer(round_, FenceFailed("the consent fence is closed"))
                if self._closed:
                    raise
            except Exception as error:  # whatever it is, no lane may wait for this round for ever
                log.error("consent fence broke, nothing is sent", error=error)
                _answer(round_, FenceFailed(f"consent fence: {type(error).__name__}"))

    async def _round(self) -> FenceMark:
        ends: dict[TopicPartition, int] = {}
        try:
            async with asyncio.timeout(self._timeout):
                read_at, ends = await retried(self._timeout, "reading the ends of consent and controls", self._read)
                await self._view.reach(ends)
        except TimeoutError:
            self._log_behind(ends)
            raise FenceFailed(self._behind(ends)) from None
        except (KafkaUnavailableError, TopicMissingError, ViewFailedError) as error:
            log.warning("consent fence failed, nothing is sent", error=error)
            raise FenceFailed(f"consent fence: {error}") from error
        self._view.note_whole(read_at)
        return FenceMark(read_at)

    async def _read(self) -> tuple[int, dict[TopicPartition, int]]:
        read_at = self._now()
        cluster = await describe_once(self._client, sorted(self._view.topics))
        self._view.expect(cluster)
        partitions = [partition for topic in cluster.topics.values() for partition in topic.partitions]
        return read_at, await list_offsets_once(self._client, cluster, dict.fromkeys(partitions, LATEST))

    def _log_behind(self, ends: dict[TopicPartition, int]) -> None:
        """On-call must know which partition to look at: nothing is sent by any lane meanwhile."""
        for late, applied, end in self._view.behind(ends)[:LOGGED_PARTITIONS]:
            log.warning(
                "consent fence waits for the view, nothing is sent",
                topic=late.topic,
                partition=late.partition,
                offset=applied,
                lag=end - applied,
            )

    def _behind(self, ends: dict[TopicPartition, int]) -> str:
        late = [f"{p.topic}:{p.partition} (applied {at}, end {end})" for p, at, end in self._view.behind(ends)]
        where = ", ".join(late) or "its end offsets could not be read"
        return (
            f"consent fence: not reached within {self._timeout:g} s: {where}. Look for a producer whose "
            "transaction on that partition stays open, or a broker that does not answer."
        )


def _answer(round_: asyncio.Future[FenceMark], result: FenceMark | FenceFailed) -> None:
    if round_.done():
        return
    if isinstance(result, FenceMark):
        round_.set_result(result)
    else:
        round_.set_exception(result)
        round_.exception()  # looked at: every caller may have been cancelled
