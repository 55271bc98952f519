"""Records at exact offsets, picked from what a broker fetched, without a Kafka."""

import asyncio
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from aiokafka.errors import CorruptRecordException, NotLeaderForPartitionError, OffsetOutOfRangeError
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import TopicPartition

from gateway.kafka import connection, exact
from gateway.kafka.cluster import EARLIEST, LATEST, Cluster, Topic
from gateway.kafka.connection import KafkaUnavailableError
from gateway.kafka.exact import NEAR, ONE_BYTES, PARTITIONS_AT_ONCE, RUN_BYTES, read_batches, read_exact, read_many
from gateway.kafka.troubles import PassingError

NOTHING = b""
LEFT_OUT = -2  # an answer without the partition
CRC, CRC_ED = 17, 21  # where a batch says its checksum, and from where on it is one of
CONTROL_BYTE, CONTROL = 22, 0x20  # of a batch: the lower byte of its attributes
ABORT, COMMIT = b"\0\0\0\0", b"\0\0\0\1"  # keys of markers


def batch(base: int, *values: bytes, producer: int = -1, marker: bytes | None = None) -> bytes:
    """One batch as it lies in the log: of a transaction if it has a producer; or a marker that ends one."""
    transactional = producer >= 0
    builder = DefaultRecordBatchBuilder(2, 0, transactional, producer, 0 if transactional else -1, -1, 10_000)
    for number, value in enumerate(values or (b"",)):
        builder.append(number, 5, b"key" if marker is None else marker, value, [("h", b"1")])
    built = bytearray(base.to_bytes(8, "big") + bytes(builder.build())[8:])
    if marker is not None:
        built[CONTROL_BYTE] |= CONTROL
    built[CRC:CRC_ED] = calc_crc32c(bytes(built[CRC_ED:])).to_bytes(4, "big")
    return bytes(built)


class Client:
    """Answers each fetch with the next code and bytes; how many were asked at once."""

    def __init__(
        self, *answers: tuple[int, bytes], shown: int = 99, stable: int = 99, aborted: Sequence[tuple[int, int]] = ()
    ) -> None:
        self.answers = list(answers)
        self.shown = shown  # up to where the leader shows records
        self.stable = stable  # and up to where to committed readers
        self.aborted = list(aborted)
        self.asked: list[tuple[int, int, int]] = []  # partition, offset, most bytes
        self.under_way = self.most = 0

    async def send(self, node: int, request: Any) -> Any:
        ((topic, [place]),) = request.topics
        self.asked.append(place)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        code, fetched = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if code == LEFT_OUT:
            return SimpleNamespace(topics=[])
        told = (place[0], code, self.shown, self.stable, -1, self.aborted, -1, fetched)
        return SimpleNamespace(topics=[(topic, [told])])


@pytest.fixture(autouse=True)
def kafka(monkeypatch: pytest.MonkeyPatch) -> None:
    """A topic of many partitions; `others` and partition 99 are not there."""

    async def describe_once(client: object, names: list[str]) -> Cluster:
        return Cluster("c", (1,), {"intents": Topic("intents", UUID(int=1), dict.fromkeys(range(99), 1), 1)})

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
    assert await value_at(5, (0, batch(5, producer=1, marker=COMMIT))) is None


async def test_an_offset_that_compaction_took_has_no_record() -> None:
    """The next batch is of later records."""
    assert await value_at(5, (0, batch(7, b"c"))) is None
    assert await value_at(5, (0, NOTHING)) is None


async def test_an_offset_outside_of_the_log_has_no_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """That is an answer; what lies behind the log's beginning is still read, and beyond its end nothing is asked."""
    bounds = bound_by(monkeypatch, {EARLIEST: 7})
    client: Any = Client(
        (OffsetOutOfRangeError.errno, NOTHING), (0, batch(7, b"c")), (OffsetOutOfRangeError.errno, NOTHING)
    )
    places = [("intents", 0, offset) for offset in (5, 6, 7, 200, 900)]
    found = await read_exact(client, places)
    assert [each and each.value for each in found] == [None, None, b"c", None, None]
    assert [offset for _, offset, _ in client.asked] == [5, 7, 200]
    assert bounds == [(EARLIEST, False)] * 2


@pytest.mark.parametrize("code", [NotLeaderForPartitionError.errno, LEFT_OUT])
async def test_an_error_is_no_answer(code: int) -> None:
    """It is asked again; so it is when the partition was left out."""
    assert await value_at(5, (code, NOTHING), (0, batch(5, b"a"))) == b"a"


@pytest.mark.parametrize("place", [("intents", 99, 5), ("others", 0, 5)])
async def test_a_place_that_is_not_there_has_no_record(place: tuple[str, int, int]) -> None:
    """Neither the partition nor the topic."""
    client: Any = Client((0, batch(5, b"a")))
    assert await read_exact(client, [place]) == [None]


