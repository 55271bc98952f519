"""Who waits for a fence."""

from gateway.core.batching import Batch
from gateway.core.entry import Announcement, Entry
from gateway.core.rounds import Rounds
from tests.lane_story import record


def batch(offset: int, subject: int) -> Batch:
    return Batch(Announcement(f"batch-{offset}", 0, 1), [Entry(record(offset, subject))])


def test_who_comes_while_a_fence_is_under_way_waits_for_the_next() -> None:
    """It may have begun before what they ask for was known."""
    rounds = Rounds(5)
    assert (rounds.next_at, bool(rounds), rounds.is_wanted, rounds.is_under_way) == (5, False, False, False)
    first, check = batch(0, 1), Entry(record(1, 2))
    rounds.join([first], [check])
    assert (bool(rounds), rounds.is_wanted) == (True, True)
    assert rounds.begin() == {"subject-1a", "subject-2a"}
    assert (bool(rounds), rounds.is_wanted, rounds.is_under_way) == (True, False, True)
    later = batch(2, 3)
    rounds.join([later])
    assert rounds.is_wanted
    waited = rounds.take()
    assert (waited.batches, waited.checks) == ([first], [check])
    assert rounds.begin() == {"subject-3a"}


def test_after_a_fence_that_failed_all_wait_for_the_next() -> None:
    """Those of the failed one first."""
    rounds = Rounds(0)
    one, two = batch(0, 1), batch(1, 2)
    early, late = Entry(record(2, 3)), Entry(record(3, 4))
    rounds.join([one], [early])
    rounds.begin()
    rounds.join([two], [late])
    rounds.put_back()
    assert not rounds.is_under_way
    assert rounds.begin() == {"subject-1a", "subject-2a", "subject-3a", "subject-4a"}
    waited = rounds.take()
    assert (waited.batches, waited.checks) == ([one, two], [early, late])
    assert not rounds
