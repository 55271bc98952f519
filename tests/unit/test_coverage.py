"""How many offsets of a long row were seen: exactly in a short one, never too many in a long one."""

import pytest

from gateway.core.coverage import COUNTERS, Coverage


@pytest.mark.parametrize("end", [10, COUNTERS - 1])
def test_in_a_short_row_each_offset_counts_once(end: int) -> None:
    """However often it is seen."""
    row = Coverage(end)
    for offset in (0, 3, 3, end - 1, end - 1):
        row.see(offset)
    assert row.seen == 3


@pytest.mark.parametrize("offset", [-1, 10, 11])
def test_what_is_not_in_the_row_is_left_out(offset: int) -> None:
    """A trace may speak of offsets that the log does not have."""
    row = Coverage(10)
    row.see(offset)
    assert row.seen == 0


def test_in_a_long_row_neighbours_share_a_counter() -> None:
    """It counts no more than they are, and says nothing of farther ones."""
    row = Coverage(3 * COUNTERS - 1)
    for _ in range(9):
        row.see(4)
    assert row.seen == 3
    row.see(6)
    row.see(2)
    assert row.seen == 5


def test_all_of_a_long_row_is_counted() -> None:
    """To its last offset."""
    end = 2 * COUNTERS
    row = Coverage(end)
    for offset in range(end):
        row.see(offset)
    assert row.seen == end
