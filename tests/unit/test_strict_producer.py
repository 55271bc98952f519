"""The strict producer without a Kafka: what is said when, what is said once, and what letting go leaves behind."""

import asyncio
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.client import CoordinationType
from aiokafka.errors import (
    ConcurrentTransactions,
    CoordinatorNotAvailableError,
    InvalidProducerEpoch,
    KafkaConnectionError,
    KafkaError,
    MessageSizeTooLargeError,
    NotCoordinatorError,
    NotLeaderForPartitionError,
    OperationNotAttempted,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)
from aiokafka.protocol.transaction import InitProducerIdRequest
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from gateway.kafka import strict_producer
from gateway.kafka.connection import RETRY_BACKOFF_S, KafkaConnection
from gateway.kafka.strict_producer import MARKERS_BACKOFF_S, AnswerLostError, Batch, NotWrittenError, StrictProducer

LEDGER, INTENTS, INPUT = TopicPartition("ledger", 0), TopicPartition("intents", 1), TopicPartition("in", 3)
PRODUCER_ID, EPOCH, TIMEOUT_MS = 7, 4, 20_000
NODES = {CoordinationType.TRANSACTION: 1, CoordinationType.GROUP: 2}
LEADERS = {LEDGER: 5, INTENTS: 5}
CUT = KafkaConnectionError("cut")
BEGUN = ["AddPartitionsToTxn 1", "AddOffsetsToTxn 1", "Produce 5"]

Answer = Callable[[Any], Any]


def name_of(request: Any) -> str:
    return type(request).__name__.removesuffix("Request")


class Client:
    """Stands for aiokafka's client: what was sent to which node, and what comes back; without orders, a yes."""

    def __init__(self) -> None:
        self.said: list[str] = []  # requests and their nodes
        self.requests: list[Any] = []
        self.orders: dict[str, list[Answer | Exception]] = {}
        self.nodes: dict[Any, Any] = dict(NODES)  # by kind; a list is said in turn
        self.leaders: dict[TopicPartition, int | None] = dict(LEADERS)
        self.cluster = SimpleNamespace(leader_for_partition=lambda place: self.leaders[place])
        self.written: dict[TopicPartition, list[bytes]] = {}
        self.refreshed = self.closed = 0
        self.on_refresh: Callable[[], object] = lambda: None
        self._conns: dict[int, Any] = {}

    async def bootstrap(self) -> None:
        self.said.append("bootstrap")

    async def coordinator_lookup(self, kind: CoordinationType, key: str) -> int:
        assert key == {CoordinationType.TRANSACTION: "group-in-3", CoordinationType.GROUP: "group"}[kind]
        node = self.nodes[kind]
        found = node.pop(0) if isinstance(node, list) else node
        if isinstance(found, Exception):
            raise found
        self.said.append(f"{kind.name.lower()}'s coordinator")
        return int(found)

    async def _wait_on_metadata(self, topic: str) -> set[int]:
        return {0, 1, 2}

    async def force_metadata_update(self) -> None:
        self.refreshed += 1
        self.on_refresh()

    async def send(self, node: int, request: Any, group: Any = None) -> Any:
        name = name_of(request)
        self.said.append(f"{name} {node}")
        self.requests.append(request)
        orders = self.orders.get(name)
        order = orders.pop(0) if orders else getattr(self, f"_{name}")
        if isinstance(order, Exception):
            raise order
        return order(request)

    async def close(self) -> None:
        self.closed += 1

    def requested(self, name: str) -> list[Any]:
        return [request for request in self.requests if name_of(request) == name]

    # --- yes ---

    def _InitProducerId(self, request: Any) -> Any:  # noqa: N802 - the request's name
        return SimpleNamespace(error_code=0, producer_id=PRODUCER_ID, producer_epoch=EPOCH)

    def _AddPartitionsToTxn(self, request: Any) -> Any:  # noqa: N802 - the request's name
        return SimpleNamespace(errors=[(topic, [(at, 0) for at in there]) for topic, there in request._topics])

    def _AddOffsetsToTxn(self, request: Any) -> Any:  # noqa: N802 - the request's name
        return SimpleNamespace(error_code=0)

    def _TxnOffsetCommit(self, request: Any) -> Any:  # noqa: N802 - the request's name
        return SimpleNamespace(errors=[("in", [(3, 0)])])

    def _EndTxn(self, request: Any) -> Any:  # noqa: N802 - the request's name
        return SimpleNamespace(error_code=0)

    def _Produce(self, request: Any) -> Any:  # noqa: N802 - the request's name
        return SimpleNamespace(
            topics=[(topic, [self.lay(topic, *each) for each in some]) for topic, some in request._topics]
        )

    def lay(self, topic: str, partition: int, content: bytes) -> tuple[int, int, int, int]:
        """Written unless it lies there already: brokers know a copy by its bytes' sequence."""
        log = self.written.setdefault(TopicPartition(topic, partition), [])
        if content not in log:
            log.append(content)
        return partition, 0, 100 * log.index(content), -1


