"""The lane's producer without a Kafka: which calls make a transaction, and what is doubtful."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from aiokafka.errors import InvalidProducerEpoch, KafkaError, MessageSizeTooLargeError, ProducerFenced
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from gateway.kafka import strict_producer, transactions
from gateway.kafka.connection import KafkaConnection
from gateway.kafka.partitioner import partition_of
from gateway.kafka.strict_producer import AnswerLostError, Batch, NotWrittenError
from gateway.kafka.transactions import Doubt, Doubtful, Fenced, LaneProducer, Outgoing, Produced

PARTITIONS = 3
BATCH_BYTES = 100  # a record or two
SHORT_S = 0.02


def wrapped(error: Exception) -> Exception:
    """As aiokafka does with what a broker refuses."""
    outer, outermost = KafkaError(), NotWrittenError()
    outer.__cause__, outermost.__cause__ = error, outer
    return outermost


class Inner:
    """Stands for the strict producer; each call ends as the test says."""

    epoch = 4

    def __init__(self) -> None:
        self.made: tuple[str, str] | None = None
        self.calls: list[str] = []
        self.hangs: set[str] = set()
        self.raises: dict[str, BaseException] = {}
        self.log: dict[TopicPartition, list[bytes]] = {}
        self.batches = 0

    def __call__(self, connection: KafkaConnection, transactional_id: str, group: str, timeout_ms: int) -> "Inner":
        assert timeout_ms == transactions.TRANSACTION_TIMEOUT_MS
        self.made = transactional_id, group
        return self

    async def call(self, name: str) -> None:
        self.calls.append(name)
        if name in self.raises:
            raise self.raises[name]
        if name in self.hangs:
            await asyncio.get_running_loop().create_future()

    async def start(self) -> None:
        await self.call("start")

    async def partitions_of(self, topic: str) -> int:
        await self.call(f"partitions {topic}")
        return PARTITIONS

    async def write(self, batches: Mapping[TopicPartition, Sequence[Batch]]) -> dict[TopicPartition, list[int]]:
        await self.call("write")
        return {place: [self.lay(place, batch) for batch in some] for place, some in batches.items()}

    def lay(self, place: TopicPartition, batch: Batch) -> int:
        log = self.log.setdefault(place, [])
        first = len(log)
        batch.build(7, self.epoch, 0)
        log += [each.value or b"" for each in MemoryRecords(batch.content).next_batch()]  # type: ignore[union-attr]  # there is one
        self.batches += 1
        return first

    async def move(self, partition: TopicPartition, offset: int, metadata: str) -> None:
        await self.call(f"offset {partition.topic} {partition.partition} {offset} {metadata}")

    async def commit(self) -> None:
        await self.call("commit")

    async def let_go(self) -> None:
        await self.call("let go")


@pytest.fixture
def inner(monkeypatch: pytest.MonkeyPatch) -> Inner:
    """The strict producer that every lane's producer makes."""
    made = Inner()
    monkeypatch.setattr(transactions, "StrictProducer", made)
    monkeypatch.setattr(strict_producer, "MAX_BATCH_BYTES", BATCH_BYTES)
    for bound in ("TAKE_OVER_TIMEOUT_S", "PRODUCE_TIMEOUT_S", "COMMIT_TIMEOUT_S"):
        monkeypatch.setattr(transactions, bound, SHORT_S)
    return made


@pytest.fixture
def producer(inner: Inner) -> LaneProducer:
    return LaneProducer(KafkaConnection("kafka-1:9092", "test"), "group-topic-3", "group")


def record(value: bytes, topic: str = "ledger", partition: int | None = 0, key: bytes | None = b"k") -> Outgoing:
    return Outgoing(topic, partition, key, value)


async def commit(producer: LaneProducer) -> None:
    await producer.commit("in", 3, 8, "metadata")


async def test_a_transaction_is_begun_written_given_its_offset_and_committed(
    inner: Inner, producer: LaneProducer
) -> None:
    """In this order, each step awaited; then it is let go, once."""
    assert producer.epoch == -1
    await producer.take_over()
    assert producer.epoch == 4
    assert await producer.begin_and_produce([record(b"1")]) == (Produced(0, 0),)
    await commit(producer)
    await producer.drop()
    await producer.drop()
    assert inner.calls == ["start", "write", "offset in 3 8 metadata", "commit", "let go"]
    assert inner.made == ("group-topic-3", "group")


