"""Single requests to a Kafka, and their answers without what differs from run to run.

Knows aiokafka's client. Must not know which Kafka it speaks to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any
from uuid import UUID

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.group import HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, SyncGroupRequest
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import (
    AddOffsetsToTxnRequest,
    AddPartitionsToTxnRequest,
    EndTxnRequest,
    InitProducerIdRequest,
    TxnOffsetCommitRequest,
)
from aiokafka.record.control_record import ControlRecord
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from gateway.kafka.requests import GroupRequest, StaticHeartbeatRequest, TopicsRequest
from tests.coordinator_offsets import StableOffsetsRequest
from tests.simulation.broker import offsets_topic

BOUND_S = 30.0
TIMEOUT_MS = 60_000
_SESSION_MS = 6_000
_PAUSE_S = 0.01
_CONCURRENT = 51
_LOADING = (14, 15, 16)
_TIME_BYTES = 8


class RawClient:
    """One client; every call is one request, again only while a coordinator is not ready yet."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.client = AIOKafkaClient(bootstrap_servers=bootstrap, client_id="story")

    async def __aenter__(self) -> RawClient:
        await self.client.bootstrap()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.close()

    async def create(self, topic: str, partitions: int, **config: str) -> None:
        """A topic with time of appending, as the gateway's are."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            settings = {"message.timestamp.type": "LogAppendTime", **config}
            await admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=settings)])
        finally:
            await admin.close()
        for number in range(partitions):
            await until(lambda number=number: self._serves(topic, number))

    async def _serves(self, topic: str, number: int) -> bool:
        code, _ = await self.offsets_at(topic, number, -1, isolated=False)
        return code == 0

    async def transaction(self, transactional_id: str, request: Any) -> Any:
        """To the transaction's coordinator."""
        return await self._coordinated(CoordinationType.TRANSACTION, transactional_id, request)

    async def group(self, group: str, request: Any) -> Any:
        """To the group's coordinator."""
        return await self._coordinated(CoordinationType.GROUP, group, request)

    async def _coordinated(self, kind: CoordinationType, key: str, request: Any) -> Any:
        async with asyncio.timeout(BOUND_S):
            while True:
                try:
                    node = await self.client.coordinator_lookup(kind, key)
                except Exception as error:  # the internal topics are made when they are first needed
                    if getattr(error, "errno", None) not in _LOADING:
                        raise
                    await asyncio.sleep(_PAUSE_S)
                    continue
                answer = await self.client.send(node, request)
                if not any(code in _LOADING for code in _codes(answer)):
                    return answer
                await asyncio.sleep(_PAUSE_S)

    async def leader(self, request: Any) -> Any:
        """To the only node there is."""
        return await self.client.send(self.client.get_random_node(), request)

    async def init(self, transactional_id: str, timeout_ms: int = TIMEOUT_MS) -> tuple[int, int, int]:
        """InitProducerId, once: error, id, epoch."""
        answer = await self.transaction(transactional_id, InitProducerIdRequest(transactional_id, timeout_ms))
        return answer.error_code, answer.producer_id, answer.producer_epoch

    async def take_over(self, transactional_id: str, timeout_ms: int = TIMEOUT_MS) -> tuple[int, int]:
        """InitProducerId until the last transaction is over: id, epoch."""
        async with asyncio.timeout(BOUND_S):
            while True:
                code, producer_id, epoch = await self.init(transactional_id, timeout_ms)
                if code != _CONCURRENT:
                    return producer_id, epoch
                await asyncio.sleep(_PAUSE_S)

    async def add(self, producer: Producer, topic: str, *numbers: int) -> dict[int, int]:
        """AddPartitionsToTxn, again while the last transaction's markers are being written: error by partition."""
        request = AddPartitionsToTxnRequest(*producer.names, [(topic, list(numbers))])
        async with asyncio.timeout(BOUND_S):
            while True:
                answer = await self.transaction(producer.transactional_id, request)
                codes = {number: code for _, rows in answer.errors for number, code in rows}
                if _CONCURRENT not in codes.values():
                    return codes
                await asyncio.sleep(_PAUSE_S)

    async def add_group(self, producer: Producer, group: str) -> int:
        """AddOffsetsToTxn."""
        request = AddOffsetsToTxnRequest(*producer.names, group)
        return int((await self.transaction(producer.transactional_id, request)).error_code)

    async def end(self, producer: Producer, *, commit: bool) -> int:
        """EndTxn."""
        answer = await self.transaction(producer.transactional_id, EndTxnRequest(*producer.names, commit))
        return int(answer.error_code)

    async def ended(self, producer: Producer, *, commit: bool) -> int:
        """EndTxn again until its markers are written."""
        async with asyncio.timeout(BOUND_S):
            while True:
                code = await self.end(producer, commit=commit)
                if code != _CONCURRENT:
                    return code
                await asyncio.sleep(_PAUSE_S)

    async def produce(
        self, producer: Producer, topic: str, number: int, sequence: int, count: int = 1
    ) -> tuple[int, int]:
        """Produce: error and offset."""
        transactional_id, producer_id, epoch = producer.names
        batch = DefaultRecordBatchBuilder(
            2, 0, int(transactional_id is not None), producer_id, epoch, sequence, 1 << 20
        )
        for offset in range(count):
            batch.append(offset, 1, b"key", b"value", [])
        topics = [(topic, [(number, bytes(batch.build()))])]
        request = ProduceRequest(transactional_id=transactional_id, required_acks=-1, timeout=5_000, topics=topics)
        (((_, ((_, code, offset, *_),)),), *_) = _rows(await self.leader(request))
        return code, offset

    async def hold_offsets(self, producer: Producer, group: str, topic: str, offset: int, metadata: str) -> list[int]:
        """TxnOffsetCommit: errors."""
        transactional_id, producer_id, epoch = producer.names
        topics = [(topic, [(0, offset, metadata)])]
        answer = await self.group(group, TxnOffsetCommitRequest(transactional_id, group, producer_id, epoch, topics))
        return [code for _, rows in answer.errors for _, code in rows]

    async def committed(self, group: str, topic: str, *, stable: bool) -> tuple[int, list[tuple[int, str, int]]]:
        """OffsetFetch v7: the answer's error, and for each partition offset, metadata, error."""
        answer = await self.group(group, StableOffsetsRequest(group, [(topic, [0])], stable=stable))
        return answer.error_code, [(row[1], row[3], row[4]) for _, rows, _ in answer.topics for row in rows]

    async def fetch(self, topic: str, number: int, offset: int, *, isolated: bool) -> tuple[Any, ...]:
        """Fetch without waiting: error, high watermark, last stable offset, start, aborted first offsets, records."""
        *told, aborted, records = await self._fetched(topic, number, offset, isolated=isolated)
        firsts = None if aborted is None else [first for _, first in aborted]
        return *told, firsts, _layout(records)

    async def _fetched(self, topic: str, number: int, offset: int, *, isolated: bool) -> tuple[Any, ...]:
        wanted = [(topic, [(number, offset, 1 << 20)])]
        answer = await self.leader(FetchRequest(0, 1, 1 << 20, int(isolated), wanted))
        (row,) = [row for _, rows in answer.topics for row in rows]
        _, code, high, stable, start, aborted, _, records = row
        return code, high, stable, start, aborted, records or b""

    async def offsets_at(self, topic: str, number: int, time: int, *, isolated: bool) -> tuple[int, int]:
        """ListOffsets: error and offset."""
        answer = await self.leader(OffsetRequest(-1, int(isolated), [(topic, [(number, time)])]))
        ((_, ((_, code, _, offset),)),) = answer.topics
        return code, offset

    async def offset_batches(self, number: int, start: int, group: str, topic: str) -> list[Any]:
        """What the log of offsets holds from an offset on of one group and topic, but for times and ids: of each batch
        whether it is of a transaction, with keys, values and the length of their tags; and all that is said of markers.
        """
        answer = await self.leader(TopicsRequest([topic]))
        ((_, _, topic_id, *_),) = answer.topics
        *_, data = await self._fetched(offsets_topic.NAME, number, start, isolated=False)
        key = offsets_topic.offset_key(group, topic, 0)
        found: list[Any] = []
        producers: set[int] = set()
        for batch in _batches(data):
            if batch.is_control_batch:
                found += [ControlRecord.parse(each.key) for each in batch if batch.producer_id in producers]
                continue
            rows = [(each.key, *_timeless(each.value, topic_id)) for each in batch if each.key == key]
            if rows:
                producers.add(batch.producer_id)
                found.append((batch.is_transactional, rows))
        return found

    async def settled(self, topic: str, number: int) -> None:
        """Until no transaction is open in a partition."""

        async def is_stable() -> bool:
            _, high, stable, *_ = await self.fetch(topic, number, 0, isolated=True)
            return bool(high == stable)

        await until(is_stable)

    async def join(
        self,
        group: str,
        member_id: str,
        instance_id: str | None = None,
        *,
        metadata: bytes = b"m",
        rebalance: int = 6_000,
    ) -> Any:
        """JoinGroup, once."""
        protocols = [("range", metadata)]
        request = JoinGroupRequest(group, _SESSION_MS, rebalance, member_id, instance_id, "consumer", protocols)
        return await self.group(group, request)

    async def sync(
        self,
        group: str,
        generation: int,
        member_id: str,
        assigned: Sequence[tuple[str, bytes]],
        instance: str | None = None,
    ) -> tuple[int, bytes]:
        """SyncGroup: error and assignment."""
        answer = await self.group(group, SyncGroupRequest(group, generation, member_id, instance, list(assigned)))
        return answer.error_code, answer.member_assignment

    async def heartbeat(self, group: str, generation: int, member_id: str, instance_id: str | None = None) -> int:
        """Heartbeat, with the instance id if there is one."""
        request: Any = HeartbeatRequest(group, generation, member_id)
        if instance_id is not None:
            request = StaticHeartbeatRequest(group, generation, member_id, instance_id)
        return int((await self.group(group, request)).error_code)

    async def leave(self, group: str, member_id: str) -> int:
        """LeaveGroup."""
        return int((await self.group(group, LeaveGroupRequest(group, member_id))).error_code)

    async def commit(self, group: str, generation: int, member_id: str, topic: str, offset: int, metadata: str) -> int:
        """OffsetCommit."""
        topics = [(topic, [(0, offset, metadata)])]
        answer = await self.group(group, OffsetCommitRequest(group, generation, member_id, -1, topics))
        ((_, ((_, code),)),) = answer.topics
        return int(code)

    async def describe(self, group: str) -> tuple[int, str, int]:
        """DescribeGroups: error, state, members."""
        answer = await self.group(group, GroupRequest(group))
        ((code, _, state, _, _, members, _),) = answer.groups
        return code, state, len(members)


