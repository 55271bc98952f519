"""aiokafka's producer without two habits that break promises.

It repeats EndTxn and TxnOffsetCommit by itself when an answer is lost, and the late first copy can then end the
*next* transaction or put back its offsets; and its stop() flushes. Here such a request is sent once, and letting
go sends nothing more. Knows the insides of aiokafka 0.14 (connection.check_client_library holds it to that).
Must not know lanes or topics.
"""

# aiokafka's producer is untyped:
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.client import CoordinationType
from aiokafka.errors import KafkaError
from aiokafka.producer.sender import AddPartitionsToTxnHandler, EndTxnHandler, Sender, TxnOffsetCommitHandler
from aiokafka.producer.transaction_manager import TransactionResult, TransactionState

from gateway.kafka.connection import KAFKA_CLOSE_TIMEOUT_S, close_quietly

SENDER_BACKOFF_MS = 8  # the markers of the last transaction mostly take as long; aiokafka waits 20 or 100


class AnswerLostError(KafkaError):
    """A request that ends or moves a transaction got no clear answer; the text names request and error."""


class _OneShot:
    """Mixin of a handler: its request is sent once, so that no late copy can reach a later transaction."""

    _sender: Any
    group: Any
    create_request: Any
    handle_response: Any

    async def do(self, node_id: int) -> bool:
        request = self.create_request()
        try:
            answer = await self._sender.client.send(node_id, request, group=self.group)
        except (KafkaError, OSError) as error:
            return self._give_up(type(error).__name__)
        backoff = self.handle_response(answer)
        if backoff is None:
            return True
        return await self._answered_no(backoff)

    async def _answered_no(self, backoff: float) -> bool:
        await asyncio.sleep(backoff)
        return False  # the sender asks again: an answer came, so no copy is on its way

    def _give_up(self, why: str) -> bool:
        self._sender._txn_manager.fatal_error(AnswerLostError(f"{type(self).__name__.strip('_')}: {why}"))
        return True


class _OneEndTxn(_OneShot, EndTxnHandler):
    """EndTxn: anything but success of the first request is doubtful."""

    async def _answered_no(self, backoff: float) -> bool:
        return self._give_up("the coordinator did not say yes")


class _OneTxnOffsetCommit(_OneShot, TxnOffsetCommitHandler):
    """TxnOffsetCommit: a refusal may be repeated, a lost answer not."""


class _PromptAddPartitions(AddPartitionsToTxnHandler):
    """AddPartitionsToTxn: asks again as soon as the markers of the last transaction may be written."""

    def handle_response(self, answer: Any) -> float | None:
        backoff = super().handle_response(answer)
        return None if backoff is None else self._default_backoff


class _StrictSender(Sender):
    """aiokafka's sender with the strict handlers; it keeps its tasks so that they can be cancelled."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.in_flight_tasks: set[asyncio.Task[Any]] = set()

    def _maybe_do_transactional_request(self) -> asyncio.Task[Any] | None:
        task: asyncio.Task[Any] | None = super()._maybe_do_transactional_request()
        if task is not None:
            self._keep(task)
        return task

    async def _send_produce_req(self, node_id: int, batches: Any) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._keep(task)
        await super()._send_produce_req(node_id, batches)

    async def _do_add_partitions_to_txn(self, partitions: Any) -> Any:
        coordinator = await self._find_coordinator(CoordinationType.TRANSACTION, self._txn_manager.transactional_id)
        added = await _PromptAddPartitions(self, partitions).do(coordinator)
        if self._txn_manager.state is TransactionState.ABORTABLE_ERROR:
            # It would now produce to partitions outside the transaction, and no marker would ever end that.
            refusal = self._txn_manager.wait_for_transaction_end().exception()
            raise KafkaError("a partition could not be added to the transaction") from refusal
        return added

    async def _do_txn_offset_commit(self, offsets: Any, group: str) -> None:
        coordinator = await self._find_coordinator(CoordinationType.GROUP, group)
        await _OneTxnOffsetCommit(self, offsets, group).do(coordinator)

    async def _do_txn_commit(self, result: TransactionResult) -> None:
        await self._message_accumulator.flush_for_commit()
        manager = self._txn_manager
        coordinator = await self._find_coordinator(CoordinationType.TRANSACTION, manager.transactional_id)
        await _OneEndTxn(self, result).do(coordinator)

    def _keep(self, task: asyncio.Task[Any]) -> None:
        self.in_flight_tasks.add(task)
        task.add_done_callback(self.in_flight_tasks.discard)


class StrictProducer(AIOKafkaProducer):
    """aiokafka's producer with the strict sender, and a way to let go that does not flush."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._sender: _StrictSender = _StrictSender(
            self.client,
            acks=-1,
            txn_manager=self._txn_manager,
            message_accumulator=self._message_accumulator,
            retry_backoff_ms=SENDER_BACKOFF_MS,
            request_timeout_ms=self._request_timeout_ms,
        )

    @property
    def epoch(self) -> int:
        """The producer epoch that the take-over was given."""
        return int(self._txn_manager.producer_epoch)

    async def let_go(self) -> None:
        """Cancel all that could still send, then close the connections; what they buffer is lost."""
        self._closed = True
        tasks = {*self._sender.in_flight_tasks, self._sender.sender_task} - {None}
        for task in tasks:
            task.cancel()
        if tasks:
            done, _ = await asyncio.wait(tasks, timeout=KAFKA_CLOSE_TIMEOUT_S)
            _look_at(done)
        waiter = self._txn_manager.wait_for_transaction_end()
        if waiter is not None and waiter.done():
            _look_at({waiter})
        for batches in self._message_accumulator._batches.values():
            _look_at({batch._drain_waiter for batch in batches if batch._drain_waiter.done()})
        for connection in self.client._conns.values():
            if connection._writer is not None:
                connection._writer.transport.abort()
        await close_quietly(self.client.close())


def _look_at(futures: set[asyncio.Future[Any]]) -> None:
    """Take note of failures, which asyncio would otherwise report as forgotten."""
    for future in futures:
        if not future.cancelled():
            future.exception()
