"""Steps of the lane that its drivers take, each taken out by one function: open, transactions, fence, doubt, close.

Patches for a process of their own: a real gateway's, or a test's that drives one of these parts.
"""

import asyncio
import itertools
import os
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.protocol.transaction import EndTxnRequest, TxnOffsetCommitRequest
from aiokafka.structs import TopicPartition

from gateway.core.facts import Committed, FenceReached, Opened, StartFence
from gateway.core.facts import FenceFailed as NotFenced
from gateway.core.identity import Identity
from gateway.core.metadata import CommitMetadata
from gateway.kafka import cluster, exact, fence, offsets_log, opening, strict_producer
from gateway.kafka.fence import Fence, FenceFailed, FenceMark
from gateway.kafka.lane_driver import _CALLS, REOPEN_WINDOW_S, LaneDriver
from gateway.kafka.lanes import Lanes
from gateway.kafka.names import TopicNames
from gateway.kafka.opening import LaneRefusedError
from gateway.kafka.registry import RegistryAway
from gateway.kafka.replay_intake import ReplayIntake
from gateway.kafka.strict_producer import StrictProducer
from gateway.kafka.transactions import LaneProducer, Outgoing
from tests import coordinator_offsets
from tests.promises.patching import Named, replace, replace_everywhere

NAMED = Named()
READ_COMMITTED = 1
CONTROLS = TopicNames("").controls

# --- (a) open ---------------------------------------------------------------------------------------------------


@NAMED
def read_before_taking_over() -> None:
    """What is committed is read before older owners are fenced."""

    async def open_lane(
        connection: Any, client: Any, codec: Any, name: Any, intents_topic: str, holds: Any, *, is_new: bool = False
    ) -> Any:
        committed = await opening.read_offset(client, name.group, TopicPartition(name.topic, name.partition))
        offset, metadata = await opening.where_to_go_on(client, name, committed, is_new=is_new)
        intents = await opening._live_intents(client, codec, name, intents_topic, metadata)
        producer = opening.LaneProducer(connection, name.transactional_id, name.group)
        await producer.take_over()
        return producer, Opened(offset, metadata, intents, holds, producer.epoch)

    replace_everywhere(opening.open_lane, open_lane)


@NAMED
def an_id_for_each_process() -> None:
    """No owner is fenced: each has a transactional id of its own."""
    taken: dict[str, int] = {}

    def take_over(self: LaneProducer) -> Any:
        number = taken[self._transactional_id] = taken.get(self._transactional_id, 0) + 1
        self._transactional_id += f"-{os.getpid()}-{number}"
        return plain_take_over(self)

    plain_take_over = replace(LaneProducer, "take_over", take_over)


@NAMED
def read_without_waiting_for_markers() -> None:
    """What is committed is read although a transaction that may be changing it has not ended."""

    async def read_offsets(client: Any, group: str, lanes: Any, *, decided: bool = True) -> Any:
        return await plain(client, group, lanes, decided=False)

    plain = offsets_log.read_offsets
    replace_everywhere(plain, read_offsets)


@NAMED
def read_from_the_coordinator() -> None:
    """An offset is believed as the coordinator remembers it; only "none" is looked up in the log."""

    async def read_offset(client: Any, group: str, lane: Any) -> Any:
        return await coordinator_offsets.fetch_committed(client, group, *lane) or await plain(client, group, lane)

    plain = offsets_log.read_offset
    replace_everywhere(plain, read_offset)


@NAMED
def any_place_is_ours() -> None:
    """A lane without an offset of its own, or with one that is not in the log, begins somewhere."""

    async def where_to_go_on(*arguments: Any, **named: Any) -> Any:
        try:
            return await plain(*arguments, **named)
        except LaneRefusedError:
            return 0, CommitMetadata()

    plain = replace(opening, "where_to_go_on", where_to_go_on)


@NAMED
def missing_intents_are_forgotten() -> None:
    """A lane opens although a live intent can't be read."""

    async def live_intents(*arguments: Any) -> Any:
        try:
            return await plain(*arguments)
        except LaneRefusedError:
            return []

    plain = replace(opening, "_live_intents", live_intents)


