"""What the log of committed offsets says of a lane, in the bytes that Apache Kafka writes there."""

import struct
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import pytest
from aiokafka.errors import TopicAuthorizationFailedError
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from gateway.kafka import connection, offsets_log
from gateway.kafka.cluster import Cluster, LogBounds, Topic
from gateway.kafka.connection import KafkaRefusedError, KafkaUnavailableError
from gateway.kafka.offsets_log import (
    FIRST_WINDOW,
    TOPIC,
    Committed,
    NewerOffsetsError,
    OffsetsLog,
    partition_of_group,
    read_offsets,
)
from gateway.kafka.troubles import PassingError
from tests import coordinator_offsets
from tests.simulation.broker.batches import NO_PRODUCER, Batch, Record, marker, placed, written

GROUP = "credit-gateway"
LANE, OTHER = TopicPartition("genie.provision.intents", 1), TopicPartition("genie.provision.intents", 0)
PLACE = TopicPartition(TOPIC, 4)  # of 50
# As Apache Kafka 4.3.0 wrote it.
KEY = b"\x00\x01\x00\x0ecredit-gateway\x00\x17genie.provision.intents\x00\x00\x00\x01"
OTHER_KEY = KEY[:-1] + b"\x00"
VALUE = (
    b"\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff%7e80caf8-324b-4d3a-af9f-0a1842564175"
    b"\x00\x00\x01\xa2\x06%\xa12\x00"
)
ONE, TWO = 11, 12  # producers


def value(offset: int, metadata: str = "m", version: int = 3) -> bytes:
    epoch = struct.pack(">i", -1) if version >= 3 else b""
    text = struct.pack(">h", len(metadata)) + metadata.encode()
    return struct.pack(">hq", version, offset) + epoch + text + struct.pack(">q", 0)


class Log:
    """Batches one behind the other; what fails, fails once."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.start = 0
        self.missing = 0
        self.read: list[int] = []  # where reads began
        self.meanwhile: list[Batch] = []  # comes in after the first read
        self.breaks_off = False  # the next read, before its last batch

    @property
    def end(self) -> int:
        return self.batches[-1].next_offset if self.batches else 0

    def append(self, batch: Batch) -> None:
        self.batches.append(placed(batch, self.end, 0, 0))

    def commit(self, said: bytes | None, producer: int = NO_PRODUCER, key: bytes = KEY) -> None:
        self.append(written([Record(key, said)], producer_id=producer, epoch=0, sequence=0, now=0))

    def decide(self, producer: int, *, commit: bool = True) -> None:
        self.append(marker(producer, 0, commit=commit, coordinator_epoch=0, now=0))

    def fill(self, records: int) -> None:
        """What others commit."""
        others = [Record(KEY.replace(b"credit", b"public"), VALUE)] * records
        self.append(written(others, now=0))

    async def describe_once(self, client: object, names: Sequence[str]) -> Cluster:
        assert names == [TOPIC]
        self.missing -= 1
        topic = Topic(TOPIC, UUID(int=1), dict.fromkeys(range(50), 1), 1)
        return Cluster("c", (1,), {} if self.missing >= 0 else {TOPIC: topic})

    async def log_bounds(self, client: object, places: Sequence[TopicPartition]) -> dict[TopicPartition, LogBounds]:
        assert places == [PLACE]
        return {PLACE: LogBounds(self.start, self.end)}

    async def read_batches(self, client: object, place: TopicPartition, start: int, end: int) -> AsyncIterator[Any]:
        assert place == PLACE
        self.read.append(start)
        for batch in self.batches:
            if start <= batch.last_offset < end:
                if self.breaks_off and batch.next_offset == end:
                    self.breaks_off = False
                    raise PassingError
                yield MemoryRecords(batch.data).next_batch()
        for batch in self.meanwhile:
            self.append(batch)
        self.meanwhile = []

    async def coordinator(self, client: object, group: str) -> int:
        assert group == GROUP
        return 1


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    made = Log()
    monkeypatch.setattr(connection, "RETRY_BACKOFF_S", 0)
    monkeypatch.setattr(offsets_log, "ask_for_coordinator", made.coordinator)
    for name in ("describe_once", "log_bounds", "read_batches"):
        monkeypatch.setattr(offsets_log, name, getattr(made, name))
    return made


async def read(*, decided: bool = True) -> Committed | None:
    client: Any = None
    return (await read_offsets(client, GROUP, [LANE], decided=decided))[LANE]


async def test_the_bytes_of_kafka_are_read(log: Log) -> None:
    """Key, offset and metadata."""
    log.commit(VALUE)
    assert await read() == Committed(0, "7e80caf8-324b-4d3a-af9f-0a1842564175")


@pytest.mark.parametrize("version", [0, 1, 2, 3])
async def test_earlier_versions_of_values_are_read(log: Log, version: int) -> None:
    """As brokers wrote them before they were upgraded."""
    log.commit(value(42, "metadata", version))
    assert await read() == Committed(42, "metadata")


async def test_long_metadata_is_read_whole(log: Log) -> None:
    """Its length is a varint of two bytes then."""
    text = "x" * 3_000
    size = len(text) + 1
    varint = bytes([size & 0x7F | 0x80, size >> 7])
    log.commit(struct.pack(">hqi", 4, 42, -1) + varint + text.encode() + struct.pack(">qb", 0, 0))
    assert await read() == Committed(42, text)


async def test_a_version_of_the_future_is_told(log: Log) -> None:
    """What it says is not guessed."""
    log.commit(value(42, version=5))
    with pytest.raises(NewerOffsetsError, match=r"__consumer_offsets:4: offsets are written in version 5"):
        await read()


async def test_what_the_coordinator_remembers_is_not_asked_for(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have lost what its log has."""

    async def remembered(*_: object, **__: object) -> Committed:
        return Committed(7, "old")

    monkeypatch.setattr(coordinator_offsets, "fetch_committed", remembered)
    log.commit(value(42))
    client: Any = None
    assert await offsets_log.read_offset(client, GROUP, LANE) == Committed(42, "m")


