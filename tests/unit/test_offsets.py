"""What an OffsetFetch answer says, error codes included, and whether a group has members."""

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import GroupLoadInProgressError, KafkaError, NotCoordinatorForGroupError
from aiokafka.structs import TopicPartition

from gateway.kafka import connection
from gateway.kafka.offsets import (
    Committed,
    GroupInUseError,
    committed_in,
    fetch_all,
    fetch_committed,
    refuse_live_group,
)
from gateway.kafka.requests import StableOffsetsRequestV7, StableOffsetsResponseV7

LOADING, NOT_COORDINATOR, UNSTABLE = 14, 16, 88


def answer(top: int = 0, offset: int = 42, metadata: str | None = "m", code: int = 0) -> StableOffsetsResponseV7:
    partitions = [(3, offset, -1, metadata, code, {})]
    raw = StableOffsetsResponseV7(0, [("in", partitions, {})], top, {}).encode()
    return StableOffsetsResponseV7.decode(raw)


def test_an_offset_comes_with_its_metadata() -> None:
    """The plain case survives the wire."""
    assert committed_in(answer(), "in", 3) == Committed(42, "m")


def test_minus_one_alone_means_none() -> None:
    """Only offset -1 without any error says that nothing is committed."""
    assert committed_in(answer(offset=-1, metadata=""), "in", 3) is None


@pytest.mark.parametrize(
    ("top", "code", "error"),
    [
        (NOT_COORDINATOR, 0, NotCoordinatorForGroupError),
        (LOADING, 0, GroupLoadInProgressError),
        (0, LOADING, GroupLoadInProgressError),
        (UNSTABLE, 0, KafkaError),
        (0, UNSTABLE, KafkaError),
    ],
)
def test_an_error_beside_minus_one_is_not_none(top: int, code: int, error: type[KafkaError]) -> None:
    """While a coordinator moves or a transaction ends, offset -1 is no answer, and asking again is right."""
    with pytest.raises(error) as raised:
        committed_in(answer(top=top, offset=-1, metadata="", code=code), "in", 3)
    assert raised.value.retriable


def test_an_answer_without_the_partition_is_not_none() -> None:
    """An answer that leaves the partition out is asked again, as is one with no topics at all."""
    empty = StableOffsetsResponseV7(0, [], 0, {})
    for broken in (answer(), empty):
        with pytest.raises(KafkaError) as raised:
            committed_in(broken, "in", 4)
        assert raised.value.retriable


def test_an_error_that_stays_is_not_retried() -> None:
    """A refusal by authorization is raised as it is."""
    with pytest.raises(KafkaError) as raised:
        committed_in(answer(top=30, offset=-1), "in", 3)
    assert not raised.value.retriable


class Client:
    """Gives its answers one after the other."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    async def coordinator_lookup(self, kind: object, group: str) -> int:
        return 1

    async def send(self, node: int, request: object) -> Any:
        return self.answers.pop(0)


def described(state: str, code: int = 0) -> Any:
    return SimpleNamespace(groups=[(code, "group", state, "consumer", "", [])])


async def test_an_offset_is_asked_for_until_it_is_surely_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """A coordinator that loads says nothing."""
    monkeypatch.setattr(connection, "RETRY_BACKOFF_S", 0)
    client: Any = Client(answer(top=LOADING, offset=-1), answer())
    assert await fetch_committed(client, "group", "in", 3) == Committed(42, "m")


async def test_a_coordinator_is_told_to_refuse_until_a_transaction_has_ended() -> None:
    """A look beside a lane's owner does not ask for that."""
    asked: list[bool] = []

    class Asked(Client):
        async def send(self, node: int, request: Any) -> Any:
            asked.append(request.build(StableOffsetsRequestV7).require_stable)
            return await super().send(node, request)

    client: Any = Asked(answer(), answer())
    await fetch_committed(client, "group", "in", 3)
    await fetch_all(client, "group", [TopicPartition("in", 3)], stable=False)
    assert asked == [True, False]


@pytest.mark.parametrize("told", [described("Empty"), described("Dead"), described(""), described("", 69)])
async def test_a_group_without_members_may_be_changed(told: Any) -> None:
    """Also one that there is not."""
    client: Any = Client(told)
    await refuse_live_group(client, "group")


@pytest.mark.parametrize("state", ["Stable", "PreparingRebalance", "CompletingRebalance"])
async def test_a_group_with_members_is_theirs(monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    """An error is no answer: it is asked again."""
    monkeypatch.setattr(connection, "RETRY_BACKOFF_S", 0)
    client: Any = Client(described("", NOT_COORDINATOR), described(state))
    with pytest.raises(GroupInUseError, match=f"group group is in state {state}"):
        await refuse_live_group(client, "group")
