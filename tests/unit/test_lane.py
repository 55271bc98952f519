"""The lane protocol: opening, announcing, fencing, deciding, sending, the order of a subject. (steps a to e, h)"""

from dataclasses import replace

import pytest

from gateway.core import facts
from gateway.core.consent import ConsentStatus
from gateway.core.entry import InputRecord
from gateway.core.holds import Holds
from gateway.core.lane import ContradictionError
from gateway.core.metadata import CommitMetadata
from gateway.core.outcome import LookupStatus, NotSent, Unsent
from tests.lane_story import LOST, Story, first, record, signed, state, undecodable

WITHDRAWN = state(status=ConsentStatus.WITHDRAWN)
OPTED_OUT = state(opted_out=frozenset({"credit_product_marketing"}))

# --- (a) open -----------------------------------------------------------------------------------------------


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
    with pytest.raises(ContradictionError):
        other.deliver(delivered)


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


# --- (h) the order of a subject -----------------------------------------------------------------------------


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
