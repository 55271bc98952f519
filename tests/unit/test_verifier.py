"""The verifier finds nothing in a right history, and what is lost, unrecorded, twice or out of order in a wrong one."""

import uuid
from pathlib import Path

import pytest

from gateway.sandbox.verifier.history import Raw, Topic
from gateway.sandbox.verifier.receipts import ReceiptsError, parse, read
from tests.verifier_story import (
    ANN,
    BOB,
    NOW,
    PURPOSES,
    Story,
    only,
    position,
    right_story,
)


@pytest.fixture
def story() -> Story:
    """A right history, to plant a defect in."""
    return right_story()


def test_a_right_history_is_clean(story: Story) -> None:
    """Provided, withheld and invalid records, and offsets that nobody gets, make no defect."""
    story.withhold(story.payment(BOB))
    story.invalid(story.raw(Topic.PAYMENTS, b"not framed", None))
    story.invalid(story.raw(Topic.PAYMENTS, None, BOB))
    story.skip(Topic.PAYMENTS, 2)
    story.provide(story.payment())
    verdict = story.verdict(complete=True)
    only(verdict)
    assert verdict.clean
    assert (verdict.produced, verdict.ledger_records, verdict.partner_received) == (6, 6, 3)
    assert verdict.outcomes == {"PROVIDED": 3, "WITHHELD": 1, "INVALID": 2}
    assert verdict.reasons == {"accepted": 3, "no_consent": 1, "not_avro": 2}


def test_producer_duplicate_is_no_defect(story: Story) -> None:
    """An event that a producer sent twice is taken once, and recorded as PROVIDED and DUPLICATE."""
    event_id = str(uuid.uuid4())
    story.provide(story.payment(event_id=event_id, occurred_at=NOW))
    again = story.payment(event_id=event_id, occurred_at=NOW)
    story.announce(again)
    story.receive(again, status="duplicate")
    story.settle(again, outcome="DUPLICATE", reason="same_event")
    only(story.verdict(complete=True))


@pytest.mark.parametrize("withdrawn", ["on the way", "after the receipt"])
def test_lost_answer_and_withdrawal_before_the_lookup_is_no_defect(story: Story, withdrawn: str) -> None:
    """What was sent under consent and found by lookup after a withdrawal was consented to."""
    payment = story.payment()
    story.announce(payment)
    if withdrawn == "on the way":
        story.consent(status="withdrawn")
    story.receive(payment)
    if withdrawn == "after the receipt":
        story.consent(status="withdrawn")
    story.settle(payment, reason="resolved_by_lookup", decided_at=story.at + 10)
    only(story.verdict(complete=True))


def test_replays_are_no_defect(story: Story) -> None:
    """A replay settles its own request, and comes after later events of its subject in any order."""
    parked = [story.payment(), story.payment()]
    for payment in parked:
        story.settle(payment, outcome="PARKED", reason="held", transmitted="no")
    story.provide(story.payment())
    for replay, payment in reversed([(replay_of(story, payment), payment) for payment in parked]):
        story.announce(payment, lane=replay)
        story.receive(payment)
        story.settle(payment, lane=replay)
    verdict = story.verdict(complete=True)
    only(verdict)
    assert verdict.produced == 5


def test_a_replay_of_what_its_producer_sent_twice_is_no_defect(story: Story) -> None:
    """Superseded by way of the replay, and again by way of the second copy: GeNiE's first receipt is the replay's."""
    event_id = str(uuid.uuid4())
    held = story.payment(event_id=event_id, occurred_at=NOW)
    story.settle(held, outcome="PARKED", reason="held", transmitted="no")
    between = story.payment()
    copy = story.payment(event_id=event_id, occurred_at=NOW)
    for lane, sent in ((replay_of(story, held), held), (None, between), (None, copy)):
        story.announce(sent, lane=lane)
        story.receive(sent, status="superseded")
        story.settle(sent, lane=lane, outcome="SUPERSEDED", reason="newer_at_genie")
    only(story.verdict(complete=True))


def replay_of(story: Story, payment: Raw) -> Raw:
    """A replay request for an input."""
    request = {"request_id": str(uuid.uuid4()), "plan_id": str(uuid.uuid4()), "plan_digest": bytes(32)}
    words = {"subject_ref": ANN, "requested_at": NOW, "operator": "desk", "reason": "released", "ticket": "T-1"}
    target = {name: position(payment)[name] for name in ("topic", "partition", "offset")}
    return story.write(Topic.REPLAYS, "ReplayRequest", {**request, **words, "input": target}, ANN)


def test_event_id_with_other_content_is_no_defect(story: Story) -> None:
    """Each body is compared with the input that it was made of, though another has the same event id."""
    event_id = str(uuid.uuid4())
    story.provide(story.payment(event_id=event_id, occurred_at=NOW))
    other = story.payment(event_id=event_id, occurred_at=NOW, amount_paid_jpy=1)
    story.announce(other)
    story.receive(other, status="rejected")
    story.settle(other, outcome="PARKED", reason="event_id_reused", transmitted="no")
    only(story.verdict(complete=True))


def test_scope_narrowed_on_the_way_is_no_defect(story: Story) -> None:
    """A decision about another body says nothing about the one that was sent before."""
    payment = story.payment()
    story.announce(payment)
    story.consent(items=["payment_history"])
    story.receive(payment)

    def narrow(body: dict) -> None:
        body["items"] = {"payment_history": body["items"]["payment_history"]}

    story.announce(payment, narrow)
    decided_at = story.at
    story.receive(payment, narrow, status="rejected")
    story.settle(payment, outcome="DUPLICATE", reason="same_event_other_scope", decided_at=decided_at)
    only(story.verdict(complete=True))


