"""Whose turn it is: the lines of subjects."""

from gateway.core.entry import Entry, State
from gateway.core.order import SubjectOrder
from tests.lane_story import record


def joined(order: SubjectOrder, *places: tuple[int, int]) -> list[Entry]:
    """Entries (offset, subject), in their lines."""
    entries = [Entry(record(offset, subject)) for offset, subject in places]
    for entry in entries:
        order.join(entry)
    return entries


def finish(order: SubjectOrder, entry: Entry) -> None:
    entry.state = State.DONE
    order.leave(entry)


def test_heads_come_by_offset_and_one_for_each_subject() -> None:
    """The oldest first; those behind a head wait."""
    order = SubjectOrder()
    one, _, two = joined(order, (0, 1), (1, 1), (2, 2))
    assert order.ready == 2
    assert [order.next_head(), order.next_head(), order.next_head()] == [one, two, None]


def test_the_next_may_start_when_all_before_it_are_done() -> None:
    """Whatever order they end in."""
    order = SubjectOrder()
    one, two, three, four = joined(order, (0, 1), (1, 1), (2, 1), (3, 1))
    order.next_head()
    finish(order, two)
    assert order.next_head() is None
    finish(order, one)
    assert order.next_head() is three
    assert list(order.line(three)) == [three, four]


def test_an_entry_that_waits_again_keeps_its_place() -> None:
    """Behind an unfinished one it is no head; in front it is."""
    order = SubjectOrder()
    one, two = joined(order, (0, 1), (1, 1))
    one.state = State.SENDING
    order.next_head()
    order.requeue(two)
    assert order.ready == 0
    order.requeue(one)
    assert order.next_head() is one


def test_an_entry_that_joins_while_it_waits_for_something_is_no_head() -> None:
    """It holds its place in the line, and comes when it is queued."""
    order = SubjectOrder()
    entry = Entry(record(0), state=State.LOOKUP_WAIT)
    order.join(entry)
    assert order.next_head() is None
    order.requeue(entry)
    assert order.next_head() is entry


def test_a_line_is_told_in_order_and_forgotten_when_it_is_empty() -> None:
    """Nothing is kept of a subject whose records are all done."""
    order = SubjectOrder()
    one, two = joined(order, (0, 1), (1, 1))
    assert list(order.line(one)) == [one, two]
    finish(order, one)
    finish(order, two)
    assert joined(order, (2, 1)) == list(order.line(Entry(record(2, 1))))


def test_what_is_beyond_an_offset_is_not_ready_below_it() -> None:
    """The window's bound asks by offset."""
    order = SubjectOrder()
    joined(order, (7, 1))
    assert order.ready_below(8)
    assert not order.ready_below(7)