async def test_each_record_is_told_where_it_lies(inner: Inner, producer: LaneProducer) -> None:
    """Named partitions are kept, keys decide, records without a key take partitions in turn; each topic asked once."""
    await producer.take_over()
    keys = [b"key-%d" % number for number in range(7)]
    records = [record(key, "parked", None, key) for key in keys]
    records += [
        record(b"named", "parked", 1),
        *(record(b"turn-%d" % number, "intents", None, None) for number in (0, 1)),
    ]
    produced = await producer.begin_and_produce(records)
    assert inner.calls == ["start", "partitions parked", "partitions intents", "write"]
    for sent, place in zip(records, produced, strict=True):
        assert inner.log[TopicPartition(sent.topic, place.partition)][place.offset] == sent.value
    assert [place.partition for place in produced[:7]] == [partition_of(key, PARTITIONS) for key in keys]
    assert [place.partition for place in produced[7:]] == [1, 1, 2]
    assert inner.batches > len(inner.log), "no batch was full"


def takes_over(producer: LaneProducer) -> Any:
    return producer.take_over()


def produces(producer: LaneProducer) -> Any:
    return producer.begin_and_produce([record(b"1"), record(b"2"), record(b"3")])


STEPS: dict[str, Callable[[LaneProducer], Any]] = {
    "start": takes_over,
    "write": produces,
    "offset in 3 8 metadata": commit,
    "commit": commit,
}


async def led_to(producer: LaneProducer, inner: Inner, step: Callable[[LaneProducer], Any]) -> Doubtful:
    """The doubt that a step ends with; the steps before it succeed."""
    if step is not takes_over:
        raises, inner.raises = inner.raises, {}
        hangs, inner.hangs = inner.hangs, set()
        await producer.take_over()
        inner.raises, inner.hangs = raises, hangs
    with pytest.raises(Doubtful) as raised:
        await step(producer)
    return raised.value


async def is_over(producer: LaneProducer, inner: Inner) -> None:
    """Whatever is tried next is doubtful at once; it is let go once."""
    calls = list(inner.calls)
    for step in (produces, commit):
        with pytest.raises(Doubtful) as again:
            await step(producer)
        assert again.value.doubt is Doubt.ALREADY
    assert inner.calls == calls
    await producer.drop()
    await producer.drop()
    assert inner.calls == [*calls, "let go"]


@pytest.mark.parametrize("call", STEPS)
async def test_a_step_without_an_answer_is_doubtful(inner: Inner, producer: LaneProducer, call: str) -> None:
    """Each has its bound."""
    inner.hangs = {call}
    raised = await led_to(producer, inner, STEPS[call])
    assert raised.doubt is Doubt.TIMEOUT
    assert str(raised).endswith(Doubt.TIMEOUT.value)
    await is_over(producer, inner)


@pytest.mark.parametrize(
    ("error", "doubt", "text"),
    [
        (AnswerLostError("EndTxn: gone"), Doubt.ANSWER_LOST, "EndTxn: gone"),
        (AssertionError(), Doubt.FAILED, "(AssertionError)"),
        (KafkaError(), Doubt.FAILED, "(KafkaError)"),
        (ProducerFenced(), Doubt.NEWER_OWNER, "a newer owner"),
    ],
)
@pytest.mark.parametrize("call", STEPS)
async def test_a_step_that_fails_is_doubtful(  # the whole table, for each step
    inner: Inner, producer: LaneProducer, call: str, error: Exception, doubt: Doubt, text: str
) -> None:
    """What it raised becomes one of a closed set; only who is fenced is told so."""
    inner.raises = {call: error}
    raised = await led_to(producer, inner, STEPS[call])
    assert raised.doubt is doubt
    assert text in str(raised)
    assert isinstance(raised, Fenced) is (doubt is Doubt.NEWER_OWNER)
    await is_over(producer, inner)


@pytest.mark.parametrize(
    ("cause", "doubt", "text"),
    [
        (MessageSizeTooLargeError(), Doubt.NOT_WRITTEN, "(MessageSizeTooLargeError)"),
        (InvalidProducerEpoch(), Doubt.NEWER_OWNER, "a newer owner"),
    ],
)
async def test_a_batch_that_was_not_surely_written_is_doubtful(
    inner: Inner, producer: LaneProducer, cause: Exception, doubt: Doubt, text: str
) -> None:
    """However it is wrapped."""
    inner.raises = {"write": wrapped(cause)}
    raised = await led_to(producer, inner, produces)
    assert raised.doubt is doubt
    assert text in str(raised)
    await is_over(producer, inner)


async def test_a_step_that_is_cancelled_leaves_doubt(inner: Inner, producer: LaneProducer) -> None:
    """Nobody knows how far it got."""
    await producer.take_over()
    inner.hangs = {"commit"}
    committing = asyncio.create_task(commit(producer))
    await asyncio.sleep(0)
    committing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await committing
    await is_over(producer, inner)


async def test_what_never_took_over_has_nothing_to_let_go(inner: Inner, producer: LaneProducer) -> None:
    """And can begin nothing."""
    with pytest.raises(Doubtful) as raised:
        await produces(producer)
    assert raised.value.doubt is Doubt.ALREADY
    await producer.drop()
    assert inner.calls == []
