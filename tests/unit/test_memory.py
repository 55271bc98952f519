"""The memory budget: lanes share what is left of it, and their shares never add up to more."""

import pytest

from gateway import memory
from gateway.kafka.codec import MAX_RECORD_BYTES
from gateway.kafka.intake import MEMORY_FACTOR, MEMORY_OVERHEAD

GIB = 1 << 30


@pytest.mark.parametrize("lanes", [1, 5, 20, 100, 300])
@pytest.mark.parametrize("budget", [GIB // 2, GIB, 4 * GIB])
def test_all_shares_together_stay_below_the_budget(budget: int, lanes: int) -> None:
    """Twice each window, its feed, and what the process itself takes."""
    share = memory.share(budget, 64, 32 << 20, lanes)
    if share.window > memory.LEAST_WINDOW_BYTES:
        assert memory.fixed_bytes(64) + lanes * (share.window + share.feed) <= budget
    assert memory.LEAST_WINDOW_BYTES <= share.window <= 32 << 20
    assert memory.LEAST_FEED_BYTES <= share.feed <= memory.MOST_FEED_BYTES


def test_few_lanes_get_all_that_they_use_well() -> None:
    """The default budget is enough for ten lanes with full windows."""
    assert memory.share(GIB, 64, 32 << 20, 10) == memory.Share(window=32 << 20, feed=memory.MOST_FEED_BYTES)


def test_the_largest_record_fits_the_least_window() -> None:
    """A lane with the smallest share still takes any record that the codec lets through."""

    assert MAX_RECORD_BYTES * MEMORY_FACTOR + MEMORY_OVERHEAD <= memory.LEAST_WINDOW_BYTES
    assert MAX_RECORD_BYTES <= memory.LEAST_FEED_BYTES
