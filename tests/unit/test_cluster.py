"""What the brokers say of topics, read without a Kafka: what is no answer is asked again or told."""

from io import BytesIO
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from aiokafka.errors import LeaderNotAvailableError, UnknownTopicOrPartitionError
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.structs import TopicPartition

from gateway.kafka import connection
from gateway.kafka.cluster import (
    LATEST,
    NO_OFFSET,
    TopicMissingError,
    began_at,
    describe_once,
    list_offsets,
    list_offsets_once,
)
from gateway.kafka.requests import TopicsResponseV12
from gateway.kafka.troubles import PassingError

ZERO, ONE = TopicPartition("in", 0), TopicPartition("in", 1)
ID = UUID(int=7)


class Client:
    """Two partitions with a leader each; a code for the topic."""

    def __init__(self) -> None:
        self.code = 0
        self.leaders = {0: 1, 1: 2}
        self.offsets = {0: (0, 5), 1: (0, 9)}  # code and offset
        self.asked: list[tuple[int, type[object]]] = []

    def get_random_node(self) -> int:
        return 1

    async def send(self, node: int, request: Any) -> Any:
        self.asked.append((node, type(request)))
        if isinstance(request, OffsetRequest):
            rows = [(n, code, 0, at) for n, (code, at) in self.offsets.items() if self.leaders.get(n) == node]
            return SimpleNamespace(topics=[("in", rows)])
        partitions = [(0, number, leader, 0, [1, 2]) for number, leader in self.leaders.items()]
        return SimpleNamespace(
            topics=[(self.code, "in", ID, False, partitions)], cluster_id="c", brokers=[(1, "h", 1), (2, "h", 2)]
        )


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(connection, "RETRY_BACKOFF_S", 0)
    return Client()


async def test_each_leader_is_asked_once(client: Any) -> None:
    """And what they say is put together."""
    assert (await describe_once(client, ["in"])).id == "c"
    del client.asked[:]
    assert await list_offsets(client, {ZERO: LATEST, ONE: LATEST}) == {ZERO: 5, ONE: 9}
    assert [node for node, kind in client.asked if kind is not OffsetRequest] == [1]
    assert sorted(node for node, kind in client.asked if kind is OffsetRequest) == [1, 2]


async def test_a_topic_that_does_not_exist_is_left_out_or_missing(client: Any) -> None:
    """Whoever asks for its offsets is told."""
    client.code = UnknownTopicOrPartitionError.errno
    assert (await describe_once(client, ["in"])).topics == {}
    with pytest.raises(TopicMissingError, match="no such topic: in"):
        await list_offsets(client, {ZERO: LATEST})


async def test_a_partition_without_a_leader_is_no_answer(client: Any) -> None:
    """It is about to have one."""
    client.leaders[1] = -1
    with pytest.raises(LeaderNotAvailableError):
        await describe_once(client, ["in"])


async def test_a_partition_that_is_not_known_yet_is_asked_for_again(client: Any) -> None:
    """It was just added, and this broker has not heard of it."""
    cluster = await describe_once(client, ["in"])
    with pytest.raises(UnknownTopicOrPartitionError):
        await list_offsets_once(client, cluster, {TopicPartition("in", 2): LATEST})


async def test_an_answer_that_leaves_a_partition_out_is_no_answer(client: Any) -> None:
    """A fence that took it for whole would not wait for the one left out."""
    cluster = await describe_once(client, ["in"])
    del client.offsets[1]
    with pytest.raises(PassingError):
        await list_offsets_once(client, cluster, {ZERO: LATEST, ONE: LATEST})


async def test_a_log_that_holds_nothing_began_at_no_time(client: Any) -> None:
    """The time of a first record that is not there would be taken for one of long ago."""
    client.offsets = {0: (0, 5), 1: (0, NO_OFFSET)}
    assert await began_at(client, [ZERO, ONE]) == {ZERO: 0}


def test_an_answer_is_decoded_again_once_it_changes() -> None:
    """A fence hears of a new leader or partition at once; the same bytes are decoded once."""

    def heard(*leaders: int) -> TopicsResponseV12:
        partitions = [(0, number, leader, 5, [1], [1], [], {}) for number, leader in enumerate(leaders)]
        topics = [(0, "in", ID, False, partitions, -1, {})]
        answer = TopicsResponseV12(0, [(1, "h", 1, None, {})], "c", 1, topics, {}).encode()
        return TopicsResponseV12.decode(BytesIO(answer))

    assert heard(1, 2) is heard(1, 2)
    for leaders in ((1, 2), (1, 3), (1, 3, 1), (1, 2)):
        ((_, name, number, _, partitions, _, _),) = heard(*leaders).topics
        assert (name, number, tuple(each[2] for each in partitions)) == ("in", ID, leaders)