@NAMED
def intents_read_committed() -> None:
    """Live intents are read as committed readers see them."""

    def init(self: exact._Log, client: Any, partition: Any, _: int, **how: Any) -> None:
        plain(self, client, partition, READ_COMMITTED, **how)

    plain = replace(exact._Log, "__init__", init)


# --- (c) one transaction ----------------------------------------------------------------------------------------


@NAMED
def ledger_outside_the_transaction() -> None:
    """Ledger records are written beside the transaction that commits their offset."""

    async def begin_and_produce(self: LaneProducer, outgoing: Sequence[Outgoing]) -> Any:
        beside = [record for record in outgoing if record.topic.endswith("genie.provision.ledger")]
        if beside:
            async with AIOKafkaProducer(**self._connection.kwargs()) as producer:
                for record in beside:
                    await producer.send_and_wait(record.topic, key=record.key, value=record.value, partition=0)
        return await plain(self, [record for record in outgoing if record not in beside])

    plain = replace(LaneProducer, "begin_and_produce", begin_and_produce)


@NAMED
def writes_are_not_looked_at() -> None:
    """A transaction is committed whatever became of the records in it."""

    def written(answer: Any) -> Any:
        for topic, partitions in answer.topics:
            for partition, _, offset, *_ in partitions:
                yield TopicPartition(topic, partition), max(0, offset)

    replace(strict_producer, "_written", written)


@NAMED
def partitions_that_were_refused() -> None:
    """Records are written although their partition could not be added to the transaction."""

    async def add_partitions(self: StrictProducer, places: Any) -> None:
        with suppress(KafkaError):
            await plain(self, places)

    plain = replace(StrictProducer, "_add_partitions", add_partitions)


@NAMED
def endtxn_is_repeated() -> None:
    """The request that ends a transaction is sent again when its answer is lost, as aiokafka does."""
    _repeat(EndTxnRequest, lambda answer: [answer.error_code])


@NAMED
def offsets_are_repeated() -> None:
    """The request that puts offsets into a transaction is sent again when its answer is lost, as aiokafka does."""
    _repeat(TxnOffsetCommitRequest, lambda answer: [code for _, there in answer.errors for _, code in there])


def _repeat(kind: type[Any], codes: Any) -> None:
    async def once(self: StrictProducer, of: Any, request: Any) -> Any:
        if isinstance(request, kind):
            return await self._until_yes(of, request, codes)
        return await plain(self, of, request)

    plain = replace(StrictProducer, "_once", once)


@NAMED
def letting_go_flushes() -> None:
    """A producer is let go as aiokafka does it: what its connections buffer is written first."""

    async def let_go(self: StrictProducer) -> None:
        await self._client.close()

    replace(StrictProducer, "let_go", let_go)


# --- (d) fence --------------------------------------------------------------------------------------------------


