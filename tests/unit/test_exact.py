"""Records at exact offsets, picked from what a broker fetched, without a Kafka."""

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from aiokafka.errors import NotLeaderForPartitionError, OffsetOutOfRangeError
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.structs import TopicPartition

from gateway.kafka import connection, exact
from gateway.kafka.cluster import Cluster, Topic
from gateway.kafka.exact import READS_AT_ONCE, read_exact

NOTHING = b""
LEFT_OUT = -2  # an answer without the partition
CONTROL_BYTE = 22  # of a batch: the lower byte of its attributes


def batch(base: int, *values: bytes) -> bytes:
    """One batch as it lies in the log."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 10_000)
    for number, value in enumerate(values):
        builder.append(number, 5, b"key", value, [("h", b"1")])
    return base.to_bytes(8, "big") + bytes(builder.build())[8:]


class Client:
    """Answers each fetch with the next code and bytes; how many were asked at once."""

    def __init__(self, *answers: tuple[int, bytes], shown: int = 99) -> None:
        self.answers = list(answers)
        self.shown = shown  # up to where the leader shows records
        self.under_way = self.most = 0

    async def send(self, node: int, request: Any) -> Any:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        code, fetched = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if code == LEFT_OUT:
            return SimpleNamespace(topics=[])
        return SimpleNamespace(topics=[("intents", [(0, code, self.shown, self.shown, [], fetched)])])


@pytest.fixture(autouse=True)
def kafka(monkeypatch: pytest.MonkeyPatch) -> None:
    """One partition."""

    async def describe_once(client: object, names: list[str]) -> Cluster:
        return Cluster("c", (1,), {"intents": Topic("intents", UUID(int=1), {0: 1}, 1)})

    monkeypatch.setattr(exact, "describe_once", describe_once)
    monkeypatch.setattr(connection, "RETRY_BACKOFF_S", 0)


async def value_at(offset: int, *answers: tuple[int, bytes]) -> bytes | None:
    client: Any = Client(*answers)
    (found,) = await read_exact(client, [("intents", 0, offset)])
    return found.value if found else None


@pytest.mark.parametrize(("offset", "value"), [(5, b"a"), (6, b"b"), (7, b"c"), (8, None)])
async def test_the_record_at_exactly_this_offset_is_picked(offset: int, value: bytes | None) -> None:
    """A broker may give whole batches from before it."""
    assert await value_at(offset, (0, batch(5, b"a", b"b") + batch(7, b"c"))) == value


async def test_a_marker_is_no_record() -> None:
    """It ends a transaction, and readers never see it."""
    marker = bytearray(batch(5, b"a"))
    marker[CONTROL_BYTE] |= 0x20
    assert await value_at(5, (0, bytes(marker))) is None


async def test_an_offset_that_compaction_took_has_no_record() -> None:
    """The next batch is of later records."""
    assert await value_at(5, (0, batch(7, b"c"))) is None
    assert await value_at(5, (0, NOTHING)) is None


async def test_an_offset_outside_of_the_log_has_no_record() -> None:
    """That is an answer."""
    assert await value_at(5, (OffsetOutOfRangeError.errno, NOTHING)) is None


@pytest.mark.parametrize("code", [NotLeaderForPartitionError.errno, LEFT_OUT])
async def test_an_error_is_no_answer(code: int) -> None:
    """It is asked again; so it is when the partition was left out."""
    assert await value_at(5, (code, NOTHING), (0, batch(5, b"a"))) == b"a"


@pytest.mark.parametrize("place", [("intents", 1, 5), ("others", 0, 5)])
async def test_a_place_that_is_not_there_has_no_record(place: tuple[str, int, int]) -> None:
    """Neither the partition nor the topic."""
    client: Any = Client((0, batch(5, b"a")))
    assert await read_exact(client, [place]) == [None]


async def test_a_record_that_a_new_leader_does_not_show_yet_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not gone; what lies beyond the end of the log is."""
    client: Any = Client((0, NOTHING), (0, batch(5, b"a")), shown=5)
    asked: list[int] = []

    async def list_offsets_once(_: object, cluster: Cluster, times: Mapping[TopicPartition, int]) -> dict[Any, int]:
        asked.append(1)
        client.shown = 6
        return dict.fromkeys(times, 6)

    monkeypatch.setattr(exact, "list_offsets_once", list_offsets_once)
    (found,) = await read_exact(client, [("intents", 0, 5)])
    assert found is not None
    assert (found.value, asked) == (b"a", [1])
    assert await read_exact(client, [("intents", 0, 6)]) == [None]
    assert asked == [1, 1]


async def test_only_so_many_are_read_at_once() -> None:
    """A lane may have more live intents than a broker takes requests."""
    client: Any = Client((0, batch(5, b"a")))
    found = await read_exact(client, [("intents", 0, 5)] * (READS_AT_ONCE * 3))
    assert [each is not None for each in found] == [True] * (READS_AT_ONCE * 3)
    assert client.most == READS_AT_ONCE
