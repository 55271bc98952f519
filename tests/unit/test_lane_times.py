"""When a lane does what: how long it waits before each attempt, and when it wants to be woken."""

from gateway.core import facts
from gateway.core.holds import Holds, HoldScope
from gateway.core.outcome import LookupStatus
from tests.lane_story import LOST, WITHDRAWN, Story, hold, record, replay, signed, undecodable

# --- before another attempt ---------------------------------------------------------------------------------


def test_each_attempt_in_vain_waits_longer() -> None:
    """Lost ones and refused ones count alike, by the entry that had most of them."""
    story = Story()
    story.answer(story.sent(record(0)), LOST)
    story.wait(100)
    story.answer(story.send(), signed(503))
    story.wait(100)
    story.deliver(record(1, 2))
    story.answer(story.send(), LOST)
    assert story.waits == [(1, None), (2, None), (3, None)]


def test_retry_after_and_the_retry_budget_put_an_attempt_off() -> None:
    """Both are added to the wait, and the lane sleeps until then."""
    story = Story()
    sent = story.sent(record(0))
    story.retry_delay = 30
    story.answer(sent, signed(429, wait=2_000))
    assert story.waits == [(1, 2_000)]
    assert story.lane.wake_at(story.now) == story.now + 2_130
    story.wait(2_129)
    assert not story.all(facts.WantSlots)
    story.wait(1)
    assert story.all(facts.WantSlots)


def test_the_halves_of_a_batch_go_at_once() -> None:
    """GeNiE answered, so it is neither busy nor away: no longer wait, and nothing off the retry budget."""
    story = Story()
    story.answer(story.sent(record(0, 1), record(1, 2)), signed(503))
    story.wait(100)
    sent = story.send()
    story.retry_delay = 30
    story.answer(sent, signed(422))
    assert story.lane.wake_at(story.now) == story.now + 100
    story.wait(100)
    assert len(story.send().entries) == 1
    assert story.waits == [(1, None), (1, None)]


def test_each_question_in_vain_waits_longer() -> None:
    """By the entry that was asked about most often."""
    story = Story()
    story.answer(story.sent(record(0)), LOST)
    story.wait(100)
    story.announce_or_check()
    story.decide(s1=WITHDRAWN)
    story.until_lookup()
    story.waits.clear()
    for _ in range(3):
        story.look_up(LookupStatus.PROCESSING)
        assert story.lane.wake_at(story.now) == story.now + 100
        story.wait(100)
    assert story.waits == [(1, None), (2, None), (3, None)]


def test_a_lookup_is_due_once_no_clock_lets_genie_accept_any_more() -> None:
    """After the last expires, the skew and one millisecond."""
    story = Story()
    sent = story.sent(record(0))
    story.answer(sent, LOST)
    story.wait(100)
    story.announce_or_check()
    story.decide(s1=WITHDRAWN)
    due_at = sent.expires_at + story.limits.skew_ms + 1
    assert story.lane.wake_at(story.now) == due_at
    story.wait(due_at - story.now - 1)
    assert not story.all(facts.LookUp)
    story.wait(1)
    assert story.all(facts.LookUp)


def test_what_was_never_sent_is_asked_about_as_soon_as_the_skew_is_over() -> None:
    """A replay waits for no attempt of this lane."""
    story = Story(mixed=True)
    story.deliver(replay(0, 3))
    story.grant()
    story.wait(0)
    assert story.all(facts.LookUp)


# --- transactions -------------------------------------------------------------------------------------------


def busy(took: int, **limits: int) -> Story:
    """A lane whose last transaction took so long, and that has something to settle."""
    story = Story(cycle_min_ms=10, **limits)
    story.deliver(undecodable(0))
    story.wait(story.limits.cycle_max_ms)
    story.take(facts.Produce)
    story.tell(facts.Produced([]))
    story.deliver_more(undecodable(1))
    story.now += took
    story.take(facts.Commit)
    story.tell(facts.Committed())
    return story


def test_the_pause_after_a_transaction_is_as_long_as_it_took() -> None:
    """The busier the brokers, the more records each transaction must carry."""
    story = busy(took=60)
    assert story.lane.wake_at(story.now) == story.now + 60
    story.wait(59)
    assert not story.all(facts.Produce)
    story.wait(1)
    assert story.all(facts.Produce)


def test_the_pause_has_a_shortest_and_a_longest() -> None:
    """Neither a quick broker nor one that hung sets the pace alone."""
    quick, slow = busy(took=3), busy(took=5_000, cycle_max_ms=100)
    assert quick.lane.wake_at(quick.now) == quick.now + 10
    assert slow.lane.wake_at(slow.now) == slow.now + 100