def refuse(kind: type[KafkaError]) -> Answer:
    """An answer to any of these requests but Produce, with this error for each partition that it names."""
    code = kind.errno
    return lambda request: SimpleNamespace(error_code=code, errors=[("topic", [(0, code)])], topics=[])


def unwritten(kind: type[KafkaError]) -> Answer:
    """An answer to Produce with this error for each partition."""
    return lambda request: SimpleNamespace(
        topics=[(topic, [(partition, kind.errno, -1) for partition, _ in some]) for topic, some in request._topics]
    )


class Made:
    """A producer, its client, and the pauses that it made."""

    def __init__(self, producer: StrictProducer, client: Client, pauses: list[float]) -> None:
        self.producer, self.client, self.pauses = producer, client, pauses

    async def begun(self) -> None:
        """It has taken over; what was said for that is forgotten."""
        await self.producer.start()
        self.client.said.clear()

    async def moved(self) -> None:
        await self.producer.move(INPUT, 8, "metadata")


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Made]]:
    """Nothing escapes that asyncio would only report."""
    escaped: list[Any] = []

    def made(group: str = "group") -> Made:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: escaped.append(context))
        client, pauses = Client(), list[float]()
        turn = asyncio.sleep

        async def pause(seconds: float) -> None:
            pauses.append(seconds)
            await turn(0)

        monkeypatch.setattr(strict_producer, "AIOKafkaClient", lambda **_: client)
        monkeypatch.setattr(strict_producer.asyncio, "sleep", pause)
        producer = StrictProducer(KafkaConnection("nowhere:1", "test"), "group-in-3", group, TIMEOUT_MS)
        return Made(producer, client, pauses)

    yield made
    assert not escaped


def batch(*values: bytes) -> Batch:
    made = Batch()
    for value in values:
        assert made.append(1, b"key", value, ())
    return made


def read(content: bytes) -> Any:
    """The batch in these bytes."""
    return MemoryRecords(content).next_batch()


# --- taking over ------------------------------------------------------------------------------------------------


async def test_it_takes_over_before_anything_else(make: Callable[..., Made]) -> None:
    """Its coordinator tells which producer it is."""
    made = make()
    assert made.producer.epoch == strict_producer.NO_EPOCH
    await made.producer.start()
    assert made.producer.epoch == EPOCH
    assert made.client.said == ["bootstrap", "transaction's coordinator", "InitProducerId 1"]
    (request,) = made.client.requests
    assert isinstance(request, InitProducerIdRequest)
    assert (request._transactional_id, request._transaction_timeout_ms) == ("group-in-3", TIMEOUT_MS)


async def test_taking_over_waits_for_the_last_transaction(make: Callable[..., Made]) -> None:
    """The coordinator ends that first."""
    made = make()
    made.client.orders["InitProducerId"] = [refuse(ConcurrentTransactions), refuse(ConcurrentTransactions)]
    await made.producer.start()
    assert made.pauses == [MARKERS_BACKOFF_S, MARKERS_BACKOFF_S]


async def test_a_coordinator_that_is_not_there_yet_is_looked_for_again(make: Callable[..., Made]) -> None:
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
async def test_who_is_not_allowed_hears_it_at_once(make: Callable[..., Made], where: str) -> None:
    """Waiting does not help."""
    made = make()
    if where == "lookup":
        made.client.nodes[CoordinationType.TRANSACTION] = [TransactionalIdAuthorizationFailed()]
    else:
        made.client.orders["InitProducerId"] = [refuse(TransactionalIdAuthorizationFailed)]
    with pytest.raises(TransactionalIdAuthorizationFailed):
        await made.producer.start()
    assert made.pauses == []


