"""The strict producer without a Kafka: taking over, what is said once, and what letting go leaves behind."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.client import CoordinationType
from aiokafka.errors import (
    ConcurrentTransactions,
    CoordinatorNotAvailableError,
    InvalidProducerEpoch,
    KafkaError,
    NotCoordinatorError,
    TransactionalIdAuthorizationFailed,
)
from aiokafka.protocol.transaction import InitProducerIdRequest

from gateway.kafka import strict_producer
from gateway.kafka.connection import RETRY_BACKOFF_S
from gateway.kafka.strict_producer import MARKERS_BACKOFF_S, AnswerLostError
from tests.strict_world import CUT, EPOCH, PRODUCER_ID, TIMEOUT_MS, Make, making, refuse


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """A producer and its client."""
    with making(monkeypatch) as made:
        yield made


async def test_it_takes_over_before_anything_else(make: Make) -> None:
    """Its coordinator tells which producer it is."""
    made = make()
    assert made.producer.epoch == strict_producer.NO_EPOCH
    await made.producer.start()
    assert made.producer.epoch == EPOCH
    assert made.client.said == ["bootstrap", "transaction's coordinator", "InitProducerId 1"]
    (request,) = made.client.requests
    assert isinstance(request, InitProducerIdRequest)
    assert (request._transactional_id, request._transaction_timeout_ms) == ("group-in-3", TIMEOUT_MS)


async def test_taking_over_waits_for_the_last_transaction(make: Make) -> None:
    """The coordinator ends that first."""
    made = make()
    made.client.orders["InitProducerId"] = [refuse(ConcurrentTransactions), refuse(ConcurrentTransactions)]
    await made.producer.start()
    assert made.pauses == [MARKERS_BACKOFF_S, MARKERS_BACKOFF_S]


async def test_a_coordinator_that_is_not_there_yet_is_looked_for_again(make: Make) -> None:
    """And so is one that has moved, or to which the way is cut."""
    made = make()
    made.client.nodes[CoordinationType.TRANSACTION] = [CoordinatorNotAvailableError(), OSError(), 3, 4, 1]
    made.client.orders["InitProducerId"] = [refuse(NotCoordinatorError), CUT]
    await made.producer.start()
    told = [said for said in made.client.said if said.startswith("Init")]
    assert told == ["InitProducerId 3", "InitProducerId 4", "InitProducerId 1"]
    assert made.client.refreshed == 2
    assert made.pauses == [RETRY_BACKOFF_S] * 4


@pytest.mark.parametrize("where", ["lookup", "answer"])
async def test_who_is_not_allowed_hears_it_at_once(make: Make, where: str) -> None:
    """Waiting does not help."""
    made = make()
    if where == "lookup":
        made.client.nodes[CoordinationType.TRANSACTION] = [TransactionalIdAuthorizationFailed()]
    else:
        made.client.orders["InitProducerId"] = [refuse(TransactionalIdAuthorizationFailed)]
    with pytest.raises(TransactionalIdAuthorizationFailed):
        await made.producer.start()
    assert made.pauses == []


async def test_what_can_not_be_asked_is_raised(make: Make) -> None:
    """A fault that does not pass by itself."""
    made = make()
    made.client.orders["InitProducerId"] = [KafkaError()]
    with pytest.raises(KafkaError):
        await made.producer.start()


async def test_the_offset_goes_to_the_groups_coordinator(make: Make) -> None:
    """Once, with its metadata."""
    made = make()
    await made.begun()
    await made.moved()
    assert made.client.said == ["group's coordinator", "TxnOffsetCommit 2"]
    (request,) = made.client.requested("TxnOffsetCommit")
    assert request._topics == [("in", [(3, 8, "metadata")])]
    assert (request._group_id, request._producer_id, request._producer_epoch) == ("group", PRODUCER_ID, EPOCH)


async def test_an_offset_that_was_refused_may_be_sent_again_after_a_pause(make: Make) -> None:
    """An answer came, so no copy is on its way."""
    made = make()
    await made.begun()
    made.client.nodes[CoordinationType.GROUP] = [2, 3]
    made.client.orders["TxnOffsetCommit"] = [refuse(NotCoordinatorError)]
    await made.moved()
    assert made.client.said[1::2] == ["TxnOffsetCommit 2", "TxnOffsetCommit 3"]
    assert made.pauses == [RETRY_BACKOFF_S]


async def test_an_offset_of_which_the_answer_says_nothing_is_sent_again(make: Make) -> None:
    """It is not surely in the transaction, and committed without it records would be settled twice."""
    made = make()
    await made.begun()
    others = [("in", [(2, 0)]), ("out", [(3, 0)])]
    made.client.orders["TxnOffsetCommit"] = [lambda _: SimpleNamespace(errors=others)]
    await made.moved()
    assert len(made.client.requested("TxnOffsetCommit")) == 2
    assert made.pauses == [RETRY_BACKOFF_S]


async def test_nothing_is_lost_on_a_way_that_is_not_open(make: Make) -> None:
    """A node that can't be reached was sent nothing: another one may coordinate by now."""
    made = make()
    await made.begun()
    made.client.nodes[CoordinationType.GROUP] = [2, 3]
    made.client.away = [2, 1]
    await made.moved()
    await made.producer.commit()
    assert [said for said in made.client.said if said[-1].isdigit()] == ["TxnOffsetCommit 3", "EndTxn 1"]
    assert made.pauses == [RETRY_BACKOFF_S] * 2
    assert made.client.refreshed == 2


