"""When an entry is given up, parked or put into a smaller batch: both sides of each bound."""

import pytest

from gateway.core import facts
from gateway.core.outcome import LookupStatus
from tests.lane_story import LOST, WITHDRAWN, Story, first, record, signed

HOUR = 3_600_000


def failing(attempts: int, answer: object, *records: object, **limits: int) -> Story:
    """So many attempts in vain, all of them together."""
    story = Story(**limits)
    story.deliver(*(records or (record(0),)))
    for _ in range(attempts):
        story.answer(story.send(), answer)
        story.wait(100)
    return story


@pytest.mark.parametrize(("later", "parked"), [(0, False), (1, True)])
def test_genie_must_have_taken_another_since_the_first_failure(later: int, parked: bool) -> None:
    """At the same moment says nothing: the fault may be GeNiE's."""
    story = Story(failed_attempts=2)
    story.answer(story.sent(record(0)), LOST)
    story.tell(facts.Tick(genie_ok_at=story.now + later))
    story.wait(100)
    decided_at = story.now + story.limits.cycle_max_ms
    story.answer(story.send(), LOST)
    assert bool(story.waits[1:]) is not parked
    if parked:
        story.until_lookup()
        story.look_up(LookupStatus.NOT_RECEIVED)
        assert story.settle() == {0: ("genie_fails_on_entry", "no")}
        assert abs(story.ledger[0]["decided_at"] - decided_at) <= story.limits.cycle_max_ms


@pytest.mark.parametrize(("attempts", "late", "parked"), [(8, 1, True), (8, 0, False), (7, 1, False)])
def test_refused_alone_for_an_hour_means_longer_than_an_hour_and_often(attempts: int, late: int, parked: bool) -> None:
    """Eight times, and one millisecond more."""
    story = Story()
    story.answer(story.sent(record(0)), signed(503))
    began_at = story.now
    for _ in range(attempts - 2):
        story.wait(100)
        story.answer(story.send(), signed(503))
    story.tell(facts.Tick(genie_ok_at=story.now))
    story.wait(100)
    story.now = began_at + HOUR - 2 * story.limits.cycle_max_ms
    sent = story.send()
    story.now = began_at + HOUR + late
    story.answer(sent, signed(503))
    assert bool(story.settle()) is parked


@pytest.mark.parametrize(("late", "given_up"), [(0, False), (1, True)])
def test_unknown_for_an_hour_means_longer_than_an_hour(late: int, given_up: bool) -> None:
    """One millisecond more."""
    story = Story(failed_attempts=2)
    story.answer(story.sent(record(0)), LOST)
    began_at = story.now
    story.wait(100)
    story.announce_or_check()
    story.decide(s1=WITHDRAWN)
    story.now = began_at + HOUR + late
    story.wait(0)
    story.look_up(LookupStatus.PROCESSING)
    assert bool(story.settle()) is given_up


@pytest.mark.parametrize(("size", "answer", "attempts", "halves"), [(3, signed(422), 1, 1), (5, signed(413), 1, 2)])
def test_a_batch_that_genie_cannot_read_is_halved(size: int, answer: object, attempts: int, halves: int) -> None:
    """The smaller half of an odd one, so that it ends with one alone."""
    story = failing(attempts, answer, *(record(n, n) for n in range(size)))
    assert len(story.send().entries) == halves


@pytest.mark.parametrize(("attempts", "size"), [(1, 4), (2, 2)])
def test_a_batch_is_halved_when_it_is_lost_a_second_time(attempts: int, size: int) -> None:
    """Once is chance."""
    assert len(failing(attempts, LOST, *(record(n, n) for n in range(4))).send().entries) == size


@pytest.mark.parametrize(("attempts", "size"), [(2, 4), (3, 2)])
def test_a_batch_that_is_refused_again_and_again_is_halved_too(attempts: int, size: int) -> None:
    """One of its entries may be why."""
    story = failing(attempts, signed(503), *(record(n, n) for n in range(4)), failed_attempts=3)
    assert len(story.send().entries) == size


@pytest.mark.parametrize("status", [LookupStatus.PROCESSING, LookupStatus.NOT_RECEIVED])
def test_only_a_lookup_that_says_received_is_a_provision(status: LookupStatus) -> None:
    """Whatever else it names."""
    story = Story()
    sent = story.sent(record(0))
    story.answer(sent, LOST)
    story.wait(100)
    story.announce_or_check()
    story.decide(s1=WITHDRAWN)
    story.until_lookup()
    story.look_up(status, first(sent.entries[0]))
    if status is LookupStatus.PROCESSING:
        assert not story.settle()
    else:
        assert story.settle() == {0: ("consent_withdrawn", "no")}


def test_received_without_saying_what_is_no_answer() -> None:
    """It is asked again."""
    story = Story()
    story.answer(story.sent(record(0)), LOST)
    story.wait(100)
    story.announce_or_check()
    story.decide(s1=WITHDRAWN)
    story.until_lookup()
    story.look_up(LookupStatus.RECEIVED)
    assert not story.settle()
    story.wait(100)
    assert story.all(facts.LookUp)
