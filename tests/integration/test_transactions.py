"""The lane's producer against a real broker, with answers that get lost on the way."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.transaction import EndTxnRequest, TxnOffsetCommitRequest
from aiokafka.structs import TopicPartition

from gateway.kafka.connection import KafkaConnection
from gateway.kafka.offsets_log import Committed
from gateway.kafka.transactions import Doubt, Doubtful, Fenced, LaneProducer, Outgoing
from tests.coordinator_offsets import fetch_committed
from tests.integration.conftest import MakeTopic

BOUND_S = 20


class Lane:
    """The names of one lane of a test."""

    def __init__(self, connection: KafkaConnection, prefix: str, ledger: str, source: str) -> None:
        self.connection = connection
        self.group = f"{prefix}group"
        self.ledger = ledger
        self.source = source

    async def producer(self, group: str = "") -> LaneProducer:
        made = LaneProducer(self.connection, f"{self.group}-lane", group or self.group)
        await made.take_over()
        return made

    async def settle(self, producer: LaneProducer, value: bytes, offset: int) -> None:
        await producer.begin_and_produce([Outgoing(self.ledger, 0, b"key", value)])
        await producer.commit(self.source, 0, offset, f"metadata {offset}")

    async def committed(self) -> Committed | None:
        async with self.connection.client() as client:
            return await fetch_committed(client, self.group, self.source, 0)

    async def ledger_values(self) -> list[bytes]:
        """All that a read_committed reader is given, up to a record written behind it."""
        partition = TopicPartition(self.ledger, 0)
        end = await self.producer(f"{self.group}-end")
        await end.begin_and_produce([Outgoing(self.ledger, 0, b"key", b"end")])
        await end.commit(self.source, 0, 0, "")
        await end.drop()
        consumer = AIOKafkaConsumer(**self.connection.kwargs(), isolation_level="read_committed")
        consumer.assign([partition])
        await consumer.start()
        try:
            await consumer.seek_to_beginning(partition)
            values: list[bytes] = []
            async with asyncio.timeout(BOUND_S):
                while not values or values[-1] != b"end":
                    values.append((await consumer.getone()).value)
        finally:
            await consumer.stop()
        return values[:-1]


@pytest.fixture
async def lane(kafka: str, prefix: str, make_topic: MakeTopic) -> Lane:
    """A lane with a ledger and an input topic of its own."""
    ledger, source = await make_topic("ledger", 3), await make_topic("in")
    return Lane(KafkaConnection(kafka, f"{prefix}test"), prefix, ledger, source)


Intercept = Callable[[type[object], Callable[[AIOKafkaConnection, object], object]], None]


@pytest.fixture
def intercept(monkeypatch: pytest.MonkeyPatch) -> Intercept:
    """`intercept(Request, do)`: the first such request on any connection goes to `do` instead of to the broker."""
    plain = AIOKafkaConnection.send

    def set_up(kind: type[object], do: Callable[[AIOKafkaConnection, object], object]) -> None:
        first = True

        def send(self: AIOKafkaConnection, request: object, expect_response: bool = True) -> object:
            nonlocal first
            if isinstance(request, kind) and first:
                first = False
                return do(self, request)
            return plain(self, request, expect_response=expect_response)

        monkeypatch.setattr(AIOKafkaConnection, "send", send)

    set_up.plain = plain  # type: ignore[attr-defined]
    return set_up


async def _lost(connection: AIOKafkaConnection, request: object) -> None:
    """The connection breaks before the request is answered; whether it arrived stays open."""
    raise KafkaConnectionError("the connection broke")


async def test_records_and_offset_commit_together(lane: Lane) -> None:
    """A clear success leaves the records, the offset and its metadata, and says where each record lies."""
    producer = await lane.producer()
    records = [Outgoing(lane.ledger, None, f"subject-{number}".encode(), b"%d" % number) for number in range(50)]
    produced = await producer.begin_and_produce([*records, Outgoing(lane.ledger, 0, None, b"last")])
    await producer.commit(lane.source, 0, 7, "our metadata")
    await producer.drop()
    assert await lane.committed() == Committed(7, "our metadata")
    assert len(produced) == 51
    assert len({(place.partition, place.offset) for place in produced}) == 51
    ours = [record.value for record, place in zip(records, produced[:-1], strict=True) if place.partition == 0]
    assert await lane.ledger_values() == [*ours, b"last"]


async def test_a_batch_beyond_the_message_size_is_split(lane: Lane) -> None:
    """Records of 3 MB for one partition arrive whole and in order although no message may be so large."""
    producer = await lane.producer()
    values = [bytes([number]) * 100_000 for number in range(30)]
    produced = await producer.begin_and_produce([Outgoing(lane.ledger, 0, b"k", value) for value in values])
    await producer.commit(lane.source, 0, 1, "")
    await producer.drop()
    assert [place.offset for place in produced] == list(range(30))
    assert await lane.ledger_values() == values


async def test_a_lost_answer_to_endtxn_is_doubtful(lane: Lane, intercept: Intercept) -> None:
    """aiokafka would send EndTxn again and call it a success; here it is doubt, and nothing more goes out."""
    sent = []

    async def arrives_unanswered(connection: AIOKafkaConnection, request: object) -> None:
        sent.append(request)
        with suppress(TimeoutError):
            await intercept.plain(connection, request)  # type: ignore[attr-defined]
        raise KafkaConnectionError("the connection broke")

    producer = await lane.producer()
    intercept(EndTxnRequest, arrives_unanswered)
    with pytest.raises(Doubtful) as raised:
        await lane.settle(producer, b"first", 1)
    assert raised.value.doubt is Doubt.ANSWER_LOST
    with pytest.raises(Doubtful) as again:
        await lane.settle(producer, b"second", 2)
    assert again.value.doubt is Doubt.ALREADY
    await producer.drop()
    assert len(sent) == 1
    assert await lane.ledger_values() == [b"first"]  # it had arrived: doubt, not failure
    assert await lane.committed() == Committed(1, "metadata 1")


async def test_a_late_endtxn_ends_no_later_transaction(lane: Lane, intercept: Intercept) -> None:
    """An EndTxn that reaches the broker only after the lane was taken over commits nothing of the next owner."""
    late: list[EndTxnRequest] = []

    async def delayed(connection: AIOKafkaConnection, request: EndTxnRequest) -> None:
        late.append(request)
        raise KafkaConnectionError("the connection broke")

    producer = await lane.producer()
    intercept(EndTxnRequest, delayed)
    with pytest.raises(Doubtful):
        await lane.settle(producer, b"first", 1)
    await producer.drop()
    heir = await lane.producer()
    await heir.begin_and_produce([Outgoing(lane.ledger, 0, b"key", b"second")])
    async with lane.connection.client() as client:
        answer = await client.send(client.get_random_node(), late[0])
    assert answer.error_code != 0
    await heir.drop()
    assert await lane.ledger_values() == []
    assert await lane.committed() is None


async def test_a_lost_answer_to_the_offsets_is_doubtful(lane: Lane, intercept: Intercept) -> None:
    """A TxnOffsetCommit on its way could put the next transaction's offset back, so it is never sent twice."""
    producer = await lane.producer()
    intercept(TxnOffsetCommitRequest, _lost)
    with pytest.raises(Doubtful) as raised:
        await lane.settle(producer, b"first", 1)
    assert raised.value.doubt is Doubt.ANSWER_LOST
    await producer.drop()
    assert await lane.ledger_values() == []
    assert await lane.committed() is None


