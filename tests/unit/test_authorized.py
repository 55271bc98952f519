"""What a user may do, asked of a broker that the test plays."""

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.client import CoordinationType
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    UnknownTopicOrPartitionError,
)
from aiokafka.protocol.admin import DescribeConfigsRequest

from gateway.kafka import connection
from gateway.kafka.acls import Acl, Kind, Operation
from gateway.kafka.authorized import lacking
from gateway.kafka.connection import KafkaRefusedError
from gateway.kafka.requests import TopicsRequest

LOADING = 14
READ, WRITE, DESCRIBE, CONFIGS = Operation.READ, Operation.WRITE, Operation.DESCRIBE, Operation.DESCRIBE_CONFIGS
TOPIC = [Acl(READ, Kind.TOPIC, "in"), Acl(WRITE, Kind.TOPIC, "in")]
GROUP = [Acl(READ, Kind.GROUP, "group")]
CLUSTER = [Acl(CONFIGS, Kind.CLUSTER, "kafka-cluster")]
TRANSACTIONS = [Acl(WRITE, Kind.TRANSACTIONAL_ID, "group-", prefixed=True)]
ALL = [*TOPIC, *GROUP, *CLUSTER, *TRANSACTIONS]


def bits(*operations: Operation) -> int:
    return sum(1 << operation.value for operation in operations)


class Client:
    """A broker that allows everything, unless the test says otherwise; codes are told once, one after the other."""

    def __init__(self) -> None:
        self.topic = [(0, bits(READ, WRITE, DESCRIBE))]
        self.group = [(0, bits(READ, DESCRIBE))]
        self.cluster = [0]
        self.transactional_id: Exception | None = None

    def get_random_node(self) -> int:
        return 1

    async def coordinator_lookup(self, kind: CoordinationType, key: str) -> int:
        if kind is CoordinationType.TRANSACTION:
            assert key == "group-check"
            if self.transactional_id is not None:
                raise self.transactional_id
        return 1

    async def send(self, node: int, request: Any) -> Any:
        if isinstance(request, TopicsRequest):
            assert set(request._topics) <= {"in"}, "what is no topic is not asked for as one"
            code, operations = _next(self.topic)
            return SimpleNamespace(topics=[(code, "in", None, False, [], operations, {})])
        if isinstance(request, DescribeConfigsRequest):
            return SimpleNamespace(resources=[(_next(self.cluster), "", 4, "1", [])])
        code, operations = _next(self.group)
        return SimpleNamespace(groups=[(code, "group", "Stable", "consumer", "", [], operations)])


def _next(told: list[Any]) -> Any:
    return told.pop(0) if len(told) > 1 else told[0]


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(connection, "RETRY_BACKOFF_S", 0)
    return Client()


async def test_who_may_do_everything_lacks_nothing(client: Any) -> None:
    """An error that passes is asked again."""
    client.topic.insert(0, (LOADING, 0))
    client.group.insert(0, (LOADING, 0))
    client.cluster.insert(0, LOADING)
    assert await lacking(client, ALL) == []


async def test_an_operation_that_is_not_in_the_mask_is_lacking(client: Any) -> None:
    """The others of the same topic are not."""
    client.topic = [(0, bits(READ))]
    client.group = [(0, bits(DESCRIBE))]
    assert await lacking(client, ALL) == [TOPIC[1], *GROUP]


async def test_what_may_not_even_be_described_lacks_everything(client: Any) -> None:
    """A refusal is an answer."""
    client.topic = [(TopicAuthorizationFailedError.errno, 0)]
    client.group = [(GroupAuthorizationFailedError.errno, 0)]
    client.cluster = [ClusterAuthorizationFailedError.errno]
    client.transactional_id = TransactionalIdAuthorizationFailed()
    assert await lacking(client, ALL) == ALL


async def test_a_topic_that_does_not_exist_refuses_nothing(client: Any) -> None:
    """Somebody else tells that it is missing."""
    client.topic = [(UnknownTopicOrPartitionError.errno, 0)]
    assert await lacking(client, TOPIC) == []


async def test_another_error_is_no_answer(client: Any) -> None:
    """It is told as it is."""
    client.cluster = [TopicAuthorizationFailedError.errno]
    with pytest.raises(KafkaRefusedError, match="TopicAuthorizationFailedError"):
        await lacking(client, CLUSTER)