def test_lost_before_the_last_settled(story: Story) -> None:
    """An input without a terminal record is lost once a later one is settled."""
    story.payment()
    only(story.verdict())
    story.provide(story.payment())
    verdict = story.verdict()
    only(verdict, lost=1)
    assert verdict.examples["lost"][0].where == "lease.payments:0:1"


def test_lost_among_inputs_settled_out_of_order(story: Story) -> None:
    """The last settled input is the one with the highest offset, whenever it was settled."""
    first, lost, last = story.payment(BOB), story.payment(BOB), story.payment(BOB)
    story.withhold(last)
    story.withhold(first)
    verdict = story.verdict()
    only(verdict, lost=1)
    assert verdict.examples["lost"][0].where == lost.where


def test_lost_at_the_end(story: Story) -> None:
    """What nobody settled is lost when the run is said to be complete."""
    story.payment()
    story.raw(Topic.PAYMENTS, b"poison", None)
    only(story.verdict(complete=True), lost=2)


def test_two_terminal_records(story: Story) -> None:
    """An input with two terminal records is a duplicate, whatever they say."""
    payment = story.payment(BOB)
    story.withhold(payment)
    story.withhold(payment)
    only(story.verdict(complete=True), duplicated=1)


def test_two_terminal_records_of_what_was_never_delivered(story: Story) -> None:
    """Records of an aborted input are counted as well."""
    aborted = Story()
    aborted.skip(Topic.PAYMENTS, 7)
    payment = aborted.payment(BOB)
    story.withhold(payment)
    only(story.verdict(complete=True))
    story.withhold(payment)
    only(story.verdict(complete=True), duplicated=1)


def test_key_provided_twice(story: Story) -> None:
    """Two inputs with one idempotency key cannot both be PROVIDED."""
    event_id = str(uuid.uuid4())
    for _ in range(2):
        payment = story.payment(event_id=event_id, occurred_at=NOW)
        story.announce(payment)
        story.receive(payment)
        story.settle(payment)
    only(story.verdict(complete=True), duplicated=1)


def test_acceptance_without_a_record(story: Story) -> None:
    """What GeNiE took must be in the ledger; before the run is complete it may still be on its way."""
    payment = story.payment()
    story.announce(payment)
    story.receive(payment)
    only(story.verdict())
    only(story.verdict(complete=True), lost=1, unrecorded=1)


@pytest.mark.parametrize(
    ("outcome", "reason", "transmitted"),
    [("WITHHELD", "consent_withdrawn", "no"), ("PARKED", "outcome_unknown", "unknown")],
)
def test_acceptance_recorded_as_not_transmitted(story: Story, outcome: str, reason: str, transmitted: str) -> None:
    """A record that does not say transmitted yes does not record an acceptance."""
    payment = story.payment()
    story.announce(payment)
    story.receive(payment)
    story.settle(payment, outcome=outcome, reason=reason, transmitted=transmitted)
    said = only(story.verdict(), unrecorded=1)
    assert outcome in said


def test_acceptance_that_was_never_announced(story: Story) -> None:
    """A body that no intent and no ledger record knows is judged by the event that it names."""
    story.receive(story.payment())
    only(story.verdict(complete=True), lost=1, unrecorded=1)


def test_order_swapped(story: Story) -> None:
    """Two payments of a subject from one partition must not be received the other way round."""
    first, second = story.payment(), story.payment()
    story.provide(second)
    story.provide(first)
    only(story.verdict(complete=True), out_of_order=1)


def test_order_counts_pairs(story: Story) -> None:
    """Three in reverse order are three pairs."""
    for payment in reversed([story.payment() for _ in range(3)]):
        story.provide(payment)
    only(story.verdict(complete=True), out_of_order=3)


def test_order_between_subjects_and_partitions_is_free(story: Story) -> None:
    """Neither other subjects nor other partitions have an order."""
    story.consent(BOB)
    first, other, elsewhere = story.payment(), story.payment(BOB), story.payment(partition=1)
    for payment in (elsewhere, other, first):
        story.provide(payment)
    only(story.verdict(complete=True))


def test_receipts_are_read_as_far_as_they_were_written(story: Story, tmp_path: Path) -> None:
    """Lines beyond the size taken at the start, and a last line that is cut short, wait for the next run."""
    path = tmp_path / "receipts.jsonl"
    lines = story.lines()
    path.write_bytes(b"".join(lines) + b'{"seq": 3, "rec')
    assert [receipt.where for receipt in read(path, path.stat().st_size)] == ["receipts.jsonl:1", "receipts.jsonl:2"]
    assert len(list(read(path, len(lines[0]) + 1))) == 1


@pytest.mark.parametrize("line", [b"\xff\n", b"[]\n", b'{"body": {}}\n', b'{"body_digest": 1}\n'])
def test_other_file_instead_of_receipts(line: bytes) -> None:
    """A file that holds something else is named, not read as an empty one."""
    with pytest.raises(ReceiptsError, match=r"receipts\.jsonl:7"):
        parse("receipts.jsonl:7", line)


def test_story_purposes_are_all_ten() -> None:
    """The stories permit every purpose of the clause."""
    assert len(PURPOSES) == 10