async def test_an_offset_counts_once_its_transaction_is_committed(log: Log) -> None:
    """The last one does, and none of a transaction that was aborted."""
    log.commit(value(1), ONE)
    log.decide(ONE)
    log.commit(value(2), ONE)
    log.decide(TWO)
    log.decide(ONE)
    log.commit(value(3), TWO)
    log.decide(TWO, commit=False)
    assert await read() == Committed(2, "m")


async def test_what_was_written_behind_a_transaction_stays(log: Log) -> None:
    """Although its marker comes later: it is as if it had been committed where it was written."""
    log.commit(value(6), ONE)
    log.commit(value(9))
    log.decide(ONE)
    assert await read() == Committed(9, "m")


async def test_an_offset_of_a_transaction_that_has_not_ended_is_waited_for(log: Log) -> None:
    """Whoever only looks does not wait."""
    log.commit(value(1))
    log.commit(value(2), ONE)
    assert await read(decided=False) == Committed(1, "m")
    log.meanwhile = [marker(ONE, 0, commit=True, coordinator_epoch=0, now=0)]
    assert await read() == Committed(2, "m")


def kept(value: bytes, producer: int, key: bytes = KEY) -> Batch:
    """An offset in a transaction of this producer's."""
    return written([Record(key, value)], producer_id=producer, epoch=0, sequence=0, now=0)