async def test_what_can_not_be_asked_is_raised(make: Callable[..., Made]) -> None:
    """A fault that does not pass by itself."""
    made = make()
    made.client.orders["InitProducerId"] = [KafkaError()]
    with pytest.raises(KafkaError):
        await made.producer.start()


# --- writing ----------------------------------------------------------------------------------------------------


async def test_all_partitions_are_in_the_transaction_before_anything_is_written(make: Callable[..., Made]) -> None:
    """The group is added beside the writing; each batch is told where it begins."""
    made = make()
    await made.begun()
    offsets = await made.producer.write({LEDGER: [batch(b"1", b"2")], INTENTS: [batch(b"3")]})
    assert offsets == {LEDGER: [0], INTENTS: [0]}
    assert made.client.said == BEGUN
    added, group, produced = made.client.requests[-3:]
    assert sorted(added._topics) == [("intents", [1]), ("ledger", [0])]
    assert group._group_id == "group"
    assert produced._required_acks == -1
    assert produced._transactional_id == "group-in-3"
    ledger = read(made.client.written[LEDGER][0])
    assert (ledger.producer_id, ledger.producer_epoch, ledger.is_transactional) == (PRODUCER_ID, EPOCH, True)
    assert [each.value for each in ledger] == [b"1", b"2"]


async def test_a_transaction_may_hold_nothing_but_an_offset(make: Callable[..., Made]) -> None:
    """Gaps are committed so, and where a lane starts."""
    made = make()
    await made.begun()
    assert await made.producer.write({}) == {}
    assert made.client.said == ["AddOffsetsToTxn 1"]


async def test_a_transaction_without_a_group_moves_no_offset(make: Callable[..., Made]) -> None:
    """Requests for replays are written so."""
    made = make(group="")
    await made.begun()
    assert await made.producer.write({LEDGER: [batch(b"1")]}) == {LEDGER: [0]}
    await made.producer.commit()
    assert made.client.said == ["AddPartitionsToTxn 1", "Produce 5", "EndTxn 1"]


async def test_a_partition_is_added_as_soon_as_the_last_markers_are_written(make: Callable[..., Made]) -> None:
    """While they are not, it is asked again after the shortest of pauses."""
    made = make()
    await made.begun()
    made.client.orders["AddPartitionsToTxn"] = [refuse(ConcurrentTransactions), refuse(OperationNotAttempted)]
    await made.producer.write({LEDGER: [batch(b"1")]})
    assert made.pauses == [MARKERS_BACKOFF_S, MARKERS_BACKOFF_S]
    assert made.client.said == ["AddPartitionsToTxn 1", "AddPartitionsToTxn 1", *BEGUN]


async def test_nothing_is_written_to_a_partition_that_was_refused(make: Callable[..., Made]) -> None:
    """It would lie outside of the transaction, and no marker would ever end it."""
    made = make()
    await made.begun()
    made.client.orders["AddPartitionsToTxn"] = [refuse(TopicAuthorizationFailedError)]
    with pytest.raises(TopicAuthorizationFailedError):
        await made.producer.write({LEDGER: [batch(b"1")]})
    assert not made.client.written


async def test_who_is_fenced_hears_it_although_other_trouble_would_pass(make: Callable[..., Made]) -> None:
    """Of several partitions in one answer."""
    made = make()
    await made.begun()
    codes = [(0, ConcurrentTransactions.errno), (1, InvalidProducerEpoch.errno)]
    made.client.orders["AddPartitionsToTxn"] = [lambda _: SimpleNamespace(errors=[("ledger", codes)])]
    with pytest.raises(InvalidProducerEpoch):
        await made.producer.write({LEDGER: [batch(b"1")]})


