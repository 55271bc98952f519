"""A feed: what a lane takes of its partition, and when the partition is paused."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.structs import TopicPartition

from gateway.kafka.source import FEED_HIGH, FEED_LOW, POSITION_EVERY_S, TAKE_BYTES, Feed
from tests.source_world import MOST_BYTES, REAL_SLEEP, ZERO, offsets, record, records


def heavy(offset: int) -> Any:
    return SimpleNamespace(offset=offset, key=b"key", value=None, headers=(("h", b"12"), ("none", None)))


class Asked:
    """Stands for the source of one feed: what was asked of it."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.membership = SimpleNamespace(confirm=self._confirm)

    async def _confirm(self) -> None:
        self.calls.append("confirm")

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.calls.append(f"seek {offset}")

    def pause(self, partition: TopicPartition) -> None:
        self.calls.append("pause")

    def resume(self, partition: TopicPartition) -> None:
        self.calls.append("resume")


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
def feed(asked: Asked) -> Feed:
    """One of one lane."""
    source: Any = asked
    return Feed(source, ZERO, is_new=False, lanes=1, most_bytes=MOST_BYTES)


async def waits(feed: Feed) -> bool:
    """Whether somebody who takes from it must wait."""
    taking = asyncio.create_task(feed.take(10))
    for _ in range(3):
        await REAL_SLEEP(0)
    taking.cancel()
    return not taking.done()


async def test_records_are_taken_in_order_up_to_the_limit(feed: Feed) -> None:
    """With the position behind them; who takes waits until there is something."""
    feed.seek(5)
    assert await waits(feed)
    feed.put(records(5, 8))
    assert feed.view() == {"feed_records": 3, "feed_bytes": 3}
    taken, position = await feed.take(2)
    assert (offsets(taken), position) == ([5, 6], 7)
    taken, position = await feed.take(2)
    assert (offsets(taken), position) == ([7], 8)
    assert feed.view() == {"feed_records": 0, "feed_bytes": 0}
    assert await waits(feed)


async def test_no_more_bytes_are_taken_at_once_than_a_window_holds(feed: Feed) -> None:
    """At least one record, however large."""
    feed.seek(0)
    feed.put([record(offset, TAKE_BYTES // 2) for offset in range(3)] + [record(3, 2 * TAKE_BYTES)])
    for expected in ([0, 1], [2, 3]):
        taken, _ = await feed.take(10)
        assert offsets(taken) == expected


async def test_keys_and_headers_take_memory_too(feed: Feed) -> None:
    """All that is kept of a record counts."""
    feed.seek(0)
    feed.put([heavy(0)])
    assert feed.view() == {"feed_records": 1, "feed_bytes": len("key") + len("h12") + len("none")}


async def test_what_was_polled_before_a_seek_is_stale(feed: Feed) -> None:
    """Neither records before the offset nor what waited nor what comes to a stopped feed is ever taken."""
    assert not feed.is_open
    feed.put(records(0, 3))
    feed.seek(5)
    assert feed.is_open
    feed.put(records(2, 5))
    assert await waits(feed)
    feed.put(records(3, 8))
    feed.put(records(6, 9))
    assert feed.view()["feed_records"] == 4
    feed.seek(7)
    assert await waits(feed)
    feed.put(records(7, 9))
    feed.stop()
    assert not feed.is_open
    feed.put(records(9, 10))
    assert feed.view() == {"feed_records": 0, "feed_bytes": 0}
    feed.seek(20)
    assert await waits(feed)


async def test_a_feed_is_taken_from_after_its_seek(feed: Feed) -> None:
    """A lane that let go of it and takes all the same has a fault."""
    feed.seek(5)
    feed.put(records(5, 6))
    feed.stop()
    with pytest.raises(AssertionError, match="after its seek"):
        await feed.take(1)


async def test_a_gap_moves_the_position_while_nothing_waits(feed: Feed) -> None:
    """Markers are never delivered, and the lane must get past them; a position behind ours says nothing."""
    feed.passed(9)
    feed.seek(5)
    feed.passed(5)
    assert await waits(feed)
    feed.passed(9)
    assert await feed.take(10) == ([], 9)
    assert await waits(feed)
    feed.put(records(9, 10))
    feed.passed(12)
    taken, position = await feed.take(10)
    assert (offsets(taken), position) == ([9], 10)


async def test_a_feed_wants_its_position_now_and_then_while_it_is_idle(feed: Feed) -> None:
    """Only an open one, from which all was taken."""
    assert not feed.wants_position(100.0)
    feed.seek(5)
    assert feed.wants_position(100.0)
    assert not feed.wants_position(100.0 + POSITION_EVERY_S / 2)
    assert feed.wants_position(100.0 + POSITION_EVERY_S)
    feed.put(records(5, 6))
    assert not feed.wants_position(200.0)


async def test_a_feed_that_is_full_of_records_is_paused_until_few_are_left(feed: Feed, asked: Asked) -> None:
    """Neither earlier."""
    feed.seek(0)
    feed.put(records(0, FEED_HIGH - 1))
    assert asked.calls == ["seek 0"]
    feed.put(records(FEED_HIGH - 1, FEED_HIGH))
    assert asked.calls == ["seek 0", "pause"]
    await feed.take(FEED_HIGH - FEED_LOW)
    assert asked.calls == ["seek 0", "pause"]
    await feed.take(1)
    assert asked.calls == ["seek 0", "pause", "resume"]


async def test_a_feed_that_is_full_of_bytes_is_paused_until_few_are_left(feed: Feed, asked: Asked) -> None:
    """Few large records are as many as many small ones."""
    feed.seek(0)
    feed.put([record(offset, MOST_BYTES // 4) for offset in range(4)])
    assert asked.calls == ["seek 0", "pause"]
    await feed.take(3)
    assert asked.calls == ["seek 0", "pause"]
    await feed.take(1)
    assert asked.calls == ["seek 0", "pause", "resume"]


async def test_a_lane_learns_by_its_feed_that_the_group_knows_us(feed: Feed, asked: Asked) -> None:
    """It waits for the answer."""
    await feed.confirm_membership()
    assert asked.calls == ["confirm"]
