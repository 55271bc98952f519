"""What a replay request becomes: the record that it points to, or why there is none; and what of it is copied."""

import uuid
from collections.abc import AsyncGenerator, Iterable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.structs import TopicPartition

from gateway import schemas
from gateway.core.entry import ReplayOf
from gateway.core.identity import Identity
from gateway.core.metadata import CommitMetadata
from gateway.core.reasons import Reason
from gateway.kafka import replay_intake
from gateway.kafka.codec import Codec
from gateway.kafka.exact import ExactRecord
from gateway.kafka.intake import failed
from gateway.kafka.offsets_log import Committed
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
    codec = Codec(FileRegistry(), {"replays": "ReplayRequest"})
    intake = ReplayIntake(AIOKafkaClient(), codec, Identity(b"k" * 32, b"p" * 32, "genie", "c"), {}, GROUP)
    request = a_replay("subject-1a", "lease.payments", 0, 1) | {"request_id": str(uuid.uuid4()), **changes}
    raw = ExactRecord("replays", 0, 3, 1, b"subject-1a", schemas.encode("ReplayRequest", request), ())
    try:
        (read,) = await intake.read([raw])
    finally:
        await intake.close()
    assert (read.reason, read.replay_of) == (reason, None)


INPUT = TopicPartition("lease.payments", 0)
IDENTITY = Identity(b"k" * 32, b"p" * 32, "genie", "c")


class Kafka:
    """Two logs, of which committed readers see a first and a third record; and what the group has committed."""

    def __init__(self) -> None:
        self.log = {(INPUT.topic, partition, offset): name for partition in (0, 1) for offset, name in SEEN.items()}
        self.committed: Committed | None = Committed(100, CommitMetadata().encode(100))
        self.calls: list[tuple[str, list[Any]]] = []  # what was asked for, each in order

    async def read_offsets(self, client: object, group: str, lanes: Iterable[TopicPartition], *, decided: bool) -> Any:
        assert (group, decided) == (GROUP, False)
        self.calls.append(("committed", list(lanes)))
        return dict.fromkeys(lanes, self.committed)

    async def read_many(self, client: object, places: Iterable[Any], *, committed: bool) -> AsyncGenerator[Any, None]:
        assert committed, "a replay reads what committed readers see"
        self.calls.append(("read", sorted(places)))
        for partition in (0, 1):
            there = [place for place in sorted(places) if place[1] == partition and place in self.log]
            if there:
                yield [ExactRecord(*place, 1, None, self.log[place], ()) for place in there]


SEEN = {0: b"first", 2: b"third"}


class Target:
    """Stands for the intake of payments."""

    async def read(self, raws: list[Any], *, wary: bool) -> list[Any]:
        assert len({raw.partition for raw in raws}) == 1, "it knows records by their offsets"
        return [replace(failed(IDENTITY, raw, Reason.BAD_VALUE), producer=raw.value.decode()) for raw in raws]


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> Kafka:
    """Of one input topic with two partitions."""
    made = Kafka()
    monkeypatch.setattr(replay_intake, "read_offsets", made.read_offsets)
    monkeypatch.setattr(replay_intake, "read_many", made.read_many)
    return made


@pytest.fixture
def intake(kafka: Kafka) -> ReplayIntake:
    codec = Codec(FileRegistry(), {"replays": "ReplayRequest"})
    client: Any = None
    targets: Any = {INPUT.topic: Target()}
    return ReplayIntake(client, codec, IDENTITY, targets, GROUP)


def request(offset: int, partition: int = 0, at: int | None = None) -> ExactRecord:
    value = schemas.encode("ReplayRequest", a_replay("subject-1a", INPUT.topic, partition, offset))
    return ExactRecord("replays", 0, 50 + offset if at is None else at, 9, b"subject-1a", value, ())


async def test_a_replay_is_the_record_that_it_points_to_at_its_own_place(intake: ReplayIntake) -> None:
    """It enters its lane like any other record."""
    first, third = await intake.read([request(0), request(2)])
    assert (first.producer, first.offset, first.timestamp) == ("first", 50, 9)
    assert third.producer == "third"
    assert isinstance(third.replay_of, ReplayOf)
    assert (third.replay_of.topic, third.replay_of.partition, third.replay_of.offset) == (INPUT.topic, 0, 2)


