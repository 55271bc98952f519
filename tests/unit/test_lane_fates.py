"""What answers and lookups make of a record: unknown outcomes, refusals, poison. (step f)"""

from typing import Any

import pytest

from gateway.core import facts
from gateway.core.holds import HoldScope
from gateway.core.outcome import LookupReply, LookupStatus
from tests.lane_story import LOST, OPTED_OUT, WITHDRAWN, Story, first, hold, record, signed, state

REUSED = "urn:genie:problem:idempotency-key-reused"


def unknown(record_: Any = None) -> tuple[Story, facts.Send]:
    """A record whose only attempt is lost, and its turn has come again."""
    story = Story()
    sent = story.sent(record_ or record(0))
    story.answer(sent, LOST)
    story.wait(100)
    return story, sent


def withdrawn() -> tuple[Story, facts.Send]:
    """The same, and its consent is withdrawn."""
    story, sent = unknown()
    story.announce_or_check()
    story.decide(s1=WITHDRAWN)
    return story, sent


# --- unknown outcomes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "reason"), [("accepted", "accepted"), ("duplicate", "accepted"), ("superseded", "newer_at_genie")]
)
def test_what_genie_has_is_final_whatever_became_of_earlier_attempts(status: str, reason: str) -> None:
    """A lost answer needs no lookup once another attempt is answered."""
    story, _ = unknown()
    story.answer(story.send(), status)
    assert story.settle() == {0: (reason, "yes")}


def test_a_record_withdrawn_after_a_lost_answer_waits_and_is_looked_up() -> None:
    """It is withheld only when GeNiE can't accept it any more and says that it has not."""
    story, _ = withdrawn()
    story.wait(story.limits.expires_ms - 1_000)
    assert not story.all(facts.LookUp)
    assert not story.ledger
    story.until_lookup()
    story.look_up(LookupStatus.NOT_RECEIVED)
    assert story.settle() == {0: ("consent_withdrawn", "no")}


def test_a_withdrawn_record_that_genie_has_is_recorded_as_provided() -> None:
    """With the body that GeNiE names, and the decision that it was sent on."""
    story, sent = withdrawn()
    story.until_lookup()
    story.look_up(LookupStatus.RECEIVED, first(sent.entries[0]))
    assert story.settle() == {0: ("resolved_by_lookup", "yes")}
    told = story.ledger[0]
    assert told["body_digest"] == first(sent.entries[0]).body_digest
    assert told["consent"]["consent_version"] == 1
    assert told["decided_at"] < sent.expires_at - story.limits.expires_ms + 1_000


@pytest.mark.parametrize("answer", ["early", "processing", "silent", "lost"])
def test_a_lookup_that_settles_nothing_is_asked_again(answer: str) -> None:
    """`not_received` counts only when it was said after the last expires and the clock skew."""
    story, sent = withdrawn()
    story.until_lookup()
    if answer == "early":
        story.look_up(LookupStatus.NOT_RECEIVED, as_of=sent.expires_at + story.limits.skew_ms)
    elif answer == "processing":
        story.look_up(LookupStatus.PROCESSING)
    else:
        question = story.take(facts.LookUp)
        reply = None if answer == "lost" else LookupReply(story.now, ())
        story.tell(facts.LookedUp(question.lookup_id, reply))
    assert not story.all(facts.LookUp)
    story.wait(100)
    story.look_up(LookupStatus.NOT_RECEIVED)
    assert story.settle() == {0: ("consent_withdrawn", "no")}


def test_the_wait_counts_from_the_latest_attempt_that_may_arrive() -> None:
    """An answer to an earlier attempt says nothing about a later one that is still on its way."""
    story, _ = unknown()
    story.now += 20_000
    later = story.send()
    story.answer(later, LOST)
    story.wait(100)
    story.announce_or_check()
    story.decide(s1=WITHDRAWN)
    story.now = later.expires_at + story.limits.skew_ms
    story.wait(0)
    assert not story.all(facts.LookUp)
    story.wait(1)
    story.take(facts.LookUp)