async def test_the_longest_pause_counts(make: Callable[..., Made]) -> None:
    """Of what several partitions need."""
    made = make()
    await made.begun()
    codes = [(0, NotCoordinatorError.errno), (1, ConcurrentTransactions.errno)]
    made.client.orders["AddPartitionsToTxn"] = [lambda _: SimpleNamespace(errors=[("ledger", codes)])]
    await made.producer.write({LEDGER: [batch(b"1")]})
    assert made.pauses == [RETRY_BACKOFF_S]


@pytest.mark.parametrize(
    "trouble",
    [CUT, unwritten(NotLeaderForPartitionError), lambda _: SimpleNamespace(topics=[])],
    ids=["the answer is lost", "another one leads", "an answer without it"],
)
async def test_what_is_not_surely_written_is_written_again(make: Callable[..., Made], trouble: Any) -> None:
    """The same bytes, to whoever leads then: brokers know a copy."""
    made = make()
    await made.begun()
    made.client.orders["Produce"] = [trouble]
    made.client.on_refresh = lambda: made.client.leaders.update({LEDGER: 6})
    assert await made.producer.write({LEDGER: [batch(b"1")]}) == {LEDGER: [0]}
    first, second = made.client.requested("Produce")
    assert first._topics == second._topics
    assert [said for said in made.client.said if said.startswith("Produce")] == ["Produce 5", "Produce 6"]
    assert made.pauses == [RETRY_BACKOFF_S]


@pytest.mark.parametrize("nobody", [None, -1])
async def test_a_partition_that_nobody_leads_is_waited_for(make: Callable[..., Made], nobody: int | None) -> None:
    """What others lead is written meanwhile."""
    made = make()
    await made.begun()
    made.client.leaders[LEDGER] = nobody
    made.client.on_refresh = lambda: made.client.leaders.update({LEDGER: 6})
    assert await made.producer.write({LEDGER: [batch(b"1")], INTENTS: [batch(b"2")]}) == {LEDGER: [0], INTENTS: [0]}
    assert made.client.said[2:] == ["Produce 5", "Produce 6"]


async def test_of_one_partition_one_batch_is_under_way(make: Callable[..., Made]) -> None:
    """The next one follows when that is written; numbers go on in the next transaction."""
    made = make()
    await made.begun()
    written = await made.producer.write({LEDGER: [batch(b"1", b"2"), batch(b"3")], INTENTS: [batch(b"i")]})
    assert written == {LEDGER: [0, 100], INTENTS: [0]}
    assert len(made.client.requested("Produce")) == 2
    await made.producer.write({LEDGER: [batch(b"4")]})
    assert [read(content).base_sequence for content in made.client.written[LEDGER]] == [0, 2, 3]
    assert [read(content).base_sequence for content in made.client.written[INTENTS]] == [0]


async def test_behind_the_last_number_comes_0(make: Callable[..., Made]) -> None:
    """As Kafka counts."""
    made = make()
    await made.begun()
    made.producer._sequences[LEDGER] = 2**31 - 1
    await made.producer.write({LEDGER: [batch(b"1")]})
    await made.producer.write({LEDGER: [batch(b"2")]})
    assert [read(content).base_sequence for content in made.client.written[LEDGER]] == [2**31 - 1, 0]


@pytest.mark.parametrize(
    "trouble", [KafkaError(), unwritten(MessageSizeTooLargeError), unwritten(InvalidProducerEpoch)]
)
async def test_a_batch_that_is_refused_is_not_written(make: Callable[..., Made], trouble: Any) -> None:
    """The cause says why."""
    made = make()
    await made.begun()
    made.client.orders["Produce"] = [trouble]
    with pytest.raises(NotWrittenError) as raised:
        await made.producer.write({LEDGER: [batch(b"1")]})
    assert isinstance(raised.value.__cause__, KafkaError)
    assert made.pauses == []


async def test_the_first_that_fails_ends_what_is_asked_beside_it(make: Callable[..., Made]) -> None:
    """Nothing is under way any more when the failure is told."""
    made = make()
    await made.begun()
    ended: list[str] = []

    async def send(node: int, request: Any, group: Any = None) -> Any:
        if name_of(request) == "AddPartitionsToTxn":
            return made.client._AddPartitionsToTxn(request)
        if node == LEADERS[INTENTS]:
            raise MessageSizeTooLargeError
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append(f"{name_of(request)} {node}")

    made.client.send = send  # type: ignore[method-assign]  # an instance's own
    made.client.leaders[LEDGER] = 6
    with pytest.raises(NotWrittenError):
        await made.producer.write({LEDGER: [batch(b"1")], INTENTS: [batch(b"2")]})
    assert sorted(ended) == ["AddOffsetsToTxn 1", "Produce 6"]


