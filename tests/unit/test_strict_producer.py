"""The strict sender without a Kafka: what is sent once, and what letting go leaves behind."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.client import CoordinationType
from aiokafka.errors import (
    ConcurrentTransactions,
    KafkaConnectionError,
    KafkaError,
    NotCoordinatorError,
    TopicAuthorizationFailedError,
)
from aiokafka.producer.transaction_manager import TransactionManager
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from gateway.kafka import strict_producer
from gateway.kafka.strict_producer import AnswerLostError, StrictProducer

LEDGER = TopicPartition("ledger", 0)
OFFSETS = {TopicPartition("in", 3): OffsetAndMetadata(8, "metadata")}


class Client:
    """Stands for aiokafka's client: what was sent to which node, and what comes back, one answer after the other."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, str]] = []
        self.answers: list[Any] = []
        self.closed = 0
        self._conns: dict[int, Any] = {}

    async def send(self, node: int, request: Any, group: Any = None) -> Any:
        self.sent.append((node, type(request).__name__))
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def coordinator_lookup(self, kind: CoordinationType, key: str) -> int:
        return {CoordinationType.TRANSACTION: 1, CoordinationType.GROUP: 2}[kind]

    async def ready(self, node: int, group: Any = None) -> bool:
        return True

    async def close(self) -> None:
        self.closed += 1


class Made:
    """A producer in a transaction, and the pauses that it made."""

    def __init__(self, producer: StrictProducer, client: Client, pauses: list[float]) -> None:
        self.producer, self.client, self.pauses = producer, client, pauses
        self.sender: Any = producer._sender
        self.transaction: TransactionManager = producer._txn_manager


@pytest.fixture
async def made(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Made]:
    """In its transaction, with one partition to be added; nothing escapes that asyncio would only report."""
    escaped: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: escaped.append(context))
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    producer = StrictProducer(bootstrap_servers="nowhere:1", transactional_id="group-in-3", acks="all")
    client: Any = Client()
    producer._sender.client = producer.client = client
    transaction = producer._txn_manager
    transaction.set_pid_and_epoch(7, 4)
    transaction.begin_transaction()
    transaction.maybe_add_partition_to_txn(LEDGER)
    monkeypatch.setattr(strict_producer.asyncio, "sleep", pause)
    yield Made(producer, client, pauses)
    producer._closed = True
    assert not escaped


def refusal(code: int) -> Any:
    """An answer to any of these requests."""
    return SimpleNamespace(error_code=code, errors=[("in", [(3, code)])])


def added(code: int = 0) -> Any:
    return SimpleNamespace(errors=[("ledger", [(0, code)])])


def offsets_to_send(made: Made) -> asyncio.Future[None]:
    """They are the transaction's, whose group the coordinator knows; done once they are sent."""
    sent: asyncio.Future[None] = made.transaction.add_offsets_to_txn(dict(OFFSETS), "group")
    made.transaction.consumer_group_added("group")
    return sent


async def committing(made: Made) -> asyncio.Future[None]:
    """The transaction's end, which waits for EndTxn; all that it wrote was acknowledged."""
    made.transaction.partition_added(LEDGER)
    made.transaction.committing_transaction()
    return made.transaction.wait_for_transaction_end()


async def test_endtxn_is_sent_once_all_is_written(made: Made) -> None:
    """First what was written is flushed; a clear yes ends the transaction."""
    ending, flushed = await committing(made), []

    async def flush() -> None:
        assert made.client.sent == []
        flushed.append(True)

    made.sender._message_accumulator.flush_for_commit = flush
    made.client.answers = [refusal(0)]
    await made.sender._do_txn_commit(True)
    await ending
    assert flushed == [True]
    assert made.client.sent == [(1, "EndTxnRequest")]
    assert made.pauses == []


@pytest.mark.parametrize(
    "answer", [KafkaConnectionError("cut"), ConnectionResetError(), refusal(NotCoordinatorError.errno)]
)
async def test_an_endtxn_without_a_clear_yes_is_not_sent_again(made: Made, answer: Any) -> None:
    """A second one could end the next transaction; the waiting commit is told that its answer is lost."""
    ending = await committing(made)
    made.client.answers = [answer]
    await made.sender._do_txn_commit(True)
    with pytest.raises(AnswerLostError):
        await ending
    assert made.client.sent == [(1, "EndTxnRequest")]


async def test_offsets_go_to_the_groups_coordinator(made: Made) -> None:
    """Once; and they count as sent."""
    sent = offsets_to_send(made)
    made.client.answers = [refusal(0)]
    await made.sender._do_txn_offset_commit(OFFSETS, "group")
    await sent
    assert made.client.sent == [(2, "TxnOffsetCommitRequest")]
    assert made.pauses == []


