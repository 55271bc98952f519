"""Replays: what GeNiE has already is not sent again. (step f of the protocol)"""

from typing import Any

from gateway.core import facts
from gateway.core.outcome import LookupStatus
from tests.lane_story import LOST, Story, first, replay


def asked(status: LookupStatus, **changes: Any) -> Story:
    """A replay of event 3, and what GeNiE says of it before it is sent."""
    story = Story(mixed=True)
    story.deliver(replay(0, 3))
    story.grant()
    told = replay(0, 3)
    if status is LookupStatus.RECEIVED:
        genuine = facts.OutgoingEntry(told.idempotency_key, told.origin, told.source_digest, b"")
        story.look_up_now(status, first(genuine, **changes))
    else:
        story.look_up_now(status)
    return story


def test_a_replay_asks_before_it_sends() -> None:
    """What GeNiE has already is not sent again, and another record tells of that provision."""
    story = asked(LookupStatus.RECEIVED)
    assert story.settle() == {0: ("same_event", "yes")}
    assert [(parked.key, parked.record) for parked in story.parked] == [("lease.payments:7:3", None)]


def test_a_replay_that_genie_has_not_got_is_provided() -> None:
    """After a fence like any other, and its parked record is tombstoned."""
    story = asked(LookupStatus.NOT_RECEIVED)
    story.answer(story.send())
    assert story.settle() == {0: ("accepted", "yes")}
    assert story.ledger[0]["replay_of"]["offset"] == 3
    assert [parked.record for parked in story.parked] == [None]


def test_a_replay_whose_answer_was_lost_is_its_own_provision() -> None:
    """It asked before: what GeNiE has now, it has from here."""
    story = asked(LookupStatus.NOT_RECEIVED)
    story.answer(story.send(), LOST)
    story.wait(100)
    story.answer(story.send(), "duplicate")
    assert story.settle() == {0: ("accepted", "yes")}


def test_two_replays_of_one_event_provide_it_once() -> None:
    """The second asks only when the first is done."""
    story = Story(mixed=True)
    story.deliver(replay(0, 3), replay(1, 3), s1=None)
    story.grant()
    story.look_up_now(LookupStatus.NOT_RECEIVED)
    story.grant()
    story.decide()  # the first may go after all
    one = story.send()
    story.wait(story.limits.skew_ms)
    assert not story.all(facts.LookUp)
    story.answer(one)
    story.grant()
    story.look_up_now(LookupStatus.RECEIVED, first(one.entries[0]))
    assert story.settle() == {0: ("accepted", "yes"), 1: ("same_event", "yes")}


def test_a_replay_that_could_not_be_asked_about_was_not_sent() -> None:
    """After an hour of asking it is parked, and its record says that nothing left."""
    story = Story(mixed=True)
    story.deliver(replay(0, 3))
    story.grant()
    story.wait(story.limits.unknown_limit_ms)
    for _ in range(story.limits.failed_attempts):
        assert not story.ledger
        story.look_up(LookupStatus.PROCESSING)
        given_up_at = story.now
        story.wait(100)
    assert story.settle() == {0: ("outcome_unknown", "no")}
    told = story.ledger[0]
    assert (told["decided_at"], told["body_digest"], told["consent"]) == (given_up_at, None, None)
    (parked,) = story.parked
    assert (parked.key, parked.record["reason"]) == ("lease.payments:0:0", "outcome_unknown")
