"""How callers share rounds of the fence."""

import asyncio
from collections.abc import Mapping
from uuid import UUID

import pytest
from aiokafka.structs import TopicPartition
from structlog.testing import capture_logs

from gateway.kafka import fence as fence_module
from gateway.kafka.cluster import Cluster, Topic
from gateway.kafka.consent_view import ViewFailedError
from gateway.kafka.fence import Fence, FenceFailed

TOPICS = ("consent.records", "genie.gateway.controls")
TURNS = 10_000  # of the loop; nothing here waits for more than a few of them
CLUSTER = Cluster("c", (1,), {name: Topic(name, UUID(int=1), {0: 1}, 1) for name in TOPICS})


class World:
    """A clock, a broker whose answers are let through one by one, and a view that is always current."""

    topics = TOPICS

    def __init__(self) -> None:
        self.time = 0
        self.reads: list[asyncio.Future[None]] = []
        self.failure: Exception | None = None

    def now(self) -> int:
        self.time += 1
        return self.time

    async def describe(self, client: object, names: list[str]) -> Cluster:
        assert tuple(names) == TOPICS
        return CLUSTER

    async def list_offsets(self, client: object, cluster: Cluster, times: Mapping[TopicPartition, int]) -> dict:
        answer = asyncio.get_running_loop().create_future()
        self.reads.append(answer)
        await answer
        return dict.fromkeys(times, 10)

    def expect(self, cluster: Cluster) -> None:
        assert cluster is CLUSTER

    async def reach(self, ends: Mapping[TopicPartition, int]) -> None:
        if self.failure:
            raise self.failure

    def behind(self, ends: Mapping[TopicPartition, int]) -> tuple[tuple[TopicPartition, int, int], ...]:
        return tuple((partition, 3, end) for partition, end in ends.items())

    def note_whole(self, at: int) -> None:
        pass

    async def read_number(self, count: int) -> None:
        """Wait until so many reads of end offsets have begun."""
        for _ in range(TURNS):
            if len(self.reads) >= count:
                return
            await asyncio.sleep(0)
        pytest.fail(f"{len(self.reads)} reads have begun, not {count}")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """The fence's surroundings."""
    made = World()
    monkeypatch.setattr(fence_module, "describe_once", made.describe)
    monkeypatch.setattr(fence_module, "list_offsets_once", made.list_offsets)
    return made


async def test_who_comes_during_a_round_joins_the_next(world: World) -> None:
    """A caller's moment is later than the read under way, so it gets one of its own, shared by all others."""
    fence = Fence(None, world, world.now)
    first = asyncio.create_task(fence.reach())
    await world.read_number(1)
    others = [asyncio.create_task(fence.reach()) for _ in range(5)]
    moment = world.now()
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(world.reads) == 1
    world.reads[0].set_result(None)
    await world.read_number(2)
    assert (await first).read_at_ms < moment
    world.reads[1].set_result(None)
    marks = set(await asyncio.gather(*others))
    assert len(world.reads) == 2
    assert len(marks) == 1
    assert marks.pop().read_at_ms > moment


async def test_the_clock_is_read_before_the_end_offsets(world: World) -> None:
    """What is acknowledged while the offsets are read is not claimed."""
    fence = Fence(None, world, world.now)
    reaching = asyncio.create_task(fence.reach())
    await world.read_number(1)
    before = world.time
    world.reads[0].set_result(None)
    assert (await reaching).read_at_ms <= before


async def test_a_caller_that_gives_up_leaves_the_round_to_the_others(world: World) -> None:
    """Cancelling one waiter cancels nobody else's proof."""
    fence = Fence(None, world, world.now)
    leaving, staying = asyncio.create_task(fence.reach()), asyncio.create_task(fence.reach())
    await world.read_number(1)
    leaving.cancel()
    world.reads[0].set_result(None)
    await staying
    assert leaving.cancelled()


async def test_a_failed_view_fails_the_fence(world: World) -> None:
    """No proof from a view that no longer follows; the next caller is told as well."""
    fence = Fence(None, world, world.now)
    world.failure = ViewFailedError("stopped")
    for number in (1, 2):
        reaching = asyncio.create_task(fence.reach())
        await world.read_number(number)
        world.reads[-1].set_result(None)
        with pytest.raises(FenceFailed):
            await reaching


@pytest.mark.parametrize("trouble", [ZeroDivisionError(), asyncio.CancelledError()], ids=["error", "broken off"])
async def test_a_round_that_breaks_leaves_nobody_waiting(world: World, trouble: BaseException) -> None:
    """Neither who was in it, nor who waits for the next round."""
    fence = Fence(None, world, world.now)
    first = asyncio.create_task(fence.reach())
    await world.read_number(1)
    second = asyncio.create_task(fence.reach())
    await asyncio.sleep(0)
    world.reads[0].set_exception(trouble) if isinstance(trouble, Exception) else world.reads[0].cancel()
    with pytest.raises(FenceFailed):
        await first
    await world.read_number(2)
    world.reads[1].set_result(None)
    assert (await second).read_at_ms == 2
    await fence.close()


async def test_a_silent_broker_fails_the_fence(world: World) -> None:
    """No end offsets in time: fail closed."""
    with pytest.raises(FenceFailed, match="its end offsets could not be read"):
        await Fence(None, world, world.now, timeout=0.01).reach()


async def test_a_view_that_stays_behind_is_logged_by_partition(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """On-call sees which partition holds everything back, and how far behind the view is there."""

    async def never(ends: Mapping[TopicPartition, int]) -> None:
        await asyncio.get_running_loop().create_future()

    monkeypatch.setattr(world, "reach", never)
    reaching = asyncio.create_task(Fence(None, world, world.now, timeout=0.05).reach())
    await world.read_number(1)
    world.reads[0].set_result(None)
    with capture_logs() as lines, pytest.raises(FenceFailed, match=r"consent\.records:0 \(applied 3, end 10\), genie"):
        await reaching
    assert [(line["topic"], line["partition"], line["offset"], line["lag"]) for line in lines] == [
        (topic, 0, 3, 7) for topic in TOPICS
    ]


async def test_closing_fails_whoever_waits(world: World) -> None:
    """Nobody waits for a fence that is gone."""
    fence = Fence(None, world, world.now)
    reading = asyncio.create_task(fence.reach())
    await world.read_number(1)
    waiting = asyncio.create_task(fence.reach())
    await asyncio.sleep(0)
    runner = fence._runner
    await fence.close()
    assert runner is not None
    assert runner.done()
    for task in (reading, waiting):
        with pytest.raises(FenceFailed):
            await task


async def test_who_comes_after_the_closing_fails(world: World) -> None:
    """It joins the round that will not count, and that round does no harm."""
    fence = Fence(None, world, world.now)
    reading = asyncio.create_task(fence.reach())
    await world.read_number(1)
    waiting = asyncio.create_task(fence.reach())
    await asyncio.sleep(0)
    await fence.close()
    late = asyncio.create_task(fence.reach())
    await world.read_number(2)
    world.reads[1].set_result(None)
    assert fence._runner is not None
    await asyncio.wait({fence._runner, reading, waiting, late})
    assert {type(task.exception()) for task in (reading, waiting, late)} == {FenceFailed}
    assert fence._runner.exception() is None


async def test_a_fence_that_nobody_needed_is_closed(world: World) -> None:
    """There is nothing to end, and nobody to tell."""
    await Fence(None, world, world.now).close()
    assert world.reads == []
