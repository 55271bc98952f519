"""What a replay request becomes: the record that it points to, or why there is none; and what of it is copied."""

import asyncio
import uuid
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import OffsetOutOfRangeError
from aiokafka.structs import TopicPartition

from gateway import schemas
from gateway.core.entry import ReplayOf
from gateway.core.identity import Identity
from gateway.core.metadata import CommitMetadata
from gateway.core.reasons import Reason
from gateway.kafka import replay_intake
from gateway.kafka.cluster import Cluster, Topic
from gateway.kafka.codec import Codec
from gateway.kafka.connection import KafkaConnection
from gateway.kafka.exact import ExactRecord
from gateway.kafka.intake import failed
from gateway.kafka.offsets import Committed
from gateway.kafka.registry import FileRegistry
from gateway.kafka.replay_intake import ReplayIntake
from tests.integration.chosen_records import a_replay

MAIL = "taro@example.jp"
GROUP = "gateway"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"request_id": MAIL}, Reason.BAD_VALUE),
        ({"request_id": "1" * 60_000}, Reason.BAD_VALUE),
        ({"input": {"topic": MAIL, "partition": 0, "offset": 1}}, Reason.REPLAY_TARGET_MISSING),
    ],
)
async def test_free_text_of_a_request_is_not_repeated(changes: dict[str, Any], reason: Reason) -> None:
    """Neither an id that is none nor a topic that is none of ours goes into ledger and parked records."""
    connection = KafkaConnection("nowhere:1", "test")
    codec = Codec(FileRegistry(), {"replays": "ReplayRequest"})
    intake = ReplayIntake(connection, AIOKafkaClient(), codec, Identity(b"k" * 32, b"p" * 32, "genie", "c"), {}, GROUP)
    request = a_replay("subject-1a", "lease.payments", 0, 1) | {"request_id": str(uuid.uuid4()), **changes}
    raw = ExactRecord("replays", 0, 3, 1, b"subject-1a", schemas.encode("ReplayRequest", request), ())
    try:
        (read,) = await intake.read([raw])
    finally:
        await intake.close()
    assert (read.reason, read.replay_of) == (reason, None)


INPUT = TopicPartition("lease.payments", 0)
IDENTITY = Identity(b"k" * 32, b"p" * 32, "genie", "c")


class Consumer:
    """A log of five places: a record, a marker, a record, a marker, and a record that is not committed yet."""

    log = (b"first", None, b"third", None, b"open")
    end = 4  # for committed readers

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.at = 0
        self.under_way = 0

    async def start(self) -> None:
        self.calls.append("start")

    async def stop(self) -> None:
        self.calls.append("stop")

    def assign(self, partitions: list[TopicPartition]) -> None:
        assert partitions == [INPUT]

    def seek(self, partition: TopicPartition, offset: int) -> None:
        assert not self.under_way, "another lane reads by it"
        assert offset >= 0, "aiokafka raises"
        self.at = offset

    async def getmany(self, partition: TopicPartition, *, timeout_ms: int, max_records: int) -> dict[Any, Any]:
        self.under_way += 1
        await asyncio.sleep(0)
        self.under_way -= 1
        if self.at > len(self.log):
            raise OffsetOutOfRangeError({partition: self.at})
        while self.at < self.end:
            self.at += 1
            if (value := self.log[self.at - 1]) is not None:
                return {partition: [SimpleNamespace(offset=self.at - 1, value=value)]}
        return {}

    async def position(self, partition: TopicPartition) -> int:
        return self.at

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {INPUT: self.end}


class Target:
    """Stands for the intake of payments."""

    async def read(self, raws: list[Any], *, wary: bool) -> list[Any]:
        (raw,) = raws
        record = ExactRecord(INPUT.topic, 0, raw.offset, 1, None, raw.value, ())
        return [replace(failed(IDENTITY, record, Reason.BAD_VALUE), producer=raw.value.decode())]


@pytest.fixture
def consumer(monkeypatch: pytest.MonkeyPatch) -> Consumer:
    """Of one input topic with one partition."""

    async def describe(client: object, names: list[str]) -> Cluster:
        return Cluster("c", (1,), {INPUT.topic: Topic(INPUT.topic, UUID(int=1), {0: 1}, 1)} if consumer.there else {})

    async def fetch_committed(client: object, group: str, topic: str, partition: int, *, stable: bool) -> Any:
        assert (group, stable) == (GROUP, False)
        return consumer.committed if (topic, partition) == INPUT else None

    consumer: Any = Consumer()
    consumer.there = True
    consumer.committed = Committed(100, CommitMetadata().encode(100))
    monkeypatch.setattr(replay_intake, "fetch_committed", fetch_committed)
    monkeypatch.setattr(replay_intake, "AIOKafkaConsumer", lambda **_: consumer)
    monkeypatch.setattr(replay_intake, "describe", describe)
    return consumer


@pytest.fixture
def intake(consumer: Consumer) -> ReplayIntake:
    codec = Codec(FileRegistry(), {"replays": "ReplayRequest"})
    client, target = None, Target()
    targets: Any = {INPUT.topic: target}
    return ReplayIntake(KafkaConnection("nowhere:1", "test"), client, codec, IDENTITY, targets, GROUP)  # type: ignore[arg-type]