@NAMED
def no_fence() -> None:
    """The final decision takes the local view as it is."""

    async def reach(self: Fence) -> FenceMark:
        return FenceMark(time.time_ns() // 1_000_000)

    replace(Fence, "reach", reach)


@NAMED
def view_before_the_fence() -> None:
    """The final decision takes what was known when the fence began."""

    async def prove_fresh(self: LaneDriver, command: StartFence) -> None:
        view = self._around.view
        consents, holds = view.get_many(command.subjects), view.holds
        try:
            mark = await self._around.fence.reach()
        except FenceFailed:
            self._tell(NotFenced())
        else:
            self._tell(FenceReached(mark.read_at_ms, consents, holds))

    _CALLS[StartFence] = prove_fresh


@NAMED
def a_failed_fence_counts() -> None:
    """A fence that fails is taken for one that is reached."""

    async def prove_fresh(self: LaneDriver, command: StartFence) -> None:
        view, now = self._around.view, self._around.now()
        with suppress(FenceFailed):
            await self._around.fence.reach()
        self._tell(FenceReached(now, view.get_many(command.subjects), view.holds))

    _CALLS[StartFence] = prove_fresh


@NAMED
def join_the_running_round() -> None:
    """Whoever asks for a fence gets the one that is under way."""
    rounds: list[asyncio.Task[FenceMark]] = []

    async def reach(self: Fence) -> FenceMark:
        if not rounds or rounds[-1].done():
            rounds.append(asyncio.ensure_future(plain(self)))
        return await asyncio.shield(rounds[-1])

    plain = replace(Fence, "reach", reach)


@NAMED
def the_clock_after_the_ends() -> None:
    """A fence is dated when the end offsets have been read."""

    async def read(self: Fence) -> tuple[int, dict[TopicPartition, int]]:
        _, ends = await plain(self)
        return self._now(), ends

    plain = replace(Fence, "_read", read)


@NAMED
def ends_read_committed() -> None:
    """The ends of consents and controls are those that committed readers see."""
    replace(cluster, "_READ_UNCOMMITTED", READ_COMMITTED)


@NAMED
def controls_unfenced() -> None:
    """A fence proves consents alone: holds are taken as the view has them."""

    async def read(self: Fence) -> tuple[int, dict[TopicPartition, int]]:
        read_at, ends = await plain(self)
        return read_at, {place: end for place, end in ends.items() if not place.topic.endswith(CONTROLS)}

    plain = replace(Fence, "_read", read)


@NAMED
def partitions_as_first_seen() -> None:
    """A fence knows the partitions that there were at the first one."""
    seen: list[Any] = []

    async def describe_once(client: Any, names: list[str]) -> Any:
        if not seen:
            seen.append(await plain(client, names))
        return seen[0]

    plain = replace(fence, "describe_once", describe_once)


# --- (b) names, (i) what can't be read --------------------------------------------------------------------------


@NAMED
def a_key_for_each_time() -> None:
    """The idempotency key is another each time that a record is read."""

    def idempotency_key(self: Identity, *event: Any) -> str:
        return plain(self, event[0], f"{event[1]} {next(numbers)}")

    numbers = itertools.count()
    plain = replace(Identity, "idempotency_key", idempotency_key)


@NAMED
def without_the_registry() -> None:
    """Records whose schema can't be had now are passed."""

    async def read(self: LaneDriver, raws: Sequence[Any], *, wary: bool) -> Any:
        try:
            return await self._reader.read(raws, wary=wary)
        except RegistryAway:
            return []

    replace(LaneDriver, "_read", read)


# --- (f) replays ------------------------------------------------------------------------------------------------


@NAMED
def replay_at_any_time() -> None:
    """A record is replayed although its own lane may still be at it."""

    async def settled(self: ReplayIntake, places: Collection[Any]) -> list[Any]:
        return list(places)

    replace(ReplayIntake, "_settled", settled)


# --- (g) doubtful commit, (k) close -----------------------------------------------------------------------------


@NAMED
def doubt_is_success() -> None:
    """After a doubt the lane goes on as if the transaction were committed."""
    replace(LaneDriver, "_doubt", lambda self, doubt: self._tell(Committed()))


@NAMED
def reopen_without_the_group() -> None:
    """After a doubt a lane opens again whether or not the group still knows this process."""

    async def consider_reopening(self: LaneDriver) -> None:
        async def confirm_membership() -> None:
            """Nobody is asked."""

        feed = self._feed
        self._feed = SimpleNamespace(stop=feed.stop, confirm_membership=confirm_membership)
        await plain(self)
        self._feed = feed

    plain = replace(LaneDriver, "_consider_reopening", consider_reopening)


@NAMED
def reopen_again_and_again() -> None:
    """However often commits are doubtful, the lane opens again."""

    async def consider_reopening(self: LaneDriver) -> None:
        self._reopened_at = -REOPEN_WINDOW_S
        await plain(self)

    plain = replace(LaneDriver, "_consider_reopening", consider_reopening)


@NAMED
def a_rebalance_waits_for_nothing() -> None:
    """Whoever takes lanes away does not wait until they have closed."""

    async def close(self: Lanes, partitions: Sequence[TopicPartition]) -> None:
        for driver, _ in [self._running.pop(partition) for partition in partitions if partition in self._running]:
            driver.close(self._drain_ms)

    replace(Lanes, "close", close)
