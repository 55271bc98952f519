"""The lane protocol: announcing, fencing, deciding, sending. (steps c to e)"""

import pytest

from gateway.core import facts
from gateway.core.outcome import NotSent, Unsent
from tests.lane_story import LOST, OPTED_OUT, WITHDRAWN, Story, first, record, signed, state, undecodable

# --- (c) settle, commit, announce ---------------------------------------------------------------------------


def test_a_slot_is_held_before_anything_is_announced() -> None:
    """Nothing expires in a queue for a connection."""
    story = Story()
    story.deliver(record(0))
    story.wait(1_000)
    assert not story.all(facts.Produce)
    assert story.take(facts.WantSlots).count == 1


def test_nothing_is_sent_before_its_intent_is_committed() -> None:
    """The fence, and all that follows it, begins when the commit is sure."""
    story = Story()
    story.deliver(record(0))
    story.grant()
    began = story.now
    (intent,) = story.all(facts.Produce)[0].intents
    assert intent["expires_at"] == began + story.limits.expires_ms
    assert not story.all(facts.StartFence)
    story.commit()
    story.take(facts.StartFence)


def test_one_transaction_settles_commits_and_announces() -> None:
    """What finished, the watermark with the settled set beyond it, and the next batch go together or not at all."""
    story = Story(batch=1)
    story.deliver(record(0, 1), record(1, 2), record(2, 3))
    story.grant()
    assert len(story.commit().intents) == 3
    story.decide()
    one, two, three = story.all(facts.Send)
    story.answer(two)
    story.answer(three)
    story.commit()
    assert (story.offset, story.metadata.settled, len(story.metadata.intents)) == (0, (1, 2), 1)
    story.answer(one)
    story.deliver(record(3, 1))
    produce = story.announce()
    assert (len(produce.ledger), len(produce.intents)) == (1, 1)
    assert (story.offset, story.metadata.settled, len(story.metadata.intents)) == (3, (), 1)


def test_one_transaction_at_a_time() -> None:
    """While one is open, what finishes waits for the next."""
    story = Story()
    story.deliver(undecodable(0))
    story.wait(1_000)
    produce = story.take(facts.Produce)
    assert len(produce.ledger) == 1
    story.deliver_more(undecodable(1))
    story.wait(1_000)
    assert not story.all(facts.Produce)


def test_gaps_are_committed_once_the_position_has_passed_them() -> None:
    """Behind the last record the watermark follows the position, so that lag ends."""
    story = Story()
    story.deliver(position=7)
    story.wait(story.limits.idle_commit_ms)
    story.commit()
    assert story.offset == 7


def test_a_doubtful_commit_ends_the_machine() -> None:
    """It asks to be opened anew and does nothing any more, not even with a fence that was under way. (g)"""
    story = Story()
    story.deliver(record(0))
    story.announce()
    story.deliver(undecodable(1))
    story.wait(1_000)
    story.tell(facts.CommitDoubtful())
    story.take(facts.Reopen)
    story.decide()
    story.wait(10_000)
    assert not story.all(facts.Send)
    assert story.lane.wake_at(story.now) is None


# --- (d) fence and final decision ---------------------------------------------------------------------------


def test_a_withdrawal_between_announcement_and_fence_is_honoured() -> None:
    """Nothing is sent, and the record says when it was decided."""
    story = Story()
    story.deliver(record(0))
    story.announce()
    story.decide(s1=WITHDRAWN)
    assert not story.all(facts.Send)
    assert story.take(facts.FreeSlots).count == 1
    assert story.settle() == {0: ("consent_withdrawn", "no")}


@pytest.mark.parametrize(
    "now",
    [
        OPTED_OUT,
        state(record_id="record-2"),
        state(opted_out=OPTED_OUT.opted_out, version=1, record_id=state().record_id),
    ],
    ids=["scope and version", "version", "scope"],
)
def test_what_is_not_as_announced_is_announced_anew(now: object) -> None:
    """Another body, or another record of consent, is never sent under an intent that does not name it."""
    story = Story()
    story.deliver(record(0))
    story.announce()
    story.decide(s1=now)
    assert not story.all(facts.Send)
    (intent,) = story.announce().intents
    story.decide(s1=now)
    (sent,) = story.take(facts.Send).entries
    (named,) = intent["entries"]
    assert named["body_digest"] == first(sent).body_digest
    assert (named["consent_record_id"], named["consent_version"]) == (now.record_id, now.version)


def test_a_decision_that_got_old_is_fenced_again() -> None:
    """Between reading the end offsets and sending no withdrawal may grow old."""
    story = Story()
    story.deliver(record(0))
    story.announce()
    story.decide(read_at=story.now - story.limits.decision_age_ms - 1)
    assert not story.all(facts.Send)
    story.decide()
    story.take(facts.Send)


def test_without_a_fence_everything_is_held() -> None:
    """A view that can't be proven fresh sends nothing and withholds nothing."""
    story = Story(batch=1)
    story.deliver(record(0), record(1, 2), s2=None)
    story.announce()
    for _ in range(3):
        story.take(facts.StartFence)
        story.tell(facts.FenceFailed())
        assert not story.all(facts.StartFence)
        story.wait(story.limits.fence_retry_ms)
    assert not story.ledger
    story.decide(s2=None)
    story.take(facts.Send)
    assert story.settle() == {1: ("no_consent", "no")}


def test_what_looks_withheld_is_withheld_only_behind_a_fence() -> None:
    """Consent that came since the record was read counts."""
    story = Story()
    story.deliver(record(0), s1=None)
    story.grant()
    story.decide()
    assert not story.ledger
    story.send()


# --- (e) send and retry -------------------------------------------------------------------------------------


def test_a_batch_goes_with_the_expires_that_was_announced() -> None:
    """However long the fence took."""
    story = Story()
    story.deliver(record(0))
    (intent,) = story.announce().intents
    story.now += 10_000
    story.decide()
    assert story.take(facts.Send).expires_at == intent["expires_at"]


def test_past_its_expires_a_batch_is_announced_again() -> None:
    """Nothing is sent that GeNiE would refuse."""
    story = Story()
    story.deliver(record(0))
    story.announce()
    story.now += story.limits.expires_ms
    story.decide()
    assert not story.all(facts.Send)
    assert story.send().expires_at > story.now


@pytest.mark.parametrize("answer", [LOST, NotSent(Unsent.REFUSED), signed(503), signed(429), "retry"])
def test_a_retry_is_a_new_decision_about_the_same_bytes(answer: object) -> None:
    """It is announced and fenced like the first attempt; key and body stay."""
    story = Story()
    before = story.sent(record(0))
    story.answer(before, answer)
    story.wait(100)
    again = story.send()
    assert again.entries == before.entries
    assert again.batch_id != before.batch_id


def test_a_withdrawal_before_a_retry_is_honoured() -> None:
    """What surely was not received is withheld at once."""
    story = Story()
    story.answer(story.sent(record(0)), signed(503))
    story.wait(100)
    story.announce()
    story.decide(s1=WITHDRAWN)
    assert story.settle() == {0: ("consent_withdrawn", "no")}
