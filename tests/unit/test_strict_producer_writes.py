"""The strict producer without a Kafka: what a transaction holds, what is written again, and what is not written."""

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import (
    ConcurrentTransactions,
    InvalidProducerEpoch,
    KafkaError,
    MessageSizeTooLargeError,
    NotCoordinatorError,
    NotLeaderForPartitionError,
    OperationNotAttempted,
    TopicAuthorizationFailedError,
)

from gateway.kafka import strict_producer
from gateway.kafka.connection import RETRY_BACKOFF_S
from gateway.kafka.strict_producer import MARKERS_BACKOFF_S, Batch, NotWrittenError
from tests.strict_world import (
    BEGUN,
    CUT,
    EPOCH,
    INTENTS,
    LEADERS,
    LEDGER,
    PRODUCER_ID,
    Make,
    batch,
    making,
    name_of,
    read,
    refuse,
    unwritten,
)


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """A producer and its client."""
    with making(monkeypatch) as made:
        yield made


async def test_all_partitions_are_in_the_transaction_before_anything_is_written(make: Make) -> None:
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


async def test_a_transaction_may_hold_nothing_but_an_offset(make: Make) -> None:
    """Gaps are committed so, and where a lane starts."""
    made = make()
    await made.begun()
    assert await made.producer.write({}) == {}
    assert made.client.said == ["AddOffsetsToTxn 1"]


async def test_a_transaction_without_a_group_moves_no_offset(make: Make) -> None:
    """Requests for replays are written so."""
    made = make(group="")
    await made.begun()
    assert await made.producer.write({LEDGER: [batch(b"1")]}) == {LEDGER: [0]}
    await made.producer.commit()
    assert made.client.said == ["AddPartitionsToTxn 1", "Produce 5", "EndTxn 1"]


async def test_a_partition_is_added_as_soon_as_the_last_markers_are_written(make: Make) -> None:
    """While they are not, it is asked again after the shortest of pauses."""
    made = make()
    await made.begun()
    made.client.orders["AddPartitionsToTxn"] = [refuse(ConcurrentTransactions), refuse(OperationNotAttempted)]
    await made.producer.write({LEDGER: [batch(b"1")]})
    assert made.pauses == [MARKERS_BACKOFF_S, MARKERS_BACKOFF_S]
    assert made.client.said == ["AddPartitionsToTxn 1", "AddPartitionsToTxn 1", *BEGUN]


async def test_nothing_is_written_to_a_partition_that_was_refused(make: Make) -> None:
    """It would lie outside of the transaction, and no marker would ever end it."""
    made = make()
    await made.begun()
    made.client.orders["AddPartitionsToTxn"] = [refuse(TopicAuthorizationFailedError)]
    with pytest.raises(TopicAuthorizationFailedError):
        await made.producer.write({LEDGER: [batch(b"1")]})
    assert not made.client.written


async def test_who_is_fenced_hears_it_although_other_trouble_would_pass(make: Make) -> None:
    """Of several partitions in one answer."""
    made = make()
    await made.begun()
    codes = [("ledger", [(0, ConcurrentTransactions.errno)]), ("intents", [(1, InvalidProducerEpoch.errno)])]
    made.client.orders["AddPartitionsToTxn"] = [lambda _: SimpleNamespace(errors=codes)]
    with pytest.raises(InvalidProducerEpoch):
        await made.producer.write({LEDGER: [batch(b"1")], INTENTS: [batch(b"2")]})


async def test_a_partition_of_which_the_answer_says_nothing_is_added_again(make: Make) -> None:
    """It is not surely in the transaction."""
    made = make()
    await made.begun()
    made.client.orders["AddPartitionsToTxn"] = [lambda _: SimpleNamespace(errors=[("ledger", [(0, 0)])])]
    await made.producer.write({LEDGER: [batch(b"1")], INTENTS: [batch(b"2")]})
    assert made.client.said == ["AddPartitionsToTxn 1", "transaction's coordinator", *BEGUN]


async def test_the_longest_pause_counts(make: Make) -> None:
    """Of what several partitions need."""
    made = make()
    await made.begun()
    codes = [("ledger", [(0, NotCoordinatorError.errno)]), ("intents", [(1, ConcurrentTransactions.errno)])]
    made.client.orders["AddPartitionsToTxn"] = [lambda _: SimpleNamespace(errors=codes)]
    await made.producer.write({LEDGER: [batch(b"1")], INTENTS: [batch(b"2")]})
    assert made.pauses == [RETRY_BACKOFF_S]