class Producer:
    """The names of one producer."""

    def __init__(self, transactional_id: Any, producer_id: int, epoch: int) -> None:
        self.transactional_id = transactional_id
        self.names = (transactional_id, producer_id, epoch)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Until it is so, within a bound."""
    async with asyncio.timeout(BOUND_S):
        while not await condition():  # noqa: ASYNC110 - what is waited for is in another process
            await asyncio.sleep(_PAUSE_S)


def _codes(answer: Any) -> list[Any]:
    """The error of an answer, and those of its partitions and groups."""
    partitions = [*getattr(answer, "errors", ()), *getattr(answer, "topics", ())]
    of_partitions = [row[-1] for _, rows, *_ in partitions for row in rows]
    return [getattr(answer, "error_code", 0), *of_partitions, *(group[0] for group in getattr(answer, "groups", ()))]


def _rows(answer: Any) -> Any:
    return (answer.topics,)


def _layout(records: bytes) -> list[tuple[int, int, bool]]:
    """Of each batch: first offset, records, whether it is a marker."""
    return [
        (batch.base_offset, batch.next_offset - batch.base_offset, bool(batch.is_control_batch))
        for batch in _batches(records)
    ]


def _timeless(value: bytes, topic_id: UUID) -> tuple[bytes, int]:
    """The value of an offset up to its time, and how long the tags behind that are."""
    tags = next(tags for tags in (b"\x01\x00\x10" + topic_id.bytes, b"\x00") if value.endswith(tags))
    return value[: -len(tags) - _TIME_BYTES], len(tags)


def _batches(records: bytes) -> Iterator[Any]:
    batches = MemoryRecords(records)
    while batches.has_next():
        yield batches.next_batch()