async def test_requests_taken_together_are_read_together(intake: ReplayIntake, kafka: Kafka) -> None:
    """In their order, with the records of both partitions, and one that is asked for twice; the group is asked once,
    and before anything is read."""
    wanted = [(2, 1), (0, 0), (1, 0), (0, 1), (0, 0)]
    read = await intake.read([request(offset, partition, 50 + at) for at, (offset, partition) in enumerate(wanted)])
    assert [(each.offset, each.producer) for each in read] == [
        (50, "third"),
        (51, "first"),
        (52, None),
        (53, "first"),
        (54, "first"),
    ]
    topic = INPUT.topic
    assert kafka.calls == [
        ("committed", [(topic, 0), (topic, 1)]),
        ("read", [(topic, 0, 0), (topic, 0, 1), (topic, 1, 0), (topic, 1, 2)]),
    ]
    ids = [each.replay_of.request_id for each in read if each.replay_of is not None]
    assert len(set(ids)) == len(read)


@pytest.mark.parametrize(("offset", "partition"), [(1, 0), (9, 0), (-1, 0), (0, 2)])
async def test_a_place_where_committed_readers_see_nothing_has_no_record(
    intake: ReplayIntake, offset: int, partition: int
) -> None:
    """Within a log or outside of it, or in no partition."""
    missing, there = await intake.read([request(offset, partition), request(0)])
    assert missing.reason is Reason.REPLAY_TARGET_MISSING
    assert missing.replay_of is not None
    assert there.producer == "first"


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
    intake: ReplayIntake, kafka: Kafka, committed: Committed | None, settled: bool
) -> None:
    """Both lanes would take GeNiE's answer for their own provision. It is not even read."""
    kafka.committed = committed
    (read,) = await intake.read([request(2)])
    assert (read.reason is not Reason.REPLAY_TARGET_MISSING) is settled
    assert read.replay_of is not None
    assert kafka.calls[1:] == [("read", [(INPUT.topic, 0, 2)] if settled else [])]


async def test_of_those_taken_together_each_is_asked_about_for_itself(intake: ReplayIntake, kafka: Kafka) -> None:
    """One is settled, and one is not; the other partition's offsets say nothing about this one's."""

    async def read_offsets(client: object, group: str, lanes: Iterable[TopicPartition], *, decided: bool) -> Any:
        told = {0: Committed(1, CommitMetadata().encode(1)), 1: Committed(0, CommitMetadata((2,)).encode(0))}
        return {lane: told[lane.partition] for lane in lanes}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replay_intake, "read_offsets", read_offsets)
        read = await intake.read([request(0), request(2), request(0, 1), request(2, 1)])
    assert [each.producer for each in read] == ["first", None, None, "third"]


async def test_what_is_settled_stays_so(intake: ReplayIntake, kafka: Kafka) -> None:
    """Of so many records of one partition the group is asked about once; of another one it is asked."""
    await intake.read([request(0)])
    kafka.committed = None
    first, third, other = await intake.read([request(0), request(2), request(0, 1)])
    assert (first.producer, third.producer, other.reason) == ("first", "third", Reason.REPLAY_TARGET_MISSING)
    assert [lanes for what, lanes in kafka.calls if what == "committed"] == [[INPUT], [(INPUT.topic, 1)]]


async def test_what_is_no_request_points_to_nothing(intake: ReplayIntake) -> None:
    """It is parked as what it is."""
    (read,) = await intake.read([ExactRecord("replays", 0, 3, 1, b"subject-1a", b"garbage", ())])
    assert (read.reason, read.replay_of) == (Reason.NOT_AVRO, None)


async def test_it_lets_go_of_the_child_that_tastes(intake: ReplayIntake) -> None:
    """There is nothing else to let go of."""
    closed: list[bool] = []

    async def close() -> None:
        closed.append(True)

    taster: Any = SimpleNamespace(close=close)
    intake._taster = taster
    await intake.close()
    assert closed == [True]


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
