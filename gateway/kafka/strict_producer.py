"""The requests of a transactional producer, and which of them may be said twice.

aiokafka's own producer repeats EndTxn and TxnOffsetCommit by itself when an answer is lost, and the late first copy
can then end the *next* transaction or put back its offsets; its stop() flushes; and its tasks in the background make
a transaction wait for the event loop some thirty times. Here those two requests are sent once, nothing runs in the
background, so that letting go sends nothing more, and a transaction waits for four answers, one after the other.

Knows the requests of KIP-98, aiokafka's client and its record batches (0.14; connection.check_client_library holds it
to that). Must not know lanes or topics.
"""

# aiokafka's client is untyped:
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.errors import ConcurrentTransactions, KafkaError, OperationNotAttempted
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import (
    AddOffsetsToTxnRequest,
    AddPartitionsToTxnRequest,
    EndTxnRequest,
    InitProducerIdRequest,
    TxnOffsetCommitRequest,
)
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.structs import TopicPartition

from gateway.kafka.connection import REQUEST_TIMEOUT_MS, RETRY_BACKOFF_S, KafkaConnection, close_quietly
from gateway.kafka.troubles import PassingError, Trouble, raise_for, trouble_of

MARKERS_BACKOFF_S = 0.008  # the markers of the last transaction mostly take as long
MAX_BATCH_BYTES = 900_000  # below max.message.bytes of every topic that is written to (kafka/topics.py)
ALL_REPLICAS = -1  # that are in sync: acks=all
NO_EPOCH = -1
_NO_PRODUCER = -1
_MAGIC = 2
_UNCOMPRESSED = 0
_SEQUENCES = 1 << 31  # behind the last one comes 0
_SOON = (ConcurrentTransactions, OperationNotAttempted)  # markers are being written; or another partition's trouble

T = TypeVar("T")
Codes = Callable[[Any], Iterable[int | None]]  # of an answer; None where it says nothing of what was asked


class AnswerLostError(KafkaError):
    """A request that ends or moves a transaction got no clear answer; the text names request and error."""


class NotWrittenError(KafkaError):
    """A batch is not in the log, or not surely; the cause says why."""


class Batch:
    """Records for one partition, as they are sent; sent again they are the same bytes."""

    __slots__ = ("_builder", "content", "count")

    def __init__(self) -> None:
        self._builder = DefaultRecordBatchBuilder(
            _MAGIC,
            _UNCOMPRESSED,
            is_transactional=1,
            producer_id=_NO_PRODUCER,
            producer_epoch=NO_EPOCH,
            base_sequence=0,
            batch_size=MAX_BATCH_BYTES,
        )
        self.content = b""  # until it is built
        self.count = 0

    def append(
        self, timestamp: int, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]]
    ) -> bool:
        """Whether there was room; the first record always has it, and the broker refuses what is too large."""
        if self._builder.append(self.count, timestamp, key=key, value=value, headers=[*headers]) is None:
            return False
        self.count += 1
        return True

    def build(self, producer_id: int, epoch: int, sequence: int) -> None:
        """Make its bytes, with the `sequence` number of its first record; no record can be added from then on."""
        self._builder.set_producer_state(producer_id, epoch, sequence)
        self.content = bytes(self._builder.build())
        del self._builder  # it holds them too


