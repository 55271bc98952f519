"""What a lane tells of itself, for health and metrics."""

import pytest

from gateway.core import facts
from gateway.core.delays import Delay
from gateway.core.entry import Announcement
from gateway.core.holds import HoldScope
from gateway.core.order import SubjectOrder
from gateway.core.outcome import LookupStatus
from tests.core_cases import NOW
from tests.lane_story import LOST, WITHDRAWN, Story, hold, record, signed, undecodable

IDLE = {
    "watermark": 0,
    "position": 0,
    "unsettled": 0,
    "oldest_at": None,
    "window_span": 0,
    "window_bytes": 0,
    "finished": 0,
    "ready": 0,
    "in_flight": 0,
    "waiting": 0,
    "looking_up": 0,
    "live_intents": 0,
    "stopped": False,
    "closing": False,
}


def test_a_lane_that_opens_has_nothing() -> None:
    """Every number is there from the beginning, and says so."""
    assert Story().lane.view() == IDLE


def test_a_record_is_seen_on_its_whole_way() -> None:
    """Ready, in flight, waiting, asked about, finished, settled: in one place at a time."""
    story = Story()
    story.deliver(record(0, 1), record(1, 2), position=4)
    delivered = IDLE | {"position": 4, "unsettled": 2, "oldest_at": NOW, "window_span": 4, "window_bytes": 2_000}
    assert story.lane.view() == delivered | {"ready": 2}
    sent = story.send()
    assert story.lane.view() == delivered | {"in_flight": 2, "live_intents": 1}
    story.answer(sent, LOST)
    assert story.lane.view() == delivered | {"waiting": 2, "live_intents": 1}
    story.wait(100)
    story.announce_or_check()
    story.decide(s1=WITHDRAWN, s2=WITHDRAWN)
    assert story.lane.view() == delivered | {"waiting": 2, "live_intents": 1}
    story.until_lookup()
    assert story.lane.view() == delivered | {"looking_up": 2, "live_intents": 1}
    story.look_up(LookupStatus.NOT_RECEIVED)
    story.settle()
    assert story.lane.view() == IDLE | {"watermark": 4, "position": 4}


def test_what_is_finished_but_not_settled_is_counted() -> None:
    """It waits for the next transaction."""
    story = Story()
    story.commit()
    story.deliver(undecodable(0))
    assert story.lane.view()["finished"] == 1
    story.commit()
    assert story.lane.view()["finished"] == 0


def test_a_lane_says_that_it_is_stopped_or_closing() -> None:
    """A person must know why nothing goes on."""
    story = Story()
    story.answer(story.sent(record(0)), signed(403))
    assert (story.lane.view()["stopped"], story.lane.view()["closing"]) == (True, False)
    story.tell(facts.Closing(story.now + 10))
    assert story.lane.view()["closing"] is True


def test_batches_in_flight_are_counted_by_their_entries() -> None:
    """However they are spread over batches."""
    story = Story(batch=2)
    story.deliver(*(record(n, n) for n in range(5)))
    story.announce()
    story.decide()
    view = story.lane.view()
    assert (view["in_flight"], view["live_intents"]) == (5, 3)


def test_no_more_slots_are_asked_for_than_a_transaction_can_use() -> None:
    """One for each batch that is ready, and at most sixty-four, or as many as hold 1,600 entries."""
    for batch, subjects, wanted in ((2, 1, 1), (2, 4, 2), (2, 5, 3), (2, 200, 64), (100, 1_700, 16), (2_000, 1, 1)):
        story = Story(batch=batch)
        story.deliver(*(record(n, n) for n in range(subjects)))
        assert story.take(facts.WantSlots).count == wanted


def why(story: Story) -> Delay | None:
    return story.lane.delay(story.now)


