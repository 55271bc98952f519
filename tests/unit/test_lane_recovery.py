"""Finding lost offsets again without a Kafka: what ledger and intents make of each lane, and what stands against it."""

from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.structs import TopicPartition

from gateway.core.metadata import IntentRef
from gateway.core.reasons import Reason
from gateway.core.traces import Traces, UnsafeStartError
from gateway.kafka import lane_recovery
from gateway.kafka.cluster import Cluster, LogBounds
from gateway.kafka.codec import Decoded, Undecodable
from gateway.kafka.lane_recovery import LedgerUnfitError, from_ledger
from gateway.kafka.lane_start import Start
from gateway.kafka.names import TopicNames

NAMES = TopicNames()
ZERO, ONE = TopicPartition(NAMES.payments, 0), TopicPartition(NAMES.payments, 1)
BEGAN = 1_700_000_000_000
OURS, OTHERS = "cluster-1", "cluster-2"


class World:
    """Two lanes, each with a log, and what the two topics hold."""

    def __init__(self) -> None:
        self.bounds = {ZERO: LogBounds(0, 10), ONE: LogBounds(0, 10)}
        self.topics: dict[str, list[Any]] = {NAMES.ledger: [], NAMES.intents: []}
        self.appended: dict[tuple[str, int, int], int | None] = {}  # where the log has another time, or nothing
        self.prepared = 0

    def settled(self, lane: TopicPartition, *offsets: int, cluster: str = OURS) -> None:
        for offset in offsets:
            place = {"topic": lane.topic, "partition": lane.partition, "offset": offset}
            record = {"input": {**place, "timestamp": BEGAN, "cluster_id": cluster}}
            self._add(NAMES.ledger, b"key", Decoded(2, record))

    def announced(self, lane: str, *offsets: int, at: int = BEGAN) -> None:
        entries = [{"offset": offset, "body_digest": b"d"} for offset in offsets]
        record = {"lane": lane, "announced_at": at, "expires_at": at + 30, "entries": entries}
        self._add(NAMES.intents, lane.encode(), Decoded(3, record))

    def unreadable(self, topic: str, key: bytes | None) -> None:
        self._add(topic, key, Undecodable(Reason.NOT_AVRO))

    def _add(self, topic: str, key: bytes | None, decoded: Any) -> None:
        offset = len(self.topics[topic])
        self.topics[topic].append(SimpleNamespace(topic=topic, partition=0, offset=offset, key=key, value=decoded))

    async def prepare(self, values: list[Any]) -> None:
        self.prepared = len(values)

    def decode(self, topic: str, value: Any) -> Any:
        assert self.prepared, "its schema was not asked for"
        return value

    async def describe(self, client: object, names: Iterable[str]) -> Cluster:
        return Cluster(OURS, (1,), {})

    async def log_bounds(self, client: object, lanes: Iterable[TopicPartition]) -> dict[TopicPartition, LogBounds]:
        return {lane: self.bounds[lane] for lane in lanes}

    async def began_at(self, client: object, lanes: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return {lane: BEGAN for lane in lanes if self.bounds[lane].end}

    async def scan(self, connection: object, client: object, topic: str, read: Any, tell: object) -> None:
        self.prepared = 0
        if self.topics[topic]:
            await read(self.topics[topic])

    async def read_exact(self, client: object, positions: Iterable[tuple[str, int, int]]) -> list[Any]:
        found = [self.appended.get(position, BEGAN) for position in positions]
        return [None if timestamp is None else SimpleNamespace(timestamp=timestamp) for timestamp in found]

    async def find(self, *lanes: TopicPartition, force: bool = False) -> Mapping[TopicPartition, Start]:
        kafka: Any = self
        found = from_ledger(kafka, kafka, NAMES, force=force, tell=kafka)
        return await found(kafka, list(lanes or (ZERO, ONE)))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    for name in ("describe", "log_bounds", "began_at", "scan", "read_exact"):
        monkeypatch.setattr(lane_recovery, name, getattr(made, name))
    return made


async def test_a_lane_goes_on_by_what_is_recorded_of_it(world: World) -> None:
    """What is settled and what may have been sent; records of lanes that nobody asked about are passed."""
    world.settled(ZERO, 0, 1, 3)
    world.settled(TopicPartition(NAMES.scores, 7), 99)
    world.announced(f"{NAMES.payments}:0", 2)
    world.announced(f"{NAMES.scores}:7", 5)
    start = (await world.find(ZERO))[ZERO]
    assert (start.offset, start.metadata.settled, start.metadata.intents) == (2, (3,), (IntentRef(0, 0),))


async def test_a_lane_of_which_nothing_is_recorded_is_left_out_unless_its_log_is_empty(world: World) -> None:
    """Nobody can have settled anything of an empty log."""
    world.settled(ZERO, 0)
    world.bounds[ONE] = LogBounds(4, 4)
    assert (await world.find())[ONE] == Start(4)
    world.bounds[ONE] = LogBounds(0, 10)
    assert list(await world.find()) == [ZERO]


async def test_the_records_of_another_cluster_say_nothing(world: World) -> None:
    """If a lane has no others it is refused: its offsets are another log's."""
    world.settled(ZERO, 0)
    world.settled(ZERO, 1, 2, cluster=OTHERS)
    assert (await world.find(ZERO))[ZERO].offset == 1
    world.settled(ONE, 5, cluster=OTHERS)
    with pytest.raises(LedgerUnfitError, match=f"{NAMES.payments}:1: the ledger has records of these lanes from"):
        await world.find()


async def test_a_log_that_was_made_anew_is_noticed_by_its_times(world: World) -> None:
    """It may have grown past its old end."""
    world.settled(ZERO, 0, 1)
    world.appended[NAMES.payments, 0, 1] = BEGAN + 1
    with pytest.raises(LedgerUnfitError, match=r"lease\.payments:0: the ledger is about other records"):
        await world.find(ZERO)
    world.appended[NAMES.payments, 0, 1] = None
    assert (await world.find(ZERO))[ZERO].offset == 2


async def test_a_ledger_record_that_can_not_be_read_may_be_about_any_lane(world: World) -> None:
    """There is no going on without it."""
    world.settled(ZERO, 0)
    world.unreadable(NAMES.ledger, b"subject")
    with pytest.raises(LedgerUnfitError, match=f"{NAMES.ledger}:0 offset 1 can't be read"):
        await world.find(ZERO)


@pytest.mark.parametrize("key", [None, b"garbage", b"others.topic:1", f"{NAMES.payments}:x".encode()])
async def test_an_intent_that_can_not_be_read_and_names_no_lane_may_be_anybodys(
    world: World, key: bytes | None
) -> None:
    """No lane goes on."""
    world.settled(ZERO, 0)
    world.unreadable(NAMES.intents, key)
    with pytest.raises(LedgerUnfitError, match=f"^{NAMES.intents}:0 offset 0 can't be read"):
        await world.find(ZERO)


async def test_an_intent_that_can_not_be_read_stands_against_its_lane_alone(world: World) -> None:
    """Also if it has others that can; a lane that nobody asked about may have any."""
    world.settled(ZERO, 0)
    world.settled(ONE, 0)
    world.unreadable(NAMES.intents, f"{NAMES.payments}:1".encode())
    world.announced(f"{NAMES.payments}:1", 3)
    assert list(await world.find(ZERO)) == [ZERO]
    with pytest.raises(LedgerUnfitError, match=f"lane {NAMES.payments}:1: its intent at {NAMES.intents}:0 offset 0"):
        await world.find(ONE)
    with pytest.raises(LedgerUnfitError, match="No lane was set"):
        await world.find()


async def test_traces_that_are_not_safe_stand_against_their_lane(world: World) -> None:
    """They speak of what the log does not hold; the only lane that was asked about needs no advice about others."""
    world.settled(ZERO, 20)
    with pytest.raises(LedgerUnfitError, match=f"^lane {NAMES.payments}:0: the ledger speaks of offset 20") as refused:
        await world.find(ZERO)
    assert "No lane was set" not in str(refused.value)
    world.unreadable(NAMES.intents, f"{NAMES.payments}:0".encode())
    with pytest.raises(LedgerUnfitError, match=f"^lane {NAMES.payments}:0: its intent at"):
        await world.find(ZERO)


async def test_intents_that_are_too_many_stand_against_their_lane_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The place of the first is told; what follows of the lane is passed."""

    def announce(self: Traces, record: Mapping[str, Any], ref: IntentRef) -> None:
        raise UnsafeStartError(f"too many at {ref.offset}")

    monkeypatch.setattr(Traces, "announce", announce)
    world.settled(ZERO, 0)
    for _ in range(2):
        world.announced(f"{NAMES.payments}:0", 1)
    with pytest.raises(LedgerUnfitError, match=f"lane {NAMES.payments}:0: {NAMES.intents}:0 offset 0: too many at 0"):
        await world.find(ZERO)