class StrictProducer:
    """One owner of a transactional id, whose transactions move an offset of `group`, or none if that is empty.

    The caller bounds every call; after one that failed only `let_go` is left.
    """

    def __init__(self, connection: KafkaConnection, transactional_id: str, group: str, timeout_ms: int) -> None:
        self._client = AIOKafkaClient(**connection.kwargs())
        self._keys = {CoordinationType.TRANSACTION: transactional_id, CoordinationType.GROUP: group}
        self._id = transactional_id
        self._group = group
        self._timeout_ms = timeout_ms
        self._producer_id = _NO_PRODUCER
        self.epoch = NO_EPOCH  # which owner of the id this is, by the brokers' count
        self._coordinators: dict[CoordinationType, int] = {}
        self._sequences: dict[TopicPartition, int] = defaultdict(int)

    async def start(self) -> None:
        """Fence every earlier owner of the id and wait until its last transaction is ended."""
        await self._client.bootstrap()
        request = InitProducerIdRequest(transactional_id=self._id, transaction_timeout_ms=self._timeout_ms)
        answer = await self._until_yes(CoordinationType.TRANSACTION, request, _own_code)
        self._producer_id, self.epoch = answer.producer_id, answer.producer_epoch

    async def partitions_of(self, topic: str) -> int:
        """How many partitions the topic has."""
        return len(await self._client._wait_on_metadata(topic))

    async def write(self, batches: Mapping[TopicPartition, Sequence[Batch]]) -> Mapping[TopicPartition, Sequence[int]]:
        """Begin a transaction and write all batches; the first offset of each.

        What is written to a partition that is not in the transaction would be ended by no marker: those come first."""
        if batches:
            await self._add_partitions(batches)
        if not self._group:
            return await self._produce(batches)
        _, offsets = await _together(self._add_group(), self._produce(batches))
        written: Mapping[TopicPartition, Sequence[int]] = offsets
        return written

    async def move(self, partition: TopicPartition, offset: int, metadata: str) -> None:
        """Put the group's offset into the transaction."""
        request = TxnOffsetCommitRequest(
            transactional_id=self._id,
            group_id=self._group,
            producer_id=self._producer_id,
            producer_epoch=self.epoch,
            topics=[(partition.topic, [(partition.partition, offset, metadata)])],
        )
        codes = _of_each([partition])
        while True:
            answer = await self._once(CoordinationType.GROUP, request)
            pause = self._pause(CoordinationType.GROUP, codes(answer))
            if not pause:
                return
            await asyncio.sleep(pause)  # an answer came, so that no copy is on its way

    async def commit(self) -> None:
        """Commit the transaction. Raises AnswerLostError unless the first answer is a clear yes."""
        request = EndTxnRequest(
            transactional_id=self._id,
            producer_id=self._producer_id,
            producer_epoch=self.epoch,
            transaction_result=True,
        )
        answer = await self._once(CoordinationType.TRANSACTION, request)
        for refusal in _refusals(_own_code(answer)):
            if trouble_of(refusal) is Trouble.FENCED:
                raise refusal
            raise AnswerLostError("EndTxnRequest: the coordinator did not say yes") from refusal

    async def let_go(self) -> None:
        """Close the connections; what they buffer is lost. No call may be under way: it would connect again."""
        for connection in self._client._conns.values():
            if connection._writer is not None:
                connection._writer.transport.abort()
        await close_quietly(self._client.close())

    # --- coordinators -------------------------------------------------------------------------------------

    async def _add_partitions(self, places: Collection[TopicPartition]) -> None:
        topics: dict[str, list[int]] = defaultdict(list)
        for place in places:
            topics[place.topic].append(place.partition)
        request = AddPartitionsToTxnRequest(
            transactional_id=self._id,
            producer_id=self._producer_id,
            producer_epoch=self.epoch,
            topics=list(topics.items()),
        )
        await self._until_yes(CoordinationType.TRANSACTION, request, _of_each(places))

    async def _add_group(self) -> None:
        request = AddOffsetsToTxnRequest(
            transactional_id=self._id,
            producer_id=self._producer_id,
            producer_epoch=self.epoch,
            group_id=self._group,
        )
        await self._until_yes(CoordinationType.TRANSACTION, request, _own_code)

    async def _until_yes(self, of: CoordinationType, request: Any, codes: Codes) -> Any:
        """The answer; asked again while what is wrong may pass: a late copy of such a request costs at most a doubt."""
        while True:
            node = await self._coordinator(of)
            try:
                answer = await self._client.send(node, request, group=ConnectionGroup.COORDINATION)
            except (KafkaError, OSError) as error:
                if trouble_of(error) is not Trouble.PASSING:
                    raise
                self._coordinators.pop(of, None)
                pause = RETRY_BACKOFF_S
            else:
                pause = self._pause(of, codes(answer))
            if not pause:
                return answer
            await asyncio.sleep(pause)

    async def _once(self, of: CoordinationType, request: Any) -> Any:
        """The answer to a request of which no late copy may reach a later transaction."""
        node = await self._coordinator(of)
        try:
            return await self._client.send(node, request, group=ConnectionGroup.COORDINATION)
        except (KafkaError, OSError) as error:
            raise AnswerLostError(f"{type(request).__name__}: {type(error).__name__}") from error

    async def _coordinator(self, of: CoordinationType) -> int:
        """The node to ask, to which the way is open: nothing is sent, and so nothing can be lost, before it is."""
        while True:
            try:
                if (node := self._coordinators.get(of)) is None:
                    node = self._coordinators[of] = await self._client.coordinator_lookup(of, self._keys[of])
                if await self._client.ready(node, group=ConnectionGroup.COORDINATION):
                    return node
            except (KafkaError, OSError) as error:
                if trouble_of(error) is not Trouble.PASSING:
                    raise
            self._coordinators.pop(of, None)
            await self._client.force_metadata_update()
            await asyncio.sleep(RETRY_BACKOFF_S)

    def _pause(self, of: CoordinationType, codes: Iterable[int | None]) -> float:
        """How long to wait before asking again, s; 0 for a yes. Raises what will not pass."""
        pause = 0.0
        for refusal in _refusals(codes):
            if isinstance(refusal, _SOON):
                pause = pause or MARKERS_BACKOFF_S
            elif trouble_of(refusal) is Trouble.PASSING:
                self._coordinators.pop(of, None)
                pause = RETRY_BACKOFF_S
            else:
                raise refusal
        return pause

    # --- leaders ------------------------------------------------------------------------------------------

    async def _produce(
        self, batches: Mapping[TopicPartition, Sequence[Batch]]
    ) -> Mapping[TopicPartition, Sequence[int]]:
        """One batch of each partition at a time; again while what is wrong may pass, for brokers know a copy."""
        waiting = {place: deque(some) for place, some in batches.items()}
        offsets: dict[TopicPartition, list[int]] = {place: [] for place in batches}
        while waiting:
            asked = [
                self._write(node, {p: waiting[p][0] for p in places}) for node, places in self._led(waiting).items()
            ]
            written = {place: at for answered in await _together(*asked) for place, at in answered.items()}
            is_whole = len(written) == len(waiting)
            for place, at in written.items():
                offsets[place].append(at)
                waiting[place].popleft()
                if not waiting[place]:
                    del waiting[place]
            if not is_whole:
                for place in waiting:
                    self._client.add_topic(place.topic)  # of a topic that it does not follow it hears of no leader
                await self._client.force_metadata_update()
                await asyncio.sleep(RETRY_BACKOFF_S)
        return offsets

    def _led(self, places: Iterable[TopicPartition]) -> Mapping[int, Sequence[TopicPartition]]:
        """By the node that leads them; those without a leader are left out."""
        nodes: dict[int, list[TopicPartition]] = defaultdict(list)
        for place in places:
            node = self._client.cluster.leader_for_partition(place)
            if node is not None and node >= 0:
                nodes[node].append(place)
        return nodes

    async def _write(self, node: int, batches: Mapping[TopicPartition, Batch]) -> Mapping[TopicPartition, int]:
        """The offset of each batch that the node has written."""
        topics: dict[str, list[tuple[int, bytes]]] = defaultdict(list)
        for place, batch in batches.items():
            if not batch.content:
                batch.build(self._producer_id, self.epoch, self._sequences[place])
                self._sequences[place] = (self._sequences[place] + batch.count) % _SEQUENCES
            topics[place.topic].append((place.partition, batch.content))
        request = ProduceRequest(
            transactional_id=self._id,
            required_acks=ALL_REPLICAS,
            timeout=REQUEST_TIMEOUT_MS,
            topics=list(topics.items()),
        )
        try:
            answer: Any = await self._client.send(node, request)
        except (KafkaError, OSError) as error:
            if trouble_of(error) is not Trouble.PASSING:
                raise NotWrittenError from error
            return {}
        return dict(_written(answer))