async def test_a_record_that_a_new_leader_does_not_show_yet_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not gone; what lies beyond the end of the log is."""
    client: Any = Client((0, NOTHING), (0, batch(5, b"a")), shown=5)
    asked: list[int] = []

    async def list_offsets_once(
        _: object, cluster: Cluster, times: Mapping[TopicPartition, int], *, committed: bool
    ) -> dict[Any, int]:
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
    found = await read_exact(client, [("intents", partition, 5) for partition in range(PARTITIONS_AT_ONCE * 3)])
    assert [each is not None for each in found] == [True] * (PARTITIONS_AT_ONCE * 3)
    assert client.most == PARTITIONS_AT_ONCE


# --- many offsets -----------------------------------------------------------------------------------------


def bound_by(monkeypatch: pytest.MonkeyPatch, bounds: Mapping[int, int]) -> list[tuple[int, bool]]:
    """The log begins and ends there; which ends are asked for, and whether as committed readers see them."""
    asked: list[tuple[int, bool]] = []

    async def list_offsets_once(_: object, cluster: Cluster, times: Any, *, committed: bool) -> dict[Any, int]:
        ((partition, time),) = times.items()
        asked.append((time, committed))
        return {partition: bounds[time]}

    monkeypatch.setattr(exact, "list_offsets_once", list_offsets_once)
    return asked


async def many(client: Any, offsets: Sequence[int], *, committed: bool = False) -> list[list[bytes | None]]:
    """Values of what is found at these offsets, as it comes."""
    places = [("intents", 0, offset) for offset in offsets]
    return [[each.value for each in some] async for some in read_many(client, places, committed=committed)]


async def test_near_records_come_with_one_request() -> None:
    """Whatever lies between them, in whichever order and however often they are asked for."""
    client: Any = Client((0, batch(5, b"5", b"6", b"7") + batch(8, b"8", b"9")))
    assert await many(client, [9, 5, 7, 5]) == [[b"5", b"7", b"9"]]
    assert client.asked == [(0, 5, RUN_BYTES)]


async def test_records_far_from_each_other_come_one_by_one() -> None:
    """What lies between them is not read."""
    far = 5 + NEAR + 1
    client: Any = Client((0, batch(5, b"a")), (0, batch(far, b"b")))
    assert await many(client, [5, far]) == [[b"a"], [b"b"]]
    assert client.asked == [(0, 5, ONE_BYTES), (0, far, ONE_BYTES)]


async def test_what_a_request_did_not_reach_is_asked_for_next() -> None:
    """A request brings so many bytes, and what it brought is not asked for again."""
    client: Any = Client((0, batch(5, b"5", b"6")), (0, batch(7, b"7", b"8")))
    assert await many(client, [5, 6, 8]) == [[b"5", b"6"], [b"8"]]
    assert [offset for _, offset, _ in client.asked] == [5, 8]


async def test_a_committed_reader_sees_nothing_of_what_was_aborted() -> None:
    """Of the producer's next transaction it does, and of what others wrote in between."""
    log = (
        batch(5, b"aborted", producer=1)
        + batch(6, b"other", producer=2)
        + batch(7, b"no transaction")
        + batch(8, producer=1, marker=ABORT)
        + batch(9, producer=2, marker=COMMIT)
        + batch(10, b"again", producer=1)
        + batch(11, producer=1, marker=COMMIT)
        + batch(12, b"aborted too", producer=2)
    )
    client: Any = Client((0, log), aborted=[(2, 12), (1, 5)])
    assert await many(client, range(5, 13), committed=True) == [[b"other", b"no transaction", b"again"]]
    (everything,) = await many(Client((0, log)), range(5, 13))
    assert everything == [b"aborted", b"other", b"no transaction", b"again", b"aborted too"]


async def test_a_committed_reader_sees_nothing_behind_an_open_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told at once, and nothing behind it is asked for; who reads uncommitted sees it."""
    asked = bound_by(monkeypatch, {LATEST: 5})
    client: Any = Client((0, NOTHING), stable=5)
    assert await many(client, [5, 6, 90], committed=True) == []
    assert (len(client.asked), asked) == (1, [(LATEST, True)])
    assert await many(Client((0, batch(5, b"a")), stable=5), [5]) == [[b"a"]]


async def test_what_is_damaged_is_an_error() -> None:
    """And neither a record nor a place without one."""
    with pytest.raises(KafkaUnavailableError, match=CorruptRecordException.__name__):
        await many(Client((0, batch(5, b"a")[:-1] + b"?")), [5])


async def ranged(client: Any, start: int, end: int) -> list[tuple[int, bool]]:
    reading = read_batches(client, TopicPartition("intents", 0), start, end)
    return [(batch.base_offset, bool(batch.is_control_batch)) async for batch in reading]


async def test_a_range_is_read_whole_and_with_its_markers() -> None:
    """In as many requests as it takes; what lies behind its end is left out, although it was fetched."""
    client: Any = Client(
        (0, batch(5, b"a", b"b", producer=1) + batch(7, producer=1, marker=COMMIT)),
        (0, batch(9, b"c") + batch(10, b"d")),
    )
    assert await ranged(client, 5, 10) == [(5, False), (7, True), (9, False)]
    assert [offset for _, offset, _ in client.asked] == [5, 8]
    assert await ranged(client, 5, 5) == []


@pytest.mark.parametrize("answer", [(0, NOTHING), (OffsetOutOfRangeError.errno, NOTHING)])
async def test_a_range_that_breaks_off_is_not_taken_for_whole(
    monkeypatch: pytest.MonkeyPatch, answer: tuple[int, bytes]
) -> None:
    """The log was there up to the end of the range; a new leader may not show all of it yet."""
    bound_by(monkeypatch, {EARLIEST: 0, LATEST: 9})
    client: Any = Client((0, batch(5, b"a")), answer)
    with pytest.raises(PassingError):
        await ranged(client, 5, 10)