async def test_no_transaction_is_waited_for_that_began_later(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a gateway works there is always one, of this lane or another."""
    monkeypatch.setattr(offsets_log, "DECIDED_WITHIN_S", 5)
    log.commit(value(2), ONE)
    log.commit(value(3), TWO, OTHER_KEY)
    end = [marker(each, 0, commit=True, coordinator_epoch=0, now=0) for each in (ONE, TWO)]
    log.meanwhile = [end[0], kept(value(4), ONE), end[1], kept(value(5), TWO, OTHER_KEY)]
    client: Any = None
    found = await read_offsets(client, GROUP, [LANE, OTHER])
    assert found == {LANE: Committed(2, "m"), OTHER: Committed(3, "m")}
    assert list(found) == [OTHER, LANE], "in their order"
    assert log.read == [0, 2]


async def test_who_looks_again_reads_what_is_new(log: Log) -> None:
    """And all, once it wants another lane."""
    log.commit(value(1))
    log.commit(value(2), ONE)
    client: Any = None
    offsets = OffsetsLog(client, GROUP)
    assert await offsets.read([LANE], decided=False) == {LANE: Committed(1, "m")}
    log.decide(ONE)
    assert await offsets.read([LANE]) == {LANE: Committed(2, "m")}
    assert await offsets.read([LANE]) == {LANE: Committed(2, "m")}
    log.commit(value(3), key=OTHER_KEY)
    assert await offsets.read([LANE, OTHER]) == {LANE: Committed(2, "m"), OTHER: Committed(3, "m")}
    assert log.read == [0, 2, 3, 0]


async def test_a_reading_that_breaks_off_is_begun_anew(log: Log) -> None:
    """What it had read of a transaction is not read into it twice, nor left out."""
    client: Any = None
    offsets = OffsetsLog(client, GROUP)
    log.commit(value(1))
    await offsets.read([LANE])
    log.commit(value(2), ONE)
    log.decide(ONE)
    log.breaks_off = True
    assert await offsets.read([LANE]) == {LANE: Committed(2, "m")}
    assert log.read == [0, 1, 0]


async def test_a_log_that_was_made_anew_is_read_anew(log: Log) -> None:
    """Its end lies before what was read of the old one."""
    client: Any = None
    offsets = OffsetsLog(client, GROUP)
    log.commit(value(1))
    log.commit(value(2))
    await offsets.read([LANE])
    del log.batches[:]
    log.commit(value(7))
    assert await offsets.read([LANE]) == {LANE: Committed(7, "m")}


async def test_who_may_not_read_the_log_is_told_what_is_needed(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that prints how to allow it."""

    async def refused(*_: object) -> Cluster:
        raise TopicAuthorizationFailedError

    monkeypatch.setattr(offsets_log, "describe_once", refused)
    with pytest.raises(KafkaRefusedError) as told:
        await read()
    assert str(told.value).startswith(
        "Kafka: reading the committed offsets of group credit-gateway: TopicAuthorizationFailedError (Read on topic "
        "__consumer_offsets): `gateway topics acls` prints"
    )


async def test_a_transaction_that_does_not_end_is_told(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a bound."""
    monkeypatch.setattr(offsets_log, "DECIDED_WITHIN_S", 0.01)
    log.commit(value(2), ONE)
    with pytest.raises(KafkaUnavailableError, match="reading the committed offsets of group credit-gateway"):
        await read()


async def test_more_is_read_until_the_lane_is_found(log: Log) -> None:
    """One that has slept for long lies far from the end; what is read are few records where it lives."""
    log.commit(value(5))
    log.fill(FIRST_WINDOW)
    assert await read() == Committed(5, "m")
    assert log.read == [1, 0]


async def test_nothing_committed_is_said_only_after_all_was_read(log: Log) -> None:
    """Neither groups, nor other groups' or lanes' offsets are taken for it."""
    assert await read() is None
    log.commit(b"\x00\x03", key=b"\x00\x02\x00\x0ecredit-gateway")
    log.commit(VALUE, key=KEY[:-1] + b"\x02")
    log.fill(FIRST_WINDOW)
    log.start = 1
    del log.read[:]
    assert await read() is None
    assert log.read == [2, 1]


async def test_an_offset_that_was_deleted_is_none(log: Log) -> None:
    """It expired, or somebody deleted it."""
    log.commit(VALUE)
    log.commit(None)
    assert await read() is None


async def test_the_topic_may_be_made_just_now(log: Log) -> None:
    """By the first question after the group."""
    log.missing = 1
    log.commit(value(5))
    assert await read() == Committed(5, "m")


async def test_many_lanes_are_read_at_once(log: Log) -> None:
    """A transaction may hold offsets of several."""
    log.append(
        written([Record(KEY, value(5)), Record(OTHER_KEY, value(6))], producer_id=ONE, epoch=0, sequence=0, now=0)
    )
    log.decide(ONE)
    client: Any = None
    found = await read_offsets(client, GROUP, [LANE, OTHER])
    assert found == {LANE: Committed(5, "m"), OTHER: Committed(6, "m")}
    assert len(log.read) == 1


@pytest.mark.parametrize(
    ("group", "of_50", "of_4"),
    [("credit-gateway", 4, 0), ("日本", 47, 3), ("g", 3, 3), ("polygenelubricants", 0, 0), ("", 0, 0)],
)
def test_a_group_lies_where_java_would_look_for_it(group: str, of_50: int, of_4: int) -> None:
    """As the JDK's String.hashCode says; that of one of them is the number that has no absolute value."""
    assert partition_of_group(group, 50) == of_50
    assert partition_of_group(group, 4) == of_4
