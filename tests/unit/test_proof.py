"""An offset is believed beside what was committed just before, and else not."""

from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from aiokafka.structs import TopicPartition

from gateway.kafka import proof
from gateway.kafka.cluster import Cluster, Topic, TopicMissingError
from gateway.kafka.connection import KafkaUnavailableError
from gateway.kafka.offsets import Committed
from gateway.kafka.proof import TRIES, fetch_proven

LANE = TopicPartition("in", 7)
PLACE = TopicPartition("intents", 1)  # the lane's partition, counted round those that there are
AT = Committed(42, "m")


class Coordinator:
    """Shows what it has read: of what is committed now everything, unless `shows` says what it shows instead."""

    def __init__(self, *shows: dict[TopicPartition, Committed | None]) -> None:
        self.there = True
        self.committed: dict[TopicPartition, Committed | None] = {LANE: AT}
        self.calls: list[str] = []
        self.shows = list(shows)

    async def describe(self, client: object, names: list[str]) -> Cluster:
        topics = {"intents": Topic("intents", UUID(int=1), {0: 1, 1: 1, 2: 1}, 1)} if self.there else {}
        return Cluster("c", (1,), topics)

    async def begin_and_produce(self, records: object) -> None:
        self.calls.append("begin")
        assert records == []

    async def commit(self, group: str, topic: str, partition: int, offset: int, metadata: str) -> None:
        self.calls.append("commit")
        assert group == "group"
        self.committed[TopicPartition(topic, partition)] = Committed(offset, metadata)

    async def fetch_all(
        self, client: object, group: str, places: Any, *, seconds: float = 0, stable: bool = True
    ) -> Any:
        self.calls.append("fetch")
        assert (group, stable) == ("group", True)
        assert set(places) <= {LANE, PLACE}
        return self.shows.pop(0) if self.shows else dict(self.committed)


async def fetched(coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch) -> Committed | None:
    monkeypatch.setattr(proof, "describe", coordinator.describe)
    monkeypatch.setattr(proof, "fetch_all", coordinator.fetch_all)
    producer: Any = coordinator
    client: Any = SimpleNamespace()
    return await fetch_proven(client, producer, "group", LANE, "intents")


async def test_an_offset_counts_beside_the_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one answer, and of transactions that are ended."""
    coordinator = Coordinator()
    assert await fetched(coordinator, monkeypatch) == AT
    assert coordinator.calls == ["begin", "commit", "fetch"]


async def test_none_counts_beside_the_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lane may be new."""
    coordinator = Coordinator()
    coordinator.committed[LANE] = None
    assert await fetched(coordinator, monkeypatch) is None


@pytest.mark.parametrize(
    "shown",
    [
        {LANE: Committed(7, "old"), PLACE: None},
        {LANE: None, PLACE: None},
        {LANE: Committed(7, "old"), PLACE: Committed(0, "what an opening before it had committed")},
    ],
)
async def test_an_offset_without_the_proof_is_not_believed(
    monkeypatch: pytest.MonkeyPatch, shown: dict[TopicPartition, Committed | None]
) -> None:
    """The coordinator has not read so far, or another lane wrote over it: the whole is done again."""
    coordinator = Coordinator(shown, shown)
    assert await fetched(coordinator, monkeypatch) == AT
    assert coordinator.calls == ["begin", "commit", "fetch"] * 3


async def test_a_coordinator_that_never_shows_it_gives_no_offset(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not waited for without end."""
    coordinator = Coordinator(*[{LANE: AT, PLACE: None}] * (TRIES + 1))
    with pytest.raises(KafkaUnavailableError, match=r"in:7.*does not show"):
        await fetched(coordinator, monkeypatch)
    assert coordinator.calls.count("fetch") == TRIES


async def test_without_the_topic_there_is_no_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    """And no lane."""
    coordinator = Coordinator()
    coordinator.there = False
    with pytest.raises(TopicMissingError, match="intents"):
        await fetched(coordinator, monkeypatch)