async def test_a_failed_produce_is_never_committed(lane: Lane) -> None:
    """One record that the broker refuses makes the transaction doubtful before any commit."""
    producer = await lane.producer()
    with pytest.raises(Doubtful) as raised:
        await producer.begin_and_produce(
            [Outgoing(lane.ledger, 0, b"key", b"fine"), Outgoing(lane.ledger, 1, b"key", b"x" * 2_000_000)]
        )
    assert raised.value.doubt is Doubt.NOT_WRITTEN
    with pytest.raises(Doubtful):
        await producer.commit(lane.source, 0, 1, "")
    await producer.drop()
    assert await lane.ledger_values() == []


async def test_an_older_owner_is_fenced(lane: Lane) -> None:
    """After another owner has taken over, the old one can neither produce nor commit."""
    for late in ("produce", "commit"):
        old = await lane.producer()
        await lane.settle(old, b"first", 1)
        if late == "commit":
            await old.begin_and_produce([Outgoing(lane.ledger, 0, b"key", b"stale")])
        new = await lane.producer()
        with pytest.raises(Fenced):
            if late == "produce":
                await old.begin_and_produce([Outgoing(lane.ledger, 0, b"key", b"stale")])
            else:
                await old.commit(lane.source, 0, 99, "stale")
        await old.drop()
        assert new.epoch > 0
        await new.drop()
    assert await lane.committed() == Committed(1, "metadata 1")
    assert b"stale" not in await lane.ledger_values()


async def test_a_cancelled_commit_is_doubtful_and_drop_ends_soon(lane: Lane, intercept: Intercept) -> None:
    """With a broker that never answers, the commit can be cancelled and the producer dropped without hanging."""
    asked = asyncio.Event()

    async def never(connection: AIOKafkaConnection, request: object) -> None:
        asked.set()
        await asyncio.Event().wait()

    producer = await lane.producer()
    intercept(EndTxnRequest, never)
    committing = asyncio.create_task(lane.settle(producer, b"first", 1))
    async with asyncio.timeout(BOUND_S):
        await asked.wait()
        committing.cancel()
        with suppress(asyncio.CancelledError):
            await committing
        with pytest.raises(Doubtful) as raised:
            await lane.settle(producer, b"second", 2)
        assert raised.value.doubt is Doubt.ALREADY
        await producer.drop()
        await producer.drop()
    assert not [task for task in asyncio.all_tasks() if "strict_producer.py" in repr(task)]
    assert await lane.ledger_values() == []