def test_while_a_transaction_is_open_no_tick_is_due() -> None:
    """Its end is a fact of its own."""
    story = Story()
    assert story.lane.wake_at(story.now) is None
    story.tell(facts.Produced([]))
    assert story.lane.wake_at(story.now) is None


def test_a_gap_alone_is_committed_only_after_a_while() -> None:
    """An idle lane that passes markers commits once in so long."""
    story = Story()
    story.commit()
    committed_at = story.now
    story.deliver(position=7)
    assert story.lane.wake_at(story.now) == committed_at + story.limits.idle_commit_ms
    story.wait(story.limits.idle_commit_ms - 1)
    assert not story.all(facts.Produce)
    story.wait(1)
    assert story.all(facts.Produce)


def test_a_slot_that_is_held_wakes_the_lane_for_the_next_transaction() -> None:
    """What it was asked for is announced by then."""
    story = Story()
    story.commit()
    story.deliver(record(0))
    story.tell(facts.SlotsGranted(story.take(facts.WantSlots).count))
    assert story.lane.wake_at(story.now) == story.now + 10
    story.wait(10)
    assert story.all(facts.Produce)


# --- fences and stops ---------------------------------------------------------------------------------------


def test_a_failed_fence_is_tried_again_after_a_while() -> None:
    """And the lane asks to be woken for it."""
    story = Story()
    story.deliver(record(0))
    story.announce()
    story.take(facts.StartFence)
    story.tell(facts.FenceFailed())
    assert story.lane.wake_at(story.now) == story.now + story.limits.fence_retry_ms
    story.wait(story.limits.fence_retry_ms - 1)
    assert not story.all(facts.StartFence)
    story.wait(1)
    assert story.all(facts.StartFence)


def test_a_paused_lane_asks_again_and_again_whether_it_still_is() -> None:
    """The fence brings the holds, so it fences for nobody's consent."""
    story = Story(holds=hold(HoldScope.ALL))
    story.deliver(record(0))
    assert story.take(facts.StartFence).subjects == frozenset()
    story.tell(facts.FenceReached(story.now, {}, story.holds))
    assert story.lane.wake_at(story.now) == story.now + story.limits.hold_poll_ms
    story.wait(story.limits.hold_poll_ms - 1)
    assert not story.all(facts.StartFence)
    story.wait(1)
    story.take(facts.StartFence)
    story.tell(facts.FenceReached(story.now, {}, Holds()))
    assert story.all(facts.WantSlots)


def test_a_lane_that_is_paused_and_has_nothing_to_do_sleeps() -> None:
    """Nobody waits for the hold to end."""
    story = Story(holds=hold(HoldScope.ALL))
    story.commit()
    assert story.lane.wake_at(story.now) is None


def test_a_decision_of_just_so_old_still_counts() -> None:
    """One millisecond more, and it is fenced again."""
    story = Story()
    story.deliver(record(0))
    story.announce()
    story.decide(read_at=story.now - story.limits.decision_age_ms)
    story.take(facts.Send)


def test_a_batch_is_sent_as_long_as_enough_of_its_time_is_left() -> None:
    """A sixth of it; with less it is announced again."""
    for late, sent in ((0, 1), (1, 0)):
        story = Story()
        story.deliver(record(0))
        (intent,) = story.announce().intents
        story.now = intent["expires_at"] - story.limits.expires_ms // 6 + late
        story.decide()
        assert len(story.all(facts.Send)) == sent


def test_a_stopped_lane_wakes_when_it_may_try_again() -> None:
    """Until then no batch is formed, whatever waits."""
    story = Story()
    story.answer(story.sent(record(0)), signed(403))
    story.commit_all()
    story.deliver(record(1, 2))
    story.wait(200)
    stopped_until = story.now - 200 + story.limits.stop_retry_ms
    assert story.lane.view()["stopped"]
    assert story.lane.wake_at(story.now) == stopped_until
    story.wait(stopped_until - story.now)
    assert not story.lane.view()["stopped"]
    assert story.all(facts.WantSlots)


# --- closing ------------------------------------------------------------------------------------------------


def test_a_closing_lane_wakes_at_its_deadline_unless_something_is_to_be_settled() -> None:
    """Then the next transaction comes first."""
    story = Story()
    sent = story.sent(record(0))
    story.commit_all()
    deadline = story.now + 5_000
    story.tell(facts.Closing(deadline))
    assert story.lane.wake_at(story.now) == deadline
    story.answer(sent)
    assert not story.all(facts.Closed)
    assert (story.lane.wake_at(story.now) or deadline) <= deadline
    story.settle()
    story.take(facts.Closed)
    assert story.lane.wake_at(story.now) is None