def test_another_scope_after_a_lost_answer_is_announced_only_after_a_lookup() -> None:
    """Until then GeNiE might have the first body, and a key keeps its body."""
    story, before = unknown()
    story.announce()
    story.decide(s1=OPTED_OUT)
    assert not story.all(facts.Send)
    story.until_lookup()
    story.look_up(LookupStatus.NOT_RECEIVED)
    again = story.send(s1=OPTED_OUT)
    assert again.entries[0].body != before.entries[0].body


@pytest.mark.parametrize("end", ["rejected", "reused", "unreadable", "held"])
def test_every_other_end_after_a_lost_answer_waits_for_a_lookup(end: str) -> None:
    """The lost attempt may be received although this one is refused."""
    story, sent = unknown()
    if end == "held":
        story.announce()
        story.holds = hold(HoldScope.SUBJECT, "subject-1a")
        story.decide()
    else:
        again = story.send()
        other = first(sent.entries[0], origin="origin-9", body_digest=b"o" * 32)
        answers = {
            "rejected": signed(200, story.result(again, "rejected", None)),
            "reused": signed(200, story.result(again, "rejected", other, REUSED)),
            "unreadable": signed(400),
        }
        story.answer(again, answers[end])
    assert not story.all(facts.Produce)
    story.until_lookup()
    story.look_up(LookupStatus.RECEIVED, first(sent.entries[0]))
    assert story.settle() == {0: ("resolved_by_lookup", "yes")}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"body_digest": b"o" * 32}, "outcome_unknown"),
        ({"origin": "origin-9"}, "same_event"),
        ({"origin": "origin-9", "body_digest": b"o" * 32}, "same_event_other_scope"),
        ({"origin": "origin-9", "body_digest": b"o" * 32, "source_digest": b"o" * 32}, "event_id_reused"),
    ],
)
def test_what_a_lookup_shows_of_others_is_told_apart(changes: dict[str, Any], reason: str) -> None:
    """Whose record GeNiE has, and which body, decides the reason."""
    story, sent = withdrawn()
    story.until_lookup()
    story.look_up(LookupStatus.RECEIVED, first(sent.entries[0], **changes))
    assert story.settle() == {0: (reason, "yes")}


def test_a_refusal_does_not_settle_an_earlier_attempt() -> None:
    """A signed 503 says that this attempt was not received, and nothing about the lost one before it."""
    story, _ = unknown()
    story.answer(story.send(), signed(503))
    story.wait(100)
    story.announce_or_check()
    story.decide(s1=WITHDRAWN)
    assert story.lane.view()["waiting"] == 1
    assert not story.ledger


# --- giving up ----------------------------------------------------------------------------------------------


def test_an_entry_on_which_genie_fails_is_parked_after_eight_attempts_alone() -> None:
    """If others succeed meanwhile, and a lookup shows that it was not received."""
    story = Story()
    story.deliver(record(0))
    for _ in range(8):
        story.answer(story.send(), LOST)
        story.now += 1
        story.tell(facts.Tick(genie_ok_at=story.now))
        story.wait(100)
    assert not story.all(facts.WantSlots)
    story.until_lookup()
    story.look_up(LookupStatus.NOT_RECEIVED)
    assert story.settle() == {0: ("genie_fails_on_entry", "no")}


def test_in_an_outage_nothing_is_parked_for_its_attempts() -> None:
    """While GeNiE takes nothing at all, the fault is not the entry's."""
    story = Story()
    story.deliver(record(0))
    for _ in range(20):
        story.answer(story.send(), LOST)
        story.wait(100)
    story.answer(story.send())
    assert story.settle() == {0: ("accepted", "yes")}


