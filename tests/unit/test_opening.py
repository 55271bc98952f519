"""Opening a lane without a Kafka: the order of its steps, and when it is refused."""

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.structs import TopicPartition

from gateway.core.facts import Opened
from gateway.core.holds import Holds
from gateway.core.metadata import CommitMetadata, IntentRef
from gateway.core.reasons import Reason
from gateway.kafka import opening
from gateway.kafka.cluster import LogBounds
from gateway.kafka.codec import Decoded, Undecodable
from gateway.kafka.connection import KafkaConnection
from gateway.kafka.offsets_log import Committed
from gateway.kafka.opening import LaneName, LaneRefusedError, disown, open_lane
from gateway.kafka.transactions import Doubt, Doubtful

NAME = LaneName("group", "lease.payments", 3)
LANE = TopicPartition("lease.payments", 3)
CONNECTION = KafkaConnection("kafka-1:9092", "test")
INTENTS = CommitMetadata(intents=(IntentRef(0, 5), IntentRef(1, 9)))
LATER_FORMAT = "AgAAAA"


class World:
    """What Kafka says, what was asked of it, in order, and what fails."""

    epoch = 4

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.fails: dict[str, BaseException] = {}
        self.committed: Committed | None = None
        self.bounds = LogBounds(2, 20)
        self.values: dict[tuple[str, int, int], bytes] = {}
        self.records: dict[bytes, Any] = {}
        self.prepared: list[bytes | None] = []

    def commit(self, offset: int, metadata: CommitMetadata | None = None) -> None:
        self.committed = Committed(offset, (metadata or CommitMetadata()).encode(offset))

    def announce(self, record: Any, partition: int, offset: int) -> None:
        value = b"%d" % offset
        self.values["intents", partition, offset], self.records[value] = value, record

    def __call__(self, connection: KafkaConnection, transactional_id: str, group: str) -> Any:
        assert (connection, transactional_id, group) == (CONNECTION, "group-lease.payments-3", "group")
        return SimpleNamespace(
            epoch=self.epoch,
            take_over=lambda: self.call("take over"),
            begin_and_produce=lambda records: self.call(f"begin with {len(records)}"),
            commit=lambda *committed: self.call(f"commit {' '.join(map(str, committed))}"),
            drop=lambda: self.call("drop"),
        )

    async def call(self, name: str) -> None:
        self.calls.append(name)
        if name in self.fails:
            raise self.fails[name]

    async def read_offset(self, client: object, group: str, lane: object) -> Any:
        assert (group, lane) == ("group", LANE)
        await self.call("committed")
        return self.committed

    async def log_bounds(self, client: object, partitions: Any) -> dict[TopicPartition, LogBounds]:
        return dict.fromkeys(partitions, self.bounds)

    async def read_exact(self, client: object, positions: Any) -> list[Any]:
        found = [self.values.get(position) for position in positions]
        return [None if value is None else SimpleNamespace(value=value) for value in found]

    async def prepare(self, values: list[bytes | None]) -> None:
        self.prepared = values

    def decode(self, topic: str, value: bytes) -> Any:
        assert value in self.prepared, "its schema was not asked for"
        return self.records[value]

    async def open(self, *, is_new: bool = False) -> Opened:
        codec: Any = self
        _, opened = await open_lane(CONNECTION, None, codec, NAME, "intents", Holds(), is_new=is_new)
        return opened


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """Kafka, so far as opening a lane sees it."""
    made = World()
    monkeypatch.setattr(opening, "LaneProducer", made)
    for name in ("read_offset", "log_bounds", "read_exact"):
        monkeypatch.setattr(opening, name, getattr(made, name))
    return made


async def test_an_offset_is_read_after_the_take_over(world: World) -> None:
    """Before it, an older owner might still move it; the producer is kept for the lane."""
    world.commit(7, INTENTS)
    records = [{"lane": str(NAME), "number": number} for number in (1, 2)]
    world.announce(Decoded(3, records[0]), 0, 5)
    world.announce(Decoded(3, records[1]), 1, 9)
    opened = await world.open()
    assert world.calls == ["take over", "committed"]
    assert opened == Opened(7, INTENTS, records, opened.holds, 4)


async def test_a_lane_that_surely_is_new_starts_with_its_first_record(world: World) -> None:
    """Nobody can have settled anything of it."""
    assert (await world.open(is_new=True)).offset == 2


async def test_a_new_lane_with_an_offset_goes_on_from_it(world: World) -> None:
    """Another process may have opened it before."""
    world.commit(9)
    assert (await world.open(is_new=True)).offset == 9


@pytest.mark.parametrize("offset", [2, 20])
async def test_the_ends_of_the_log_are_in_it(world: World, offset: int) -> None:
    """A lane may have settled all, or nothing."""
    world.commit(offset)
    assert (await world.open()).offset == offset


@pytest.mark.parametrize(
    ("committed", "why"),
    [
        (None, "has no committed offset"),
        (Committed(7, LATER_FORMAT), "by a later release"),
        (Committed(7, "somebody else's"), "was not committed by a gateway"),
        (Committed(1, CommitMetadata().encode(1)), "is outside the log"),
        (Committed(21, CommitMetadata().encode(21)), "is outside the log"),
    ],
)
async def test_a_lane_whose_place_is_not_known_is_refused(world: World, committed: Committed | None, why: str) -> None:
    """To guess would lose or repeat records; what was taken over is let go."""
    world.committed = committed
    with pytest.raises(LaneRefusedError, match=why):
        await world.open()
    assert world.calls == ["take over", "committed", "drop"]


@pytest.mark.parametrize(
    ("intent", "why"),
    [
        (None, "is gone"),
        (Undecodable(Reason.UNKNOWN_SCHEMA_ID), "a later release wrote it"),
        (Undecodable(Reason.BAD_VALUE), "holds no intent of this lane"),
        (Decoded(3, {"lane": "lease.payments:4"}), "holds no intent of this lane"),
    ],
)
async def test_a_lane_whose_intents_are_not_known_is_refused(world: World, intent: Any, why: str) -> None:
    """It would not be known what may have been sent."""
    world.commit(7, INTENTS)
    world.announce(Decoded(3, {"lane": str(NAME)}), 0, 5)
    if intent is not None:
        world.announce(intent, 1, 9)
    with pytest.raises(LaneRefusedError, match=why):
        await world.open()
    assert world.calls[-1] == "drop"


async def test_a_take_over_that_is_doubtful_is_let_go(world: World) -> None:
    """Nothing is read for a lane that is not ours."""
    world.fails["take over"] = Doubtful(Doubt.TIMEOUT, "take over")
    with pytest.raises(Doubtful):
        await world.open()
    assert world.calls == ["take over", "drop"]


async def test_a_lane_is_disowned_by_a_commit_that_no_lane_takes_for_its_own(world: World) -> None:
    """In a transaction of who took it over; then whoever opens it is refused."""
    await disown(CONNECTION, NAME)
    committed = "commit lease.payments 3 0 the topic was made anew"
    assert world.calls == ["take over", "begin with 0", committed, "drop"]
    world.committed = Committed(0, committed.rpartition(" 0 ")[2])
    with pytest.raises(LaneRefusedError, match="was not committed by a gateway"):
        await world.open()


async def test_a_disowning_that_fails_is_told_and_let_go(world: World) -> None:
    """It may be tried again."""
    world.fails["begin with 0"] = Doubtful(Doubt.TIMEOUT, "produce")
    with pytest.raises(Doubtful):
        await disown(CONNECTION, NAME)
    assert world.calls == ["take over", "begin with 0", "drop"]
