"""Holds, bounds and the end of a lane: pausing, parking, windows, slots, closing. (steps i, j, k)"""

from typing import Any

import pytest

from gateway.core import facts
from gateway.core.consent import ConsentStatus
from gateway.core.holds import Holds, HoldScope
from gateway.core.metadata import CommitMetadata, IntentRef
from gateway.core.outcome import LookupStatus
from tests.lane_story import LOST, Story, hold, record, replay, signed, state, undecodable

PAUSING = [
    hold(HoldScope.ALL),
    hold(HoldScope.EVENT_TYPE, "lease_payment"),
    hold(HoldScope.INPUT_PARTITION, "lease.payments:0"),
]

# --- (i) holds ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pause", PAUSING)
def test_a_hold_on_more_than_a_subject_pauses_the_lane_until_it_is_released(pause: Holds) -> None:
    """Nothing is announced, nothing is parked, and the lane looks again and again whether it may go on."""
    story = Story(holds=pause)
    story.deliver(record(0), undecodable(1))
    story.commit()
    assert story.ledger.keys() == {1}
    assert not story.all(facts.WantSlots)
    story.decide()
    story.wait(story.limits.hold_poll_ms)
    story.holds = Holds()
    story.decide()
    story.answer(story.send())
    assert story.settle()[0] == ("accepted", "yes")


def test_a_hold_between_announcement_and_fence_is_honoured() -> None:
    """The batch is not sent, and its slot goes back."""
    story = Story()
    story.deliver(record(0))
    story.announce()
    story.holds = PAUSING[0]
    story.decide()
    assert not story.all(facts.Send)
    assert story.take(facts.FreeSlots).count == 1


def test_a_hold_on_a_subject_parks_its_records_and_no_others() -> None:
    """On-call is offered the replay once the hold is released."""
    story = Story(holds=hold(HoldScope.SUBJECT, "subject-1a"))
    story.deliver(record(0), record(1, 2))
    story.announce()
    story.decide()
    story.decide()
    story.answer(story.take(facts.Send))
    assert story.settle() == {0: ("held", "no"), 1: ("accepted", "yes")}
    assert [parked.key for parked in story.parked] == ["lease.payments:0:0"]


@pytest.mark.parametrize(("partition", "is_held"), [("lease.payments:7", True), ("lease.payments:8", False)])
def test_a_hold_on_a_partition_parks_the_replays_of_its_records(partition: str, is_held: bool) -> None:
    """Found by the simulation: a replay lies in another partition, and its record must not leave all the same."""
    story = Story(mixed=True, holds=hold(HoldScope.INPUT_PARTITION, partition))
    story.deliver(replay(0, 3))
    story.grant()
    story.look_up_now(LookupStatus.NOT_RECEIVED)
    if is_held:
        story.grant()
        story.decide()
    else:
        story.answer(story.send())
    assert story.settle() == {0: ("held", "no") if is_held else ("accepted", "yes")}


def test_a_lane_that_mixes_types_parks_where_another_would_pause() -> None:
    """Else one held type would stop the replays of all others."""
    story = Story(mixed=True, holds=hold(HoldScope.EVENT_TYPE, "lease_payment"))
    story.deliver(replay(0, 3))
    story.grant()
    story.look_up_now(LookupStatus.NOT_RECEIVED)
    story.grant()
    story.decide()
    assert story.settle() == {0: ("held", "no")}


# --- (j) bounds ---------------------------------------------------------------------------------------------


def test_the_window_bounds_how_far_the_lane_reads_ahead() -> None:
    """However many are settled beyond it, nothing is fetched past the window's distance from the watermark."""
    story = Story(window=4, fetch=3, batch=1)
    story.commit()
    assert story.all(facts.FetchMore)[0].limit == 3
    story.deliver(record(0, 1), record(1, 2), record(2, 3))
    assert story.all(facts.FetchMore)[0].limit == 1
    story.deliver(record(3, 4))
    story.announce()
    story.decide()
    one, *others = story.all(facts.Send)
    for send in others:
        story.answer(send)
    story.settle()
    assert not story.all(facts.FetchMore)
    story.answer(one)
    story.settle()
    assert story.take(facts.FetchMore).limit == 3


def test_the_byte_budget_bounds_what_is_kept_in_memory() -> None:
    """Nothing more is fetched until something is settled."""
    story = Story(window_bytes=2_000)
    story.deliver(record(0), record(1))
    assert not story.all(facts.FetchMore)
    story.answer(story.send())
    story.settle()
    story.take(facts.FetchMore)


def test_a_lane_reads_only_so_far_ahead_of_what_can_start() -> None:
    """While some of it waits for its turn no more is fetched; once nobody does, more is."""
    story = Story(ahead=2)
    story.deliver(record(0, 1))
    assert story.all(facts.FetchMore)
    story.deliver(record(1, 2))
    assert not story.all(facts.FetchMore)
    story.announce()
    assert story.all(facts.FetchMore)


def test_what_is_too_far_from_the_watermark_waits_for_it() -> None:
    """A gap may carry the position beyond the window; what can't be settled is not announced, and nothing spins."""
    story = Story(window=4)
    story.deliver(record(0, 1), record(9, 2), undecodable(10))
    one = story.send()
    assert [entry.idempotency_key for entry in one.entries] == ["key-000000"]
    story.wait(1_000)
    assert not story.all(facts.WantSlots)
    assert story.lane.wake_at(story.now) is None
    story.answer(one)
    story.commit()
    story.answer(story.send())
    assert story.settle().keys() == {0, 9, 10}