@pytest.mark.parametrize("size", [8, 400])
def test_a_batch_that_is_lost_again_and_again_gets_smaller(size: int) -> None:
    """Until the entry at fault is alone, and no other is parked for it."""
    story = Story(batch=500)
    story.deliver(*(record(n, n) for n in range(size)))
    for _ in range(40):
        story.announce_or_check()
        if not story.all(facts.StartFence):
            continue
        story.decide()
        for send in story.all(facts.Send):
            story.asked.remove(send)
            poisoned = any(entry.idempotency_key == "key-000005" for entry in send.entries)
            story.answer(send, LOST if poisoned else "accepted")
    story.until_lookup()
    story.look_up(LookupStatus.NOT_RECEIVED)
    told = dict(story.settle())
    assert told.pop(5) == ("genie_fails_on_entry", "no")
    assert set(told.values()) == {("accepted", "yes")}
    assert len(told) == size - 1


def test_a_batch_that_cant_be_read_is_halved_until_the_fault_is_alone() -> None:
    """The one at fault is parked, the others are provided. (bisect)"""
    story = Story()
    story.deliver(*(record(n, n) for n in range(8)))
    rounds = 0
    while story.lane.view()["unsettled"] > story.lane.view()["finished"]:
        rounds += 1
        story.announce()
        story.decide()
        for send in story.all(facts.Send):
            story.asked.remove(send)
            unreadable = any(entry.idempotency_key == "key-000005" for entry in send.entries)
            story.answer(send, signed(400, problem="urn:genie:problem:malformed") if unreadable else "accepted")
        story.wait(100)
    told = story.settle()
    assert told.pop(5) == ("rejected_by_genie", "yes")
    assert set(told.values()) == {("accepted", "yes")}
    assert rounds <= 8


def test_unknown_for_an_hour_of_trying_is_parked_as_unknown() -> None:
    """A later record resolves it; until then the ledger says what may have been received, and on what grounds."""
    story, sent = withdrawn()
    story.until_lookup()
    story.now += story.limits.unknown_limit_ms
    for _ in range(7):
        assert not story.settle()
        story.look_up(LookupStatus.PROCESSING)
        story.wait(100)
    assert story.settle() == {0: ("outcome_unknown", "unknown")}
    told = story.ledger[0]
    assert told["body_digest"] == first(sent.entries[0]).body_digest
    assert told["consent"]["record_id"] == state().record_id
    assert told["decided_at"] < sent.expires_at - story.limits.expires_ms + 1_000


def test_what_is_given_up_is_asked_about_before_the_next_of_its_subject_goes() -> None:
    """GeNiE may yet accept the last attempt, and a later record must not overtake it. (model checker)"""
    story = Story(batch=1, failed_attempts=2)
    story.deliver(record(0), record(1))
    story.answer(story.send(), LOST)
    story.wait(story.limits.unknown_limit_ms + 100)
    story.answer(story.send(), LOST)
    assert not story.all(facts.WantSlots)
    assert not story.settle()
    story.until_lookup()
    story.look_up(LookupStatus.PROCESSING)
    assert story.settle() == {0: ("outcome_unknown", "unknown")}


def test_an_hour_of_outage_is_no_hour_of_trying() -> None:
    """An entry that could not even be asked about is not given up."""
    story, sent = withdrawn()
    story.now += 2 * story.limits.unknown_limit_ms
    story.wait(0)
    story.look_up(LookupStatus.PROCESSING)
    story.wait(100)
    story.look_up(LookupStatus.RECEIVED, first(sent.entries[0]))
    assert story.settle() == {0: ("resolved_by_lookup", "yes")}


@pytest.mark.parametrize(("others", "parked"), [(True, True), (False, False)])
def test_refused_for_an_hour_while_others_are_taken_is_parked(others: bool, parked: bool) -> None:
    """A signed 503 to one entry alone must not block its partition for ever; in an outage it is no entry's fault."""
    story = Story()
    story.deliver(record(0))
    for attempt in range(9):
        story.answer(story.send(), signed(503))
        story.now += story.limits.unknown_limit_ms // 8 + 1_000
        story.tell(facts.Tick(genie_ok_at=story.now if others else 0))
        assert not story.ledger, attempt
    if parked:
        assert story.settle() == {0: ("genie_fails_on_entry", "no")}
    else:
        story.send()
