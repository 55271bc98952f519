"""The window of a lane: watermark, gaps, the settled set."""

import pytest

from gateway.core.window import Window


def test_the_watermark_is_the_first_unsettled_delivered_offset() -> None:
    """What is settled behind it does not move it."""
    window = Window(10)
    for offset in (10, 11, 12):
        assert window.deliver(offset)
    window.settle(11)
    assert (window.watermark, window.settled_beyond(), window.unsettled, window.span) == (10, [11], 2, 3)
    window.settle(10)
    assert (window.watermark, window.settled_beyond(), window.unsettled, window.span) == (12, [], 1, 1)


def test_gaps_count_as_settled_once_the_position_has_passed_them() -> None:
    """Markers, aborted and compacted records are never delivered."""
    window = Window(0)
    window.deliver(5)
    assert window.watermark == 5
    window.settle(5)
    window.advance(9)
    assert (window.watermark, window.position, window.span) == (9, 9, 0)


def test_a_position_never_goes_back() -> None:
    """A fetch that reports an older one changes nothing."""
    window = Window(7)
    window.advance(3)
    assert window.position == 7


def test_what_an_earlier_owner_settled_is_not_delivered_again() -> None:
    """It counts for the watermark, and is said again until that has passed it."""
    window = Window(3, [4, 6])
    assert [offset for offset in (3, 4, 5, 6) if window.deliver(offset)] == [3, 5]
    assert window.settled_beyond() == [4, 6]
    window.settle(3)
    assert (window.watermark, window.settled_beyond()) == (5, [6])
    window.settle(5)
    assert (window.watermark, window.settled_beyond()) == (7, [])


def test_settled_offsets_below_the_committed_one_are_nothing_new() -> None:
    """Metadata may say more than is needed."""
    assert Window(5, [3, 6]).settled_beyond() == [6]


@pytest.mark.parametrize("offset", [3, 2])
def test_an_offset_delivered_again_is_our_own_mistake(offset: int) -> None:
    """It must not end in a second ledger record."""
    window = Window(0)
    window.deliver(3)
    with pytest.raises(AssertionError, match="delivered again"):
        window.deliver(offset)


def test_an_offset_settled_again_is_our_own_mistake() -> None:
    """It would be a second ledger record."""
    window = Window(0)
    window.deliver(0)
    window.deliver(1)
    window.settle(1)
    with pytest.raises(AssertionError, match="settled twice"):
        window.settle(1)


def test_the_committed_offset_itself_may_be_settled() -> None:
    """Metadata that says so is believed, and said again."""
    window = Window(3, [3, 6])
    assert window.settled_beyond() == [3, 6]
    assert not window.deliver(3)
    assert (window.watermark, window.unsettled) == (4, 0)