def test_at_the_bound_of_live_intents_lookups_make_room() -> None:
    """Entries that may have been received don't wait for an intent that none of them gives back."""
    story = Story(live_intents=2, batch=1)
    story.deliver(record(0, 1), record(1, 2), record(2, 3))
    story.announce()
    story.decide()
    for send in story.all(facts.Send):
        story.asked.remove(send)
        story.answer(send, LOST)
    story.wait(1_000)
    assert not story.all(facts.WantSlots)
    story.until_lookup()
    story.look_up(LookupStatus.NOT_RECEIVED)
    assert len(story.announce().intents) == 2


def lost_and_withdrawn(*records: Any, batch: int) -> Story:
    """Records whose attempts are lost and whose consents are withdrawn by then."""
    story = Story(batch=batch, window=2_000)
    story.deliver(*records)
    story.announce()
    story.decide()
    for send in story.all(facts.Send):
        story.answer(send, LOST)
    story.wait(100)
    story.announce_or_check()
    story.decide(**{f"s{n}": state(n, status=ConsentStatus.WITHDRAWN) for n in range(len(records))})
    story.until_lookup()
    return story


def test_lookups_are_few_at_a_time() -> None:
    """A hung GeNiE holds a handful of questions, each of at most a hundred keys."""
    story = lost_and_withdrawn(*(record(n, n) for n in range(1_000)), batch=500)
    questions = story.all(facts.LookUp)
    assert [len(question.keys) for question in questions] == [100] * 4
    story.tell(facts.LookedUp(questions[0].lookup_id, None))
    assert len(story.all(facts.LookUp)) == 5


def test_a_key_is_asked_once_for_all_records_that_have_it() -> None:
    """Two records with one event id, of two subjects, share the answer."""
    story = lost_and_withdrawn(record(0, 0, number=7), record(1, 1, number=7), batch=1)
    assert story.all(facts.LookUp)[0].keys == ("key-000007",)
    story.look_up(LookupStatus.NOT_RECEIVED)
    assert story.settle() == {0: ("consent_withdrawn", "no"), 1: ("consent_withdrawn", "no")}


def test_slots_that_come_too_late_go_back_at_once() -> None:
    """A lane without work holds none that another lane may wait for."""
    story = Story()
    story.sent(record(0))
    story.deliver(record(1, 2))
    wanted = story.take(facts.WantSlots)
    story.tell(facts.Closing(story.now + 1_000))
    story.tell(facts.SlotsGranted(wanted.count))
    assert story.take(facts.FreeSlots).count == wanted.count


def test_an_idle_lane_sleeps() -> None:
    """With everything settled and committed no tick is due."""
    story = Story()
    story.answer(story.sent(record(0)))
    story.settle()
    assert story.lane.wake_at(story.now) is None


# --- (k) closing --------------------------------------------------------------------------------------------


def test_closing_settles_what_is_in_flight_and_takes_nothing_new() -> None:
    """The next owner finds as little open as can be."""
    story = Story(batch=1)
    sent = story.sent(record(0))
    story.deliver(record(1, 2))
    story.tell(facts.Closing(story.now + 20_000))
    story.wait(1_000)
    assert not story.all(facts.Closed)
    story.answer(sent)
    story.settle()
    story.take(facts.Closed)
    assert (story.offset, story.metadata.intents) == (1, ())


def test_what_is_announced_when_closing_begins_is_still_sent() -> None:
    """Its intent is live already: better an answer than a doubt."""
    story = Story()
    story.deliver(record(0))
    story.announce()
    story.tell(facts.Closing(story.now + 20_000))
    story.decide()
    story.answer(story.take(facts.Send))
    assert story.settle() == {0: ("accepted", "yes")}
    story.take(facts.Closed)


def test_closing_ends_at_its_deadline_whatever_is_open() -> None:
    """What is in flight stays named by its live intent."""
    story = Story()
    story.sent(record(0))
    story.tell(facts.Closing(story.now + 1_000))
    assert story.lane.wake_at(story.now) == story.now + 1_000
    story.wait(1_000)
    story.take(facts.Closed)
    assert len(story.metadata.intents) == 1


def test_closing_does_not_wait_for_what_can_not_be_settled() -> None:
    """A finished record beyond the window is left to the next owner."""
    story = Story(window=4)
    story.deliver(record(0), undecodable(9))
    story.tell(facts.Closing(story.now + 1_000))
    story.commit_all()
    story.take(facts.Closed)


def test_a_closed_lane_hears_nothing() -> None:
    """Late answers are the next owner's to look up."""
    story = Story()
    sent = story.sent(record(0))
    story.tell(facts.Closing(story.now))
    story.take(facts.Closed)
    story.asked.clear()
    story.answer(sent, signed(503))
    assert not story.asked


def test_a_new_owner_fetches_what_live_intents_wait_for() -> None:
    """Although enough records wait and no intent is free: only those that are named can make room. (a, j)"""
    before = Story(batch=1)
    before.deliver(record(0, 1))
    before.announce()
    (intent,) = before.intents.values()
    named = [
        {**intent, "entries": [{**intent["entries"][0], "offset": n, "idempotency_key": record(n, n).idempotency_key}]}
        for n in (4, 5, 6)
    ]
    metadata = CommitMetadata(intents=tuple(IntentRef(0, n) for n in range(3)))
    story = Story(facts.Opened(0, metadata, named, Holds(), 2), batch=1, fetch=4, ahead=4, live_intents=3)
    story.commit()
    story.deliver(*(record(n, n) for n in range(4)))
    story.deliver_more(*(record(n, n) for n in range(4, 8)))
    story.until_lookup()
    assert story.all(facts.LookUp)
