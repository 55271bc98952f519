"""How a lane opens, and what it knows from the owner before. (step a of the protocol)"""

import pytest

from gateway.core import facts
from gateway.core.entry import InputRecord
from gateway.core.holds import Holds
from gateway.core.lane import ContradictionError
from gateway.core.metadata import CommitMetadata
from gateway.core.outcome import LookupStatus
from tests.lane_story import LOST, OPTED_OUT, WITHDRAWN, Story, first, record, undecodable


def test_opening_commits_at_once_and_then_asks_for_records() -> None:
    """A lane shows that it owns the partition, and its opening is counted, before anything is delivered."""
    story = Story()
    assert not story.all(facts.FetchMore)
    story.commit()
    story.take(facts.FetchMore)
    assert (story.offset, story.metadata) == (0, CommitMetadata(opens=1))


def test_openings_are_counted_until_something_is_settled() -> None:
    """An owner that dies at the head again and again is told from one that makes progress."""
    story = Story(facts.Opened(0, CommitMetadata(opens=2), (), Holds(), 3))
    story.commit()
    assert story.metadata.opens == 3
    story.deliver(undecodable(0))
    story.commit()
    assert story.metadata.opens == 0


def test_what_may_have_been_sent_before_the_take_over_is_sent_again_as_it_was() -> None:
    """The next owner knows it from the live intent, and one intent is enough for both attempts."""
    story = Story()
    before = story.sent(record(0))
    other = Story(story.next_owner())
    assert other.sent(record(0)).entries == before.entries
    assert len(other.metadata.intents) == 1


def test_a_live_intent_outlives_owners_that_do_nothing() -> None:
    """After two take-overs in a row a record that is withdrawn by then is looked up before it is withheld."""
    story = Story()
    sent = story.sent(record(0))
    for _ in range(2):
        story = Story(story.next_owner())
        story.commit()
    story.deliver(record(0), s1=WITHDRAWN)
    story.grant()
    story.decide(s1=WITHDRAWN)
    story.until_lookup()
    story.look_up(LookupStatus.RECEIVED, first(sent.entries[0]))
    assert story.settle() == {0: ("resolved_by_lookup", "yes")}
    assert not story.metadata.intents


def test_the_later_expires_of_an_owner_whose_clock_was_ahead_is_kept() -> None:
    """A newer announcement of the same body does not stand for one that expires after it."""
    story = Story()
    story.now += 4_000
    story.sent(record(0))
    story = Story(story.next_owner())
    story.sent(record(0))
    assert len(story.metadata.intents) == 2


def test_of_two_bodies_that_may_have_been_received_neither_is_sent() -> None:
    """An intent that lives on for another entry still names a body that was given up: a lookup decides."""
    story = Story()
    story.answer(story.sent(record(0, 1), record(1, 2)), LOST)
    story.wait(100)
    story.announce()
    story.decide(s1=OPTED_OUT)  # 1 is looked up, 2 is sent
    story.until_lookup()
    story.look_up(LookupStatus.NOT_RECEIVED)
    story.announce()
    opened = story.next_owner()
    assert len(opened.intents) == 2
    other = Story(opened)
    other.deliver(record(0, 1), record(1, 2), s1=OPTED_OUT)
    other.announce()
    other.decide(s1=OPTED_OUT)  # the check of 1
    other.decide(s1=OPTED_OUT)  # the batch of 2
    (sent,) = other.take(facts.Send).entries
    assert sent.idempotency_key == record(1, 2).idempotency_key
    assert other.lane.view()["waiting"] == 1


def test_a_record_that_was_sent_but_cannot_be_decoded_any_more_is_asked_about() -> None:
    """Its key is known from the live intent, so that the provision is recorded."""
    story = Story()
    sent = story.sent(record(0))
    other = Story(story.next_owner())
    other.deliver(undecodable(0))
    other.until_lookup()
    other.look_up(LookupStatus.RECEIVED, first(sent.entries[0]))
    assert other.settle() == {0: ("resolved_by_lookup", "yes")}


def test_nothing_goes_before_a_sent_record_whose_subject_is_not_known_any_more() -> None:
    """While GeNiE may yet accept it, a later record of any subject waits: it might be of the same. (model checker)"""
    story = Story()
    story.sent(record(0))
    other = Story(story.next_owner())
    other.deliver(undecodable(0), record(1))
    assert not other.all(facts.WantSlots)
    other.until_lookup()
    assert other.send().entries[0].idempotency_key == record(1).idempotency_key


@pytest.mark.parametrize("delivered", [record(5), record(0, number=9)])
def test_live_intents_that_contradict_the_input_are_refused(delivered: InputRecord) -> None:
    """A named offset that is gone, or holds another event now, stops the lane before a provision is forgotten."""
    story = Story()
    story.sent(record(0))
    other = Story(story.next_owner())
    with pytest.raises(ContradictionError, match=r"^lane lease\.payments:0: "):
        other.deliver(delivered)