async def test_offsets_that_were_refused_may_be_sent_again_after_a_pause(made: Made) -> None:
    """An answer came, so no copy is on its way."""
    sent = offsets_to_send(made)
    made.client.answers = [refusal(NotCoordinatorError.errno)]
    await made.sender._do_txn_offset_commit(OFFSETS, "group")
    assert not sent.done()
    assert made.transaction.offsets_to_commit() is not None
    assert made.pauses == [pytest.approx(strict_producer.SENDER_BACKOFF_MS / 1000)]


async def test_offsets_without_an_answer_are_not_sent_again(made: Made) -> None:
    """A late copy could put them back under the next transaction."""
    sent = offsets_to_send(made)
    made.client.answers = [KafkaConnectionError("cut")]
    await made.sender._do_txn_offset_commit(OFFSETS, "group")
    for told in (sent, made.transaction.wait_for_transaction_end()):
        with pytest.raises(AnswerLostError):
            await told
    assert len(made.client.sent) == 1


async def test_a_partition_is_added_as_soon_as_the_last_markers_are_written(made: Made) -> None:
    """While they are not, it is asked again after the shortest of pauses."""
    made.client.answers = [added(ConcurrentTransactions.errno), added()]
    assert not await made.sender._do_add_partitions_to_txn({LEDGER})
    assert await made.sender._do_add_partitions_to_txn({LEDGER})
    assert made.pauses == [pytest.approx(strict_producer.SENDER_BACKOFF_MS / 1000)]
    assert made.transaction.txn_partitions == {LEDGER}


async def test_nothing_is_written_to_a_partition_that_was_refused(made: Made) -> None:
    """It would lie outside of the transaction, and no marker would ever end it."""
    made.client.answers = [added(TopicAuthorizationFailedError.errno)]
    with pytest.raises(KafkaError, match="could not be added"):
        await made.sender._do_add_partitions_to_txn({LEDGER})


async def test_letting_go_ends_what_could_still_send(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request of the transaction and one with records are cancelled, and have ended before connections close."""
    ended: list[str] = []

    async def hangs(what: str) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append(what)

    monkeypatch.setattr(made.sender, "_do_add_partitions_to_txn", lambda partitions: hangs("add"))
    monkeypatch.setattr(strict_producer.Sender, "_send_produce_req", lambda self, node, batches: hangs("produce"))
    adding = made.sender._maybe_do_transactional_request()
    producing = asyncio.create_task(made.sender._send_produce_req(1, {}))
    turn = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(turn.set_result, None)
    await turn
    assert made.sender.in_flight_tasks == {adding, producing}
    await made.producer.let_go()
    assert sorted(ended) == ["add", "produce"]
    assert made.client.closed == 1
    assert made.sender.in_flight_tasks == set()


async def test_a_sender_with_nothing_to_do_keeps_no_task(made: Made) -> None:
    """It is asked again and again."""
    made.transaction.partition_added(LEDGER)
    assert made.sender._maybe_do_transactional_request() is None
    assert made.sender.in_flight_tasks == set()


async def test_letting_go_loses_what_connections_buffer(made: Made) -> None:
    """A connection that is not open has nothing; without tasks there is nothing to wait for."""
    aborted: list[int] = []

    def connection(number: int) -> Any:
        return SimpleNamespace(_writer=SimpleNamespace(transport=SimpleNamespace(abort=lambda: aborted.append(number))))

    made.client._conns = {1: connection(1), 2: SimpleNamespace(_writer=None), 3: connection(3)}
    await made.producer.let_go()
    assert aborted == [1, 3]
    assert made.client.closed == 1


async def test_letting_go_looks_at_what_failed(made: Made) -> None:
    """Nobody else will, and asyncio would report it as forgotten; what is cancelled or still waits is no failure."""
    made.transaction.fatal_error(KafkaError())
    drained, cancelled = (asyncio.get_running_loop().create_future() for _ in range(2))
    drained.set_exception(KafkaError())
    cancelled.cancel()
    waiting = asyncio.get_running_loop().create_future()
    batches = [SimpleNamespace(_drain_waiter=future) for future in (drained, cancelled, waiting)]
    made.producer._message_accumulator._batches[LEDGER].extend(batches)
    await made.producer.let_go()
    made.producer._message_accumulator._batches.clear()
    assert made.client.closed == 1


async def test_who_never_began_a_transaction_has_none_to_end(made: Made) -> None:
    """A lane that is refused lets go of its producer at once."""
    made.transaction._transaction_waiter = None
    await made.producer.let_go()
    assert made.client.closed == 1