def request(offset: int, partition: int = 0) -> ExactRecord:
    value = schemas.encode("ReplayRequest", a_replay("subject-1a", INPUT.topic, partition, offset))
    return ExactRecord("replays", 0, 50 + offset, 9, b"subject-1a", value, ())


async def test_a_replay_is_the_record_that_it_points_to_at_its_own_place(intake: ReplayIntake) -> None:
    """It enters its lane like any other record."""
    first, third = await intake.read([request(0), request(2)])
    assert (first.producer, first.offset, first.timestamp) == ("first", 50, 9)
    assert third.producer == "third"
    assert isinstance(third.replay_of, ReplayOf)
    assert (third.replay_of.topic, third.replay_of.partition, third.replay_of.offset) == (INPUT.topic, 0, 2)


@pytest.mark.parametrize(("offset", "partition"), [(1, 0), (3, 0), (4, 0), (9, 0), (-1, 0), (0, 1)])
async def test_a_place_where_committed_readers_see_nothing_has_no_record(
    intake: ReplayIntake, offset: int, partition: int
) -> None:
    """Markers, the end, beyond it, before it, in no partition: the lane must not wait until there is one."""
    async with asyncio.timeout(2):
        (read,) = await intake.read([request(offset, partition)])
    assert read.reason is Reason.REPLAY_TARGET_MISSING
    assert read.replay_of is not None


async def test_a_topic_that_is_gone_has_no_record(intake: ReplayIntake, consumer: Any) -> None:
    """It may come back, and then the replay is asked for again."""
    consumer.there = False
    (read,) = await intake.read([request(0)])
    assert read.reason is Reason.REPLAY_TARGET_MISSING


@pytest.mark.parametrize(
    ("committed", "settled"),
    [
        (None, False),
        (Committed(2, CommitMetadata().encode(2)), False),
        (Committed(0, CommitMetadata((2,)).encode(0)), True),
        (Committed(3, CommitMetadata().encode(3)), True),
        (Committed(3, "not ours"), False),
    ],
)
async def test_what_its_own_lane_still_works_on_is_not_replayed(
    intake: ReplayIntake, consumer: Any, committed: Committed | None, settled: bool
) -> None:
    """Both lanes would take GeNiE's answer for their own provision."""
    consumer.committed = committed
    (read,) = await intake.read([request(2)])
    assert (read.reason is not Reason.REPLAY_TARGET_MISSING) is settled
    assert read.replay_of is not None


async def test_what_is_settled_stays_so(intake: ReplayIntake, consumer: Any) -> None:
    """Of so many records of one partition the group is asked about once."""
    await intake.read([request(0)])
    consumer.committed = None
    first, third = await intake.read([request(0), request(2)])
    assert (first.producer, third.producer) == ("first", "third")


async def test_what_is_no_request_points_to_nothing(intake: ReplayIntake) -> None:
    """It is parked as what it is."""
    (read,) = await intake.read([ExactRecord("replays", 0, 3, 1, b"subject-1a", b"garbage", ())])
    assert (read.reason, read.replay_of) == (Reason.NOT_AVRO, None)


async def test_lanes_read_one_after_the_other(intake: ReplayIntake) -> None:
    """They share one consumer, which is at one place at a time."""
    read = await asyncio.gather(*(intake.read([request(offset)]) for offset in (2, 0, 2, 0)))
    assert [records[0].producer for records in read] == ["third", "first", "third", "first"]


async def test_it_connects_and_lets_go(intake: ReplayIntake, consumer: Consumer) -> None:
    """Of its consumer, and of the child that tastes."""
    tasted: list[bool] = []

    async def close() -> None:
        tasted.append(True)

    taster: Any = SimpleNamespace(close=close)
    intake._taster = taster
    await intake.start()
    await intake.close()
    assert consumer.calls == ["start", "stop"]
    assert tasted == [True]


async def test_only_who_reads_warily_has_requests_tasted(intake: ReplayIntake, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a child dies of is neither prepared nor decoded here, nor fetched."""
    deadly, plain = request(0), request(2)
    prepared: list[list[bytes]] = []
    tasted: list[int] = []

    async def dies_of(raw: ExactRecord) -> bool:
        tasted.append(raw.offset)
        return raw is deadly

    async def prepare(values: list[bytes]) -> None:
        prepared.append(values)

    taster: Any = SimpleNamespace(dies_of=dies_of)
    intake._taster = taster
    known = Codec(FileRegistry(), {"replays": "ReplayRequest"})
    await known.prepare([plain.value])
    monkeypatch.setattr(intake, "_codec", SimpleNamespace(prepare=prepare, decode=known.decode))
    read = await intake.read([deadly, plain], wary=True)
    assert [(each.reason, each.producer) for each in read] == [
        (Reason.KILLS_DECODER, None),
        (Reason.BAD_VALUE, "third"),
    ]
    assert (tasted, prepared) == ([50, 52], [[plain.value]])
    await intake.read([plain])
    assert tasted == [50, 52]
