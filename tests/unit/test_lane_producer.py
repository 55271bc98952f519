"""The lane's producer without a Kafka: which calls make a transaction, and what is doubtful."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, ProducerFenced

from gateway.kafka import transactions
from gateway.kafka.connection import KafkaConnection
from gateway.kafka.partitioner import partition_of
from gateway.kafka.strict_producer import AnswerLostError
from gateway.kafka.transactions import Doubt, Doubtful, Fenced, LaneProducer, Outgoing, Produced

PARTITIONS = 3
BATCH_RECORDS = 2
SHORT_S = 0.02


def wrapped(error: Exception) -> Exception:
    """As aiokafka does with what a broker refuses."""
    outer, outermost = KafkaError(), KafkaError()
    outer.__cause__, outermost.__cause__ = error, outer
    return outermost


class Batch:
    """A batch that is soon full."""

    def __init__(self) -> None:
        self.values: list[bytes] = []

    def append(self, *, timestamp: int, key: bytes | None, value: bytes, headers: object) -> object:
        if len(self.values) == BATCH_RECORDS:
            return None
        self.values.append(value)
        return object()


class Inner:
    """Stands for the strict producer; each call ends as the test says."""

    epoch = 4

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.hangs: set[str] = set()
        self.raises: dict[str, BaseException] = {}
        self.outcomes: dict[int, Any] = {}  # of the n-th batch; else it is written
        self.log: dict[tuple[str, int], list[bytes]] = {}
        self.batches = 0

    def __call__(self, **_: object) -> "Inner":
        return self

    async def call(self, name: str) -> None:
        self.calls.append(name)
        if name in self.raises:
            raise self.raises[name]
        if name in self.hangs:
            await asyncio.get_running_loop().create_future()

    async def start(self) -> None:
        await self.call("start")

    async def begin_transaction(self) -> None:
        await self.call("begin")

    async def send_offsets_to_transaction(self, offsets: Any, group: str) -> None:
        ((partition, committed),) = offsets.items()
        await self.call(f"offset {group} {partition.topic} {partition.partition} {committed.offset}")

    async def commit_transaction(self) -> None:
        await self.call("commit")

    async def partitions_for(self, topic: str) -> set[int]:
        await self.call(f"partitions {topic}")
        return set(range(PARTITIONS))

    def create_batch(self) -> Batch:
        return Batch()

    async def send_batch(self, batch: Batch, topic: str, partition: int) -> asyncio.Future[Any]:
        log = self.log.setdefault((topic, partition), [])
        future = asyncio.get_running_loop().create_future()
        outcome = self.outcomes.get(self.batches, SimpleNamespace(offset=len(log)))
        self.batches += 1
        log += batch.values
        if isinstance(outcome, BaseException):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
        return future

    async def let_go(self) -> None:
        await self.call("let go")


@pytest.fixture
def inner(monkeypatch: pytest.MonkeyPatch) -> Inner:
    """The strict producer that every lane's producer makes."""
    made = Inner()
    monkeypatch.setattr(transactions, "StrictProducer", made)
    for bound in ("TAKE_OVER_TIMEOUT_S", "PRODUCE_TIMEOUT_S", "COMMIT_TIMEOUT_S"):
        monkeypatch.setattr(transactions, bound, SHORT_S)
    return made


@pytest.fixture
def producer(inner: Inner) -> LaneProducer:
    return LaneProducer(KafkaConnection("kafka-1:9092", "test"), "group-topic-3")


def record(value: bytes, topic: str = "ledger", partition: int | None = 0, key: bytes | None = b"k") -> Outgoing:
    return Outgoing(topic, partition, key, value)


async def commit(producer: LaneProducer) -> None:
    await producer.commit("group", "in", 3, 8, "metadata")


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
    assert inner.calls == ["start", "begin", "offset group in 3 8", "commit", "let go"]


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
    assert inner.calls == ["start", "begin", "partitions parked", "partitions intents"]
    for sent, place in zip(records, produced, strict=True):
        assert inner.log[sent.topic, place.partition][place.offset] == sent.value
    assert [place.partition for place in produced[:7]] == [partition_of(key, PARTITIONS) for key in keys]
    assert [place.partition for place in produced[7:]] == [1, 1, 2]
    assert inner.batches > len(inner.log), "no batch was full"


def takes_over(producer: LaneProducer) -> Any:
    return producer.take_over()


def produces(producer: LaneProducer) -> Any:
    return producer.begin_and_produce([record(b"1"), record(b"2"), record(b"3")])


STEPS: dict[str, Callable[[LaneProducer], Any]] = {
    "start": takes_over,
    "begin": produces,
    "offset group in 3 8": commit,
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
    ("outcome", "doubt", "text"),
    [
        (MessageSizeTooLargeError(), Doubt.NOT_WRITTEN, "(MessageSizeTooLargeError)"),
        (wrapped(MessageSizeTooLargeError()), Doubt.NOT_WRITTEN, "(MessageSizeTooLargeError)"),
        (SimpleNamespace(offset=-1), Doubt.NOT_WRITTEN, "the broker had it already"),
        (ProducerFenced(), Doubt.NEWER_OWNER, "a newer owner"),
    ],
)
async def test_a_batch_that_was_not_surely_written_is_doubtful(
    inner: Inner, producer: LaneProducer, outcome: Any, doubt: Doubt, text: str
) -> None:
    """Be it the last of several, and although all others were written."""
    inner.outcomes = {1: outcome}
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
