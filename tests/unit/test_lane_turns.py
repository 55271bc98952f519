"""Behind the fence: who may go although another may not, who waits for whom, and what time does to each."""

from dataclasses import replace

import pytest

from gateway.core import facts
from gateway.core.entry import InputRecord
from gateway.core.holds import Hold, Holds, HoldScope
from gateway.core.outcome import LookupStatus
from tests.core_cases import consent, score_event
from tests.lane_story import LOST, OPTED_OUT, Story, first, record, signed, state, undecodable


def scored(offset: int, subject: int = 1) -> InputRecord:
    """A score of a subject, in a lane that mixes types."""
    event = score_event(subject_ref=f"subject-{subject}a")
    return replace(record(offset, subject), event=event)


def keys(story: Story) -> list[int]:
    return [int(e.idempotency_key.removeprefix("key-")) for send in story.all(facts.Send) for e in send.entries]


NO_SCORES = Holds([Hold("hold-1", HoldScope.EVENT_TYPE, "norel_score_update", None)])


def test_what_ends_at_the_fence_holds_nobody_back() -> None:
    """The next of its subject rides in the same batch, and goes."""
    story = Story(mixed=True)
    story.deliver(scored(0), record(1))
    story.announce()
    story.holds = NO_SCORES
    story.decide()
    assert keys(story) == [1]
    assert story.settle() == {0: ("held", "no")}


def test_what_must_be_looked_up_at_the_fence_holds_back_those_behind_it() -> None:
    """It may have been received, so a later record of its subject does not overtake it."""
    story = Story(mixed=True)
    story.deliver(scored(0), record(1))
    story.answer(story.send(), LOST)
    story.wait(100)
    story.announce()
    story.holds = NO_SCORES
    story.decide()
    assert keys(story) == []


def test_a_consent_that_changes_between_two_fetches_holds_both_records_back() -> None:
    """The first must be announced anew, so the second does not go before it although it is as announced."""
    story = Story()
    story.commit()
    story.deliver(record(0))
    story.take(facts.FetchMore)
    newer = state(record_id="record-2")
    story.tell(facts.Fetched((record(1),), 2, {"subject-1a": newer}))
    (intent,) = story.announce().intents
    assert [entry["consent_record_id"] for entry in intent["entries"]] == [state().record_id, "record-2"]
    story.decide(s1=newer)
    assert keys(story) == []
    story.announce()
    story.decide(s1=newer)
    assert keys(story) == [0, 1]


def test_nobody_overtakes_one_that_the_fence_may_yet_permit() -> None:
    """Behind a record that seems to be withheld its subject waits; others are announced."""
    story = Story()
    partners = replace(record(0), event=replace(record(0).event, creditor_is_us=False))
    story.deliver(partners, record(1), record(2, 2))
    story.grant()
    (intent,) = story.all(facts.Produce)[0].intents
    assert [entry["offset"] for entry in intent["entries"]] == [2]


def test_what_lies_just_beyond_the_window_is_not_announced() -> None:
    """The offset at its very end could not be settled."""
    story = Story(window=4)
    story.deliver(record(0, 1), record(4, 2))
    assert [entry.idempotency_key for entry in story.send().entries] == ["key-000000"]


@pytest.mark.parametrize(("longer", "announced"), [(0, False), (1, True)])
def test_a_consent_must_outlive_the_attempt_when_it_is_announced(longer: int, announced: bool) -> None:
    """One that ends together with it is checked behind a fence instead."""
    story = Story()
    story.deliver(record(0))
    story.commit_all()
    at = story.now + story.limits.cycle_max_ms
    ends = consent(subject_ref="subject-1a", expires_at=at + story.limits.expires_ms + longer)
    story = Story()
    story.deliver(record(0), s1=ends)
    for command in story.all(facts.WantSlots):
        story.asked.remove(command)
        story.tell(facts.SlotsGranted(command.count))
    story.now = at
    story.tell(facts.Tick())
    assert bool(story.all(facts.Produce)) is announced


@pytest.mark.parametrize(("longer", "sent"), [(0, 0), (1, 1)])
def test_a_consent_must_outlive_the_attempt_when_it_is_sent(longer: int, sent: int) -> None:
    """Else GeNiE might accept it too late."""
    story = Story()
    story.deliver(record(0), s1=consent(subject_ref="subject-1a", expires_at=story.now + 10**6))
    (intent,) = story.announce().intents
    ends = consent(subject_ref="subject-1a", expires_at=intent["expires_at"] + longer)
    story.decide(s1=ends)
    assert len(story.all(facts.Send)) == sent