def test_a_delay_is_told_at_each_station_of_the_way() -> None:
    """A person must know what the oldest record waits for: Kafka, GeNiE, or us."""
    story = Story()
    assert why(story) is None
    story.deliver(record(0, 1), record(1, 2))
    assert why(story) is Delay.SLOT
    announcing = story.take(facts.WantSlots)
    story.tell(facts.SlotsGranted(announcing.count))
    assert why(story) is Delay.COMMIT
    story.commit()
    assert why(story) is Delay.FENCE
    story.decide()
    assert why(story) is Delay.ANSWER
    story.answer(story.take(facts.Send), LOST)
    assert why(story) is Delay.RETRY
    story.wait(100)
    story.announce_or_check()
    story.decide(s1=WITHDRAWN, s2=WITHDRAWN)
    assert why(story) is Delay.LOOKUP_TIME
    story.until_lookup()
    assert why(story) is Delay.LOOKUP
    story.look_up(LookupStatus.NOT_RECEIVED)
    assert why(story) is Delay.COMMIT
    story.settle()
    assert why(story) is None


def test_a_commit_under_way_is_what_its_records_wait_for() -> None:
    """What it settles has left the lane, but is not surely settled."""
    story = Story()
    story.commit()
    story.deliver(undecodable(0))
    assert why(story) is Delay.COMMIT
    story.wait(story.limits.cycle_max_ms)
    assert story.all(facts.Produce)
    assert (story.lane.view()["finished"], why(story)) == (0, Delay.COMMIT)
    story.commit()
    assert why(story) is None


def test_what_is_about_to_be_announced_waits_for_a_transaction() -> None:
    """First for the next to begin, then for that to end; one that announces others keeps nobody waiting."""
    story = Story()
    story.commit()
    story.deliver(record(0, 1))
    story.tell(facts.SlotsGranted(story.take(facts.WantSlots).count))
    assert (story.all(facts.Produce), why(story)) == ([], Delay.COMMIT)
    story.wait(story.limits.cycle_max_ms)
    assert len(story.all(facts.Produce)) == 1
    assert why(story) is Delay.COMMIT
    story.commit()
    story.deliver_more(record(1, 2))
    story.grant()
    assert len(story.all(facts.Produce)) == 1
    assert why(story) is Delay.FENCE


def test_what_has_ended_is_not_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a commit hangs the window may be full of it, and each look would go through all of that."""
    story = Story()
    story.commit()
    monkeypatch.setattr(SubjectOrder, "head_at", lambda *_: pytest.fail("looked through the window"))
    story.deliver(undecodable(0), undecodable(1))
    assert why(story) is Delay.COMMIT
    story.wait(story.limits.cycle_max_ms)
    assert story.all(facts.Produce)
    assert why(story) is Delay.COMMIT


def test_a_record_that_can_not_be_decoded_any_more_is_found() -> None:
    """It is in no subject's line, while GeNiE may have it and is asked."""
    before = Story()
    before.sent(record(0))
    story = Story(before.next_owner())
    story.deliver(undecodable(0))
    assert why(story) is Delay.LOOKUP_TIME
    story.until_lookup()
    assert why(story) is Delay.LOOKUP


def test_a_record_that_must_be_confirmed_waits_for_the_fence() -> None:
    """Also when it is not to be sent."""
    story = Story()
    story.deliver(record(0), s1=WITHDRAWN)
    story.announce_or_check()
    assert why(story) is Delay.FENCE


def test_what_keeps_a_lane_is_told_before_what_a_record_waits_for() -> None:
    """A hold, a stop, a drain and a full set of intents all leave the record waiting for its turn."""
    held = Story(holds=hold(HoldScope.ALL))
    held.deliver(record(0))
    assert why(held) is Delay.HOLD
    stopped = Story()
    stopped.answer(stopped.sent(record(0)), signed(403))
    stopped.wait(100)
    assert why(stopped) is Delay.STOP
    stopped.tell(facts.Closing(stopped.now + 10_000))
    assert why(stopped) is Delay.CLOSING


def test_intents_that_are_all_taken_keep_the_oldest_waiting() -> None:
    """Those that an earlier owner announced, and that later records hold."""
    story = Story(live_intents=1)
    story.deliver(record(0, 1), record(1, 2))
    story.lane._live._live.append(Announcement("other", 0, 0, holders=1))
    assert why(story) is Delay.INTENTS


def test_the_delay_is_the_oldest_records() -> None:
    """Not that of one that is further."""
    story = Story()
    sent = story.sent(record(0, 1))
    story.deliver_more(record(1, 2))
    assert why(story) is Delay.ANSWER
    story.answer(sent, LOST)
    assert why(story) is Delay.RETRY