@pytest.mark.parametrize(
    "trouble",
    [CUT, unwritten(NotLeaderForPartitionError), lambda _: SimpleNamespace(topics=[])],
    ids=["the answer is lost", "another one leads", "an answer without it"],
)
async def test_what_is_not_surely_written_is_written_again(make: Make, trouble: Any) -> None:
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
async def test_a_partition_that_nobody_leads_is_waited_for(make: Make, nobody: int | None) -> None:
    """What others lead is written meanwhile."""
    made = make()
    await made.begun()
    made.client.leaders[LEDGER] = nobody
    assert not made.client.followed
    made.client.on_refresh = lambda: made.client.leaders.update({LEDGER: 6})
    assert await made.producer.write({LEDGER: [batch(b"1")], INTENTS: [batch(b"2")]}) == {LEDGER: [0], INTENTS: [0]}
    assert made.client.said[2:] == ["Produce 5", "Produce 6"]
    assert made.client.followed == {"ledger"}


async def test_of_one_partition_one_batch_is_under_way(make: Make) -> None:
    """The next one follows when that is written; numbers go on in the next transaction."""
    made = make()
    await made.begun()
    written = await made.producer.write({LEDGER: [batch(b"1", b"2"), batch(b"3")], INTENTS: [batch(b"i")]})
    assert written == {LEDGER: [0, 100], INTENTS: [0]}
    assert len(made.client.requested("Produce")) == 2
    await made.producer.write({LEDGER: [batch(b"4")]})
    assert [read(content).base_sequence for content in made.client.written[LEDGER]] == [0, 2, 3]
    assert [read(content).base_sequence for content in made.client.written[INTENTS]] == [0]


async def test_behind_the_last_number_comes_0(make: Make) -> None:
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
async def test_a_batch_that_is_refused_is_not_written(make: Make, trouble: Any) -> None:
    """The cause says why."""
    made = make()
    await made.begun()
    made.client.orders["Produce"] = [trouble]
    with pytest.raises(NotWrittenError) as raised:
        await made.producer.write({LEDGER: [batch(b"1")]})
    assert isinstance(raised.value.__cause__, KafkaError)
    assert made.pauses == []


async def test_a_batch_that_lies_nowhere_is_not_written(make: Make) -> None:
    """Where an intent lies is committed."""
    made = make()
    await made.begun()
    made.client.orders["Produce"] = [lambda _: SimpleNamespace(topics=[("ledger", [(0, 0, -1)])])]
    with pytest.raises(NotWrittenError):
        await made.producer.write({LEDGER: [batch(b"1")]})


async def test_who_is_cancelled_while_several_are_asked_leaves_none_of_them(make: Make) -> None:
    """As by the bound of a step."""
    made = make()
    await made.begun()
    ended: list[str] = []

    async def send(node: int, request: Any, group: Any = None) -> Any:
        if name_of(request) == "AddPartitionsToTxn":
            return made.client._AddPartitionsToTxn(request)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append(name_of(request))

    made.client.send = send  # type: ignore[method-assign]  # an instance's own
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await made.producer.write({LEDGER: [batch(b"1")]})
    assert sorted(ended) == ["AddOffsetsToTxn", "Produce"]


async def test_the_first_that_fails_ends_what_is_asked_beside_it(make: Make) -> None:
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
    assert (task := asyncio.current_task()) is not None
    assert not task.cancelling(), "whoever called was told to stop"


async def test_a_batch_is_full_some_time(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first record always fits; headers are kept; how many partitions there are is known."""
    monkeypatch.setattr(strict_producer, "MAX_BATCH_BYTES", 100)
    made = Batch()
    assert made.append(1, None, b"x" * 200, [("name", b"value")])
    assert not made.append(1, None, b"x", ())
    made.build(PRODUCER_ID, EPOCH, 0)
    (record,) = read(made.content)
    assert (record.value, list(record.headers), made.count) == (b"x" * 200, [("name", b"value")], 1)
    assert await make().producer.partitions_of("ledger") == 3
