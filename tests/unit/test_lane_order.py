"""The order of a subject, and since when the lane waits. (step h of the protocol)"""

from dataclasses import replace

from gateway.core import facts
from tests.lane_story import OPTED_OUT, Story, first, record, signed


def test_a_subjects_records_ride_together_or_wait() -> None:
    """One batch holds them in order; what comes later waits until all before it is done."""
    story = Story()
    first_two = story.sent(record(0), record(1))
    assert [entry.idempotency_key for entry in first_two.entries] == ["key-000000", "key-000001"]
    story.deliver(record(2))
    story.wait(1_000)
    assert not story.all(facts.WantSlots)
    story.answer(first_two)
    story.send()


def test_a_record_that_waits_holds_those_behind_it() -> None:
    """After an answer `retry` to the first of two, and a lost one to the second, both go again in order."""
    story = Story()
    both = story.sent(record(0), record(1))
    story.answer(both, ["retry", "maybe"])
    story.wait(100)
    assert story.send().entries == both.entries


def test_a_record_behind_one_that_is_announced_anew_does_not_go_before_it() -> None:
    """Whatever becomes of the first at the fence, the second of its subject waits with it."""
    story = Story()
    story.deliver(record(0), record(1), record(2, 2))
    story.announce()
    story.decide(s1=OPTED_OUT)
    assert [entry.idempotency_key for entry in story.take(facts.Send).entries] == ["key-000002"]


def test_a_producers_duplicate_waits_for_the_record_it_repeats() -> None:
    """Two records with one key never ride in one batch, and the second ends as DUPLICATE."""
    story = Story()
    one = story.sent(record(0), record(1, number=0))
    assert len(one.entries) == 1
    story.answer(one)
    two = story.send()
    taken = first(one.entries[0])
    story.answer(two, signed(200, story.result(two, "duplicate", taken)))
    assert story.settle() == {0: ("accepted", "yes"), 1: ("same_event", "yes")}


def test_a_parked_record_does_not_hold_its_subject() -> None:
    """PARKED is terminal: later events of the subject go on. (i)"""
    story = Story()
    story.answer(story.sent(record(0), record(1)), ["rejected", "retry"])
    story.wait(100)
    assert [entry.idempotency_key for entry in story.send().entries] == ["key-000001"]
    assert story.ledger[0]["reason"] == "rejected_by_genie"
    assert [parked.key for parked in story.parked] == ["lease.payments:0:0"]


def test_the_oldest_unsettled_record_is_told_by_its_append() -> None:
    """Health shows since when the watermark waits, and nothing once all is settled."""
    story = Story(batch=1)
    early, late = record(0), replace(record(1, 2), timestamp=record(0).timestamp + 5)
    assert story.lane.view()["oldest_at"] is None
    story.deliver(early, late)
    story.announce()
    story.decide()
    assert story.lane.view()["oldest_at"] == early.timestamp
    for send, left in zip(story.all(facts.Send), (late.timestamp, None), strict=True):
        story.answer(send)
        story.settle()
        assert story.lane.view()["oldest_at"] == left


def test_a_record_whose_commit_hangs_is_unsettled_still() -> None:
    """Health shows its age until the commit is through, for a broker that hangs there must be seen."""
    story = Story(batch=1)
    story.answer(story.sent(record(0)))
    story.wait(story.limits.cycle_max_ms)
    story.tell(facts.Produced([]))
    story.take(facts.Commit)
    assert story.lane.view()["oldest_at"] == record(0).timestamp
    story.tell(facts.Committed())
    assert story.lane.view()["oldest_at"] is None