@pytest.mark.parametrize("error", [CUT, ConnectionResetError()])
async def test_an_offset_without_an_answer_is_not_sent_again(make: Make, error: Exception) -> None:
    """A late copy could put it back under the next transaction."""
    made = make()
    await made.begun()
    made.client.orders["TxnOffsetCommit"] = [error]
    with pytest.raises(AnswerLostError, match=f"TxnOffsetCommitRequest: {type(error).__name__}"):
        await made.moved()
    assert len(made.client.requested("TxnOffsetCommit")) == 1


async def test_a_clear_yes_ends_the_transaction(make: Make) -> None:
    """Asked once, of the transaction's coordinator."""
    made = make()
    await made.begun()
    await made.producer.commit()
    assert made.client.said == ["EndTxn 1"]
    (request,) = made.client.requested("EndTxn")
    assert request._transaction_result


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (CUT, "EndTxnRequest: KafkaConnectionError"),
        (ConnectionResetError(), "EndTxnRequest: ConnectionResetError"),
        (refuse(NotCoordinatorError), "EndTxnRequest: the coordinator did not say yes"),
        (refuse(ConcurrentTransactions), "EndTxnRequest: the coordinator did not say yes"),
    ],
)
async def test_an_end_without_a_clear_yes_is_not_asked_for_again(make: Make, answer: Any, why: str) -> None:
    """A second EndTxn could end the next transaction."""
    made = make()
    await made.begun()
    made.client.orders["EndTxn"] = [answer]
    with pytest.raises(AnswerLostError, match=why):
        await made.producer.commit()
    assert made.client.said == ["EndTxn 1"]


async def test_who_is_fenced_can_not_commit(make: Make) -> None:
    """That is no doubt about an answer."""
    made = make()
    await made.begun()
    made.client.orders["EndTxn"] = [refuse(InvalidProducerEpoch)]
    with pytest.raises(InvalidProducerEpoch):
        await made.producer.commit()


async def test_letting_go_loses_what_connections_buffer(make: Make) -> None:
    """A connection that is not open has nothing."""
    made, aborted = make(), list[int]()

    def connection(number: int) -> Any:
        return SimpleNamespace(_writer=SimpleNamespace(transport=SimpleNamespace(abort=lambda: aborted.append(number))))

    made.client._conns = {1: connection(1), 2: SimpleNamespace(_writer=None), 3: connection(3)}
    await made.producer.let_go()
    assert aborted == [1, 3]
    assert made.client.closed == 1