def _written(answer: Any) -> Iterator[tuple[TopicPartition, int]]:
    for topic, partitions in answer.topics:
        for partition, code, offset, *_ in partitions:
            for refusal in _refusals([code]):
                if trouble_of(refusal) is not Trouble.PASSING:
                    raise NotWrittenError from refusal
                break
            else:
                if offset < 0:
                    raise NotWrittenError("the broker does not say where")
                yield TopicPartition(topic, partition), offset


def _own_code(answer: Any) -> Iterable[int]:
    return (answer.error_code,)


def _of_each(places: Collection[TopicPartition]) -> Codes:
    """The codes of these partitions."""

    def codes(answer: Any) -> Iterable[int | None]:
        told = {(topic, number): code for topic, partitions in answer.errors for number, code in partitions}
        return [told.get(place) for place in places]

    return codes


def _refusals(codes: Iterable[int | None]) -> Iterator[KafkaError]:
    for code in codes:
        if code is None:
            yield PassingError()
            continue
        try:
            raise_for(code)
        except KafkaError as refusal:
            yield refusal


async def _together(*calls: Coroutine[Any, Any, Any]) -> list[Any]:
    """What each gives; the first that fails ends the others, and is what is raised. A TaskGroup would leave the mark of
    a cancellation on whoever called, which others take for an order to stop."""
    if len(calls) == 1:
        return [await calls[0]]
    tasks = [asyncio.create_task(call) for call in calls]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        raise