@pytest.mark.parametrize(("longer", "withheld"), [(0, True), (1, False)])
def test_a_check_asks_for_a_whole_attempt(longer: int, withheld: bool) -> None:
    """What could not be sent and answered any more under its consent is withheld."""
    story = Story()
    story.deliver(record(0), s1=None)
    story.grant()
    ends = story.now + story.limits.expires_ms + longer
    story.decide(s1=consent(subject_ref="subject-1a", expires_at=ends))
    assert bool(story.settle()) is withheld


def test_a_pause_that_ends_by_itself_needs_nobody_to_release_it() -> None:
    """Neither before anything is announced nor between announcement and fence."""
    story = Story()
    until = Holds([Hold("hold-1", HoldScope.ALL, None, story.now + 20_000)])
    story.deliver(record(0))
    story.announce()
    story.holds = until
    story.decide()
    assert keys(story) == []
    assert story.lane.wake_at(story.now) == story.now + story.limits.hold_poll_ms
    story.wait(1_000)
    assert not story.all(facts.WantSlots)
    story.now = until.all[0].expires_at or 0
    story.wait(0)
    assert len(story.announce().intents) == 1


def test_slots_that_are_held_announce_nothing_once_the_lane_closes() -> None:
    """They go back, although the next transaction may begin."""
    story = Story()
    story.deliver(record(0))
    story.tell(facts.SlotsGranted(story.take(facts.WantSlots).count))
    story.now += story.limits.cycle_max_ms
    story.tell(facts.Closing(story.now + 5_000))
    assert not story.all(facts.Produce)
    assert story.take(facts.FreeSlots).count == 1


def full_of_live_intents() -> Story:
    """One entry that may have been received and one that was not, both announced, and no intent is left."""
    story = Story(live_intents=2, batch=1)
    story.answer(story.sent(record(0, 1)), LOST)
    story.wait(100)
    story.deliver(record(1, 2))
    assert [len(story.announce().intents) for _ in range(2)] == [1, 1]
    return story


def test_with_no_intent_left_what_may_have_been_received_is_asked_about() -> None:
    """Too late to be sent, it would wait for an intent that it holds itself."""
    story = full_of_live_intents()
    story.now += story.limits.expires_ms
    story.decide()
    view = story.lane.view()
    assert (view["waiting"], view["ready"], view["live_intents"]) == (1, 0, 2)


def test_with_no_intent_left_what_is_not_as_announced_is_asked_about() -> None:
    """The same body under another consent would need an announcement of its own."""
    story = full_of_live_intents()
    story.decide(s1=state(record_id="record-2"))
    assert keys(story) == []
    assert story.lane.view()["waiting"] == 1


def test_a_refused_attempt_holds_no_intent_and_a_lost_one_does() -> None:
    """What surely was not received needs no name for the next owner."""
    refused, lost = Story(), Story()
    refused.answer(refused.sent(record(0)), signed(503))
    lost.answer(lost.sent(record(0)), LOST)
    assert (refused.lane.view()["live_intents"], lost.lane.view()["live_intents"]) == (0, 1)


def test_slots_that_come_in_parts_add_up() -> None:
    """What is missing is asked for again, and each is used."""
    story = Story(batch=1)
    story.deliver(*(record(n, n) for n in range(3)))
    story.take(facts.WantSlots)
    story.tell(facts.SlotsGranted(1))
    assert story.take(facts.WantSlots).count == 2
    story.tell(facts.SlotsGranted(2))
    assert not story.all(facts.WantSlots)
    assert len(story.commit().intents) == 3


def test_a_closing_lane_waits_for_the_end_of_the_transaction_that_is_open() -> None:
    """That is a fact of its own: no tick is due before."""
    story = Story()
    story.deliver(undecodable(0))
    story.wait(story.limits.cycle_max_ms)
    story.tell(facts.Closing(story.now + 5_000))
    assert story.lane.wake_at(story.now) is None


def test_what_is_looked_up_in_vain_begins_its_hour_anew() -> None:
    """GeNiE has not got it, so the next lost attempt is the first that counts."""
    story = Story(failed_attempts=2)
    sent = story.sent(record(0))
    story.answer(sent, LOST)
    story.wait(100)
    story.announce()
    story.decide(s1=OPTED_OUT)
    story.until_lookup()
    story.look_up(LookupStatus.NOT_RECEIVED, first(sent.entries[0]))
    story.answer(story.send(s1=OPTED_OUT), LOST)
    story.wait(100)
    assert story.all(facts.WantSlots)
