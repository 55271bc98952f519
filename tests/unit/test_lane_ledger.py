"""What the ledger says of a record at its end, whichever way it came there."""

from dataclasses import replace

import pytest

from gateway.core import facts
from gateway.core.holds import Holds
from gateway.core.metadata import CommitMetadata
from gateway.core.outcome import LookupStatus
from gateway.core.reasons import Reason
from tests.lane_story import LOST, WITHDRAWN, Story, first, record, replay, signed, state, undecodable

REUSED = "urn:genie:problem:idempotency-key-reused"
RECEIPT = {"id": "receipt-1", "answer_digest": b"d" * 32, "key_id": "genie-1"}


def test_a_provision_is_recorded_with_its_body_and_its_receipt() -> None:
    """And with the consent that it rests on, and how often it was sent."""
    story = Story()
    sent = story.sent(record(0))
    decided_at = story.now
    story.now += 5
    answered_at = story.now
    story.answer(sent)
    story.settle()
    told = story.ledger[0]
    assert told["receipt"] == RECEIPT | {"received_at": answered_at}
    assert told["body_digest"] == first(sent.entries[0]).body_digest
    assert told["consent"]["record_id"] == state().record_id
    assert (told["decided_at"], told["attempts"]) == (decided_at, 1)


def test_every_attempt_is_counted() -> None:
    """Also the lost and the refused ones."""
    story = Story()
    story.answer(story.sent(record(0)), LOST)
    story.wait(100)
    story.answer(story.send(), signed(503))
    story.wait(100)
    story.answer(story.send())
    story.settle()
    assert story.ledger[0]["attempts"] == 3


def test_a_provision_that_only_a_lookup_shows_has_its_receipt_too() -> None:
    """As GeNiE tells it then."""
    story = Story()
    sent = story.sent(record(0))
    story.answer(sent, LOST)
    story.wait(100)
    story.announce_or_check()
    story.decide(s1=WITHDRAWN)
    story.until_lookup()
    story.look_up(LookupStatus.RECEIVED, first(sent.entries[0]))
    story.settle()
    assert story.ledger[0]["receipt"]["id"] == "receipt-1"


@pytest.mark.parametrize("announced", [True, False])
def test_what_is_withheld_is_recorded_with_the_consent_that_forbids_it(announced: bool) -> None:
    """And with the moment up to which consents were read, whether it was announced before or not."""
    story = Story()
    story.deliver(record(0), s1=state() if announced else None)
    story.announce_or_check()
    read_at = story.now - 7
    story.decide(read_at=read_at, s1=WITHDRAWN)
    story.settle()
    told = story.ledger[0]
    assert told["consent"] == {
        "record_id": "record-2",
        "consent_version": 2,
        "policy_version": WITHDRAWN.policy_version,
        "consented_at": WITHDRAWN.consented_at,
    }
    assert (told["decided_at"], told["attempts"], told["receipt"]) == (read_at, 0, None)


def test_an_invalid_record_is_recorded_with_its_own_reason_at_once() -> None:
    """It was judged when it was delivered; one without a reason has an impossible value."""
    story = Story()
    delivered_at = story.now
    story.deliver(undecodable(0, Reason.TOO_DEEP), replace(undecodable(1), reason=None))
    assert story.settle() == {0: ("too_deep", "no"), 1: ("bad_value", "no")}
    assert [told["decided_at"] for told in story.ledger.values()] == [delivered_at] * 2


def test_what_an_earlier_owner_settled_is_not_taken_again() -> None:
    """Neither the settled record nor anything that is delivered with it is lost or doubled."""
    story = Story(facts.Opened(0, CommitMetadata(settled=(1, 3)), (), Holds(), 2))
    story.deliver(record(0, 1), record(1, 2), undecodable(2), record(3, 3), record(4, 4))
    story.answer(story.send())
    assert story.settle().keys() == {0, 2, 4}


@pytest.mark.parametrize(("problem", "detail"), [("urn:genie:problem:entry-refused", "unlisted_problem"), (None, None)])
@pytest.mark.parametrize("whole", [True, False])
def test_a_parked_record_tells_the_problem(problem: str | None, detail: str | None, whole: bool) -> None:
    """Whether GeNiE refused the entry or the request that held it alone."""
    story = Story()
    sent = story.sent(record(0))
    refused = signed(422, problem=problem) if whole else signed(200, story.result(sent, "rejected", None, problem))
    story.answer(sent, refused)
    story.settle()
    (parked,) = story.parked
    assert parked.record["detail"] == (detail or Reason.REJECTED_BY_GENIE.sentence)


@pytest.mark.parametrize(("source", "reason"), [(None, "same_event_other_scope"), (b"o" * 32, "event_id_reused")])
def test_a_key_that_was_used_is_told_apart_by_the_input_it_was_used_for(source: bytes | None, reason: str) -> None:
    """The same input under another scope is no fault of the producer's."""
    story = Story()
    sent = story.sent(record(0))
    changes = {"source_digest": source} if source else {}
    other = first(sent.entries[0], origin="origin-9", body_digest=b"o" * 32, **changes)
    story.answer(sent, signed(200, story.result(sent, "rejected", other, REUSED)))
    assert story.settle() == {0: (reason, "yes")}


def test_a_replay_that_genie_had_all_along_is_the_same_event() -> None:
    """It asked, GeNiE had not got it; the first attempt finds it there: somebody else's provision."""
    story = Story(mixed=True)
    story.deliver(replay(0, 3))
    story.grant()
    story.look_up_now(LookupStatus.NOT_RECEIVED)
    story.answer(story.send(), "duplicate")
    assert story.settle() == {0: ("same_event", "yes")}


def test_an_alert_says_what_is_wrong() -> None:
    """By the code that on-call looks up."""
    story = Story()
    story.answer(story.sent(record(0)), signed(403))
    assert story.take(facts.Alert).stop == "genie_forbidden"


def test_who_wrote_a_record_and_when_is_said() -> None:
    """The epoch of the owner in an intent; the beginning of the transaction in ledger and parked records."""
    story = Story(facts.Opened(0, CommitMetadata(), (), Holds(), 7))
    story.deliver(record(0))
    (intent,) = story.announce().intents
    assert intent["gateway"]["epoch"] == 7
    story.decide()
    story.answer(story.take(facts.Send), "rejected")
    story.settle()
    (parked,) = story.parked
    assert story.ledger[0]["settled_at"] == parked.record["parked_at"] == story.now