async def test_a_batch_is_full_some_time(make: Callable[..., Made], monkeypatch: pytest.MonkeyPatch) -> None:
    """The first record always fits; headers are kept; how many partitions there are is known."""
    monkeypatch.setattr(strict_producer, "MAX_BATCH_BYTES", 100)
    made = Batch()
    assert made.append(1, None, b"x" * 200, [("name", b"value")])
    assert not made.append(1, None, b"x", ())
    made.build(PRODUCER_ID, EPOCH, 0)
    (record,) = read(made.content)
    assert (record.value, list(record.headers), made.count) == (b"x" * 200, [("name", b"value")], 1)
    assert await make().producer.partitions_of("ledger") == 3


# --- offset and end ---------------------------------------------------------------------------------------------


async def test_the_offset_goes_to_the_groups_coordinator(make: Callable[..., Made]) -> None:
    """Once, with its metadata."""
    made = make()
    await made.begun()
    await made.moved()
    assert made.client.said == ["group's coordinator", "TxnOffsetCommit 2"]
    (request,) = made.client.requested("TxnOffsetCommit")
    assert request._topics == [("in", [(3, 8, "metadata")])]
    assert (request._group_id, request._producer_id, request._producer_epoch) == ("group", PRODUCER_ID, EPOCH)


async def test_an_offset_that_was_refused_may_be_sent_again_after_a_pause(make: Callable[..., Made]) -> None:
    """An answer came, so no copy is on its way."""
    made = make()
    await made.begun()
    made.client.nodes[CoordinationType.GROUP] = [2, 3]
    made.client.orders["TxnOffsetCommit"] = [refuse(NotCoordinatorError)]
    await made.moved()
    assert made.client.said[1::2] == ["TxnOffsetCommit 2", "TxnOffsetCommit 3"]
    assert made.pauses == [RETRY_BACKOFF_S]


@pytest.mark.parametrize("error", [CUT, ConnectionResetError()])
async def test_an_offset_without_an_answer_is_not_sent_again(make: Callable[..., Made], error: Exception) -> None:
    """A late copy could put it back under the next transaction."""
    made = make()
    await made.begun()
    made.client.orders["TxnOffsetCommit"] = [error]
    with pytest.raises(AnswerLostError, match=f"TxnOffsetCommitRequest: {type(error).__name__}"):
        await made.moved()
    assert len(made.client.requested("TxnOffsetCommit")) == 1


async def test_a_clear_yes_ends_the_transaction(make: Callable[..., Made]) -> None:
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
async def test_an_end_without_a_clear_yes_is_not_asked_for_again(
    make: Callable[..., Made], answer: Any, why: str
) -> None:
    """A second EndTxn could end the next transaction."""
    made = make()
    await made.begun()
    made.client.orders["EndTxn"] = [answer]
    with pytest.raises(AnswerLostError, match=why):
        await made.producer.commit()
    assert made.client.said == ["EndTxn 1"]


async def test_who_is_fenced_can_not_commit(make: Callable[..., Made]) -> None:
    """That is no doubt about an answer."""
    made = make()
    await made.begun()
    made.client.orders["EndTxn"] = [refuse(InvalidProducerEpoch)]
    with pytest.raises(InvalidProducerEpoch):
        await made.producer.commit()


# --- letting go -------------------------------------------------------------------------------------------------


async def test_letting_go_loses_what_connections_buffer(make: Callable[..., Made]) -> None:
    """A connection that is not open has nothing."""
    made, aborted = make(), list[int]()

    def connection(number: int) -> Any:
        return SimpleNamespace(_writer=SimpleNamespace(transport=SimpleNamespace(abort=lambda: aborted.append(number))))

    made.client._conns = {1: connection(1), 2: SimpleNamespace(_writer=None), 3: connection(3)}
    await made.producer.let_go()
    assert aborted == [1, 3]
    assert made.client.closed == 1
