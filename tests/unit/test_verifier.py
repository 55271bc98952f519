"""The verifier finds nothing in a right history, and each defect that is planted in one."""

import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.sandbox.verifier import policy
from gateway.sandbox.verifier.history import Raw, Topic
from gateway.sandbox.verifier.receipts import ReceiptsError, parse, read
from gateway.sandbox.verifier.verdict import Verdict
from tests.verifier_story import ANN, BOB, CONSENTED_AT, CUSTOMER, DAY, NOW, PURPOSES, Change, Story, position

DAY_MS = 86_400_000


def only(verdict: Verdict, **defects: int) -> str:
    """The verdict has exactly these defects; returns what its examples say."""
    assert {name: count for name, count in verdict.defects.items() if count} == defects
    return "; ".join(example.what for found in verdict.examples.values() for example in found)


@pytest.fixture
def story() -> Story:
    """Ann consented; one payment and one score of hers were provided."""
    story = Story()
    story.consent()
    story.provide(story.payment())
    story.provide(story.score())
    return story


# ---- a right history ------------------------------------------------------------------------------------------------


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


# ---- lost, duplicated, unrecorded, out of order ---------------------------------------------------------------------


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


# ---- consent --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["withdrawn", "expired", "unknown"])
def test_withdrawn_before(story: Story, status: str) -> None:
    """Nothing may be sent after consent ended."""
    story.consent(status=status)
    story.provide(story.payment())
    assert status in only(story.verdict(), unconsented=1)


def test_withdrawn_between_announcement_and_decision(story: Story) -> None:
    """A withdrawal acknowledged before the fence's end offsets were read counts, announced or not."""
    payment = story.payment()
    story.announce(payment)
    story.consent(status="withdrawn")
    decided_at = story.at + 1
    story.receive(payment)
    story.settle(payment, decided_at=decided_at)
    only(story.verdict(), unconsented=1)


def test_withdrawn_after_the_decision(story: Story) -> None:
    """A withdrawal at or after the decision comes too late for it."""
    payment = story.payment()
    story.announce(payment)
    story.consent(status="withdrawn")
    decided_at = story.at
    story.receive(payment)
    story.settle(payment, decided_at=decided_at)
    only(story.verdict())


def test_second_attempt_after_a_withdrawal(story: Story) -> None:
    """The first attempt excuses one receipt, not the second one that was sent after the withdrawal."""
    payment = story.payment()
    story.announce(payment)
    story.receive(payment)
    story.consent(status="withdrawn")
    story.announce(payment)
    story.at += 10
    decided_at = story.at
    story.receive(payment, status="duplicate")
    story.settle(payment, decided_at=decided_at)
    only(story.verdict(), unconsented=1)


def test_announcement_of_another_body_excuses_nothing(story: Story) -> None:
    """Only what announced this very body may be the decision that it rests on."""
    payment = story.payment()
    story.announce(payment, lambda body: body["permitted_purposes"].pop())
    story.consent(status="withdrawn")
    story.receive(payment)
    story.settle(payment, reason="resolved_by_lookup")
    only(story.verdict(), unconsented=1)


def test_expired_announcement_excuses_nothing(story: Story) -> None:
    """What arrives after every announcement of it expired is judged by the moment of its receipt."""
    payment = story.payment()
    story.announce(payment)
    story.at += 60_000
    story.consent(status="withdrawn")
    story.receive(payment)
    story.settle(payment, reason="resolved_by_lookup")
    only(story.verdict(), unconsented=1)


def test_acceptance_without_a_record_is_judged_by_its_intent(story: Story) -> None:
    """Where no ledger record tells the decision, it lies at the announcement or later."""
    story.consent(status="withdrawn")
    payment = story.payment()
    story.announce(payment)
    story.receive(payment)
    only(story.verdict(complete=True), lost=1, unrecorded=1, unconsented=1)


def test_never_consented(story: Story) -> None:
    """Without any consent record there is no consent; one that comes after the receipt does not help."""
    story.provide(story.payment(BOB))
    story.consent(BOB)
    assert only(story.verdict(), unconsented=1).startswith("no consent record")


def test_given_between_decision_and_receipt(story: Story) -> None:
    """A consent that may have been seen is enough."""
    payment = story.payment(BOB)
    story.announce(payment)
    decided_at = story.at
    story.consent(BOB)
    story.receive(payment)
    story.settle(payment, decided_at=decided_at)
    only(story.verdict())


@pytest.mark.parametrize(
    ("consent", "why"),
    [
        ({"recipient": "other"}, "another recipient"),
        ({"legal_basis": "public_task"}, "legal basis"),
        ({"policy_version": DAY}, "does not exist"),
        ({"policy_version": 20_489}, "GeNiE clause"),
        ({"consented_at": NOW - 365 * DAY_MS}, "not in force"),
        ({"consented_at": NOW + DAY_MS}, "later than the decision"),
        ({"expires_at": NOW + 20_000}, "ends before the attempt"),
        ({"contract_refs": []}, "contract"),
        ({"contract_refs": [f"lease-{BOB}"]}, "contract"),
        ({"purposes_opted_out": ["insurance_administration"]}, "no opt-out"),
        ({"items": ["name"]}, "payment_history is not consented to"),
        ({"items": ["name", "payment_history"]}, "address, birth_date, phone"),
        ({"purposes_opted_out": ["credit_product_marketing"]}, "credit_product_marketing"),
        ({"consented_at": CONSENTED_AT + 1}, "another consent"),
        ({"consent_version": 0}, "went back"),
    ],
)
def test_consent_that_does_not_allow_what_was_sent(story: Story, consent: dict, why: str) -> None:
    """Every rule of a valid consent, broken alone, makes an acceptance unconsented."""
    story.consent(**consent)
    story.provide(story.payment())
    assert why in only(story.verdict(), unconsented=1)


def test_tombstone(story: Story) -> None:
    """A deleted consent is none."""
    story.raw(Topic.CONSENTS, None, ANN)
    story.provide(story.payment())
    only(story.verdict(), unconsented=1)


def test_consent_in_two_partitions(story: Story) -> None:
    """A subject whose consent moves to another partition has none until a higher version comes."""
    story.consent(partition=1)
    story.provide(story.payment())
    only(story.verdict(), unconsented=1)
    story.consent(partition=1)
    story.provide(story.payment())
    only(story.verdict(), unconsented=1)


@pytest.mark.parametrize(
    ("consent", "defects"),
    [
        ({}, 1),
        ({"history_from": DAY - 90}, 0),
        ({"history_from": DAY - 89}, 1),
    ],
)
def test_event_before_consent(story: Story, consent: dict, defects: int) -> None:
    """An earlier payment is covered only by history_from."""
    story.consent(**consent)
    story.provide(
        story.payment(due_date=DAY - 90), lambda body: body["items"]["payment_history"].update(due_date="2026-08-24")
    )
    assert story.verdict().unconsented == defects
    assert story.verdict().leaked_fields == 0


def test_score_input_before_consent(story: Story) -> None:
    """Each score input must be covered by its own time."""
    old = NOW - 40 * DAY_MS
    inputs = [
        {"input_id": "max_days_past_due", "value": "0", "unit": "days", "observed_at": old, "source": "payment_record"}
    ]

    def older(body: dict) -> None:
        body["items"]["norel_score_inputs"][0]["observed_at"] = "2026-10-13T00:00:00.000Z"

    story.provide(story.score(inputs=inputs), older)
    assert "older" in only(story.verdict(), unconsented=1)


def test_payment_to_another_lessor(story: Story) -> None:
    """What is owed to a partner lessor is outside the policy."""
    story.provide(story.payment(creditor="partner_lessor"))
    assert "another lessor" in only(story.verdict(), unconsented=1)


def test_sent_while_held(story: Story) -> None:
    """A hold that was on from before the decision until the receipt is reported beside the six counts."""
    hold = {"hold_id": str(uuid.uuid4()), "scope": "subject", "value": ANN, "state": "held", "operator": "desk"}
    rest = {"reason": "dispute", "ticket": "T-2", "at": NOW, "expires_at": None}
    story.write(Topic.CONTROLS, "Control", {**hold, **rest}, hold["hold_id"])
    story.provide(story.payment())
    story.write(Topic.CONTROLS, "Control", {**hold, **rest, "state": "released"}, hold["hold_id"])
    story.provide(story.payment())
    verdict = story.verdict()
    only(verdict)
    assert verdict.sent_while_held == 1
    assert not verdict.clean


# ---- leaked fields --------------------------------------------------------------------------------------------------


def put(*path: str, **values: object) -> Change:
    """A change that sets fields below a path of the body."""

    def change(body: dict) -> None:
        for name in path:
            body = body[name]
        body.update(values)

    return change


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (put(memo=CUSTOMER["memo"]), "memo: not allowed"),
        (put("items", "address", postal_code=CUSTOMER["postal_code"]), "items.address.postal_code: not allowed"),
        (put("items", "payment_history", payer_relation="self"), "items.payment_history.payer_relation: not allowed"),
        (put("items", "name", name="青山 夏香"), "items.name.name: not the input's value"),
        (put("items", "phone", phone="09000001234"), "items.phone.phone: not the input's value"),
        (put("items", "payment_history", amount_due_jpy=43_801), "items.payment_history.amount_due_jpy"),
        (put("items", "payment_history", due_date=DAY), "items.payment_history.due_date"),
        (put("envelope", recorded_at="2026-11-22T00:00:00.000Z"), "envelope.recorded_at: not allowed"),
        (put("envelope", occurred_at="2026-11-22T00:00:00Z"), "envelope.occurred_at: not the input's value"),
        (put("consent", record_id="c-1"), "consent.record_id: not allowed"),
        (put(subject_key="a name"), "subject_key: not a pseudonym"),
        (put(subject_key="A" * 43), "subject_key: stands for another"),
    ],
)
def test_body_with_what_the_item_table_does_not_allow(story: Story, change: Change, what: str) -> None:
    """Any field or value beyond the item table is found, named by its path and never by its value."""
    story.provide(story.payment(), change)
    verdict = story.verdict()
    assert verdict.leaked_fields >= 1
    assert verdict.unconsented == 0
    found = [example.what for example in verdict.examples["leaked_fields"]]
    assert any(what in said for said in found)
    assert not any(str(value) in said for said in found for value in CUSTOMER.values())


def test_rejected_body_is_searched_too(story: Story) -> None:
    """What GeNiE refused has left all the same."""
    payment = story.payment()
    story.announce(payment, put(memo="x"))
    story.receive(payment, put(memo="x"), status="rejected")
    story.settle(payment, outcome="PARKED", reason="rejected_by_genie", transmitted="no")
    only(story.verdict(), leaked_fields=1)


def test_item_of_another_type_of_event(story: Story) -> None:
    """A score carries no name: that is a leak, and beyond the consent for this type of event."""
    story.provide(story.score(), put("items", name={"name": CUSTOMER["name"]}))
    only(story.verdict(), leaked_fields=1, unconsented=1)


@pytest.mark.parametrize(
    "entry",
    [
        {"input_id": "night_driving", "value": "0.2", "unit": "ratio", "observed_at": "2026-11-22T00:00:00.000Z"},
        {"input_id": "max_days_past_due", "value": "1", "unit": "days", "observed_at": "2026-11-22T00:00:00.000Z"},
        {"input_id": "max_days_past_due", "value": "0", "unit": "days", "source": "payment_record"},
    ],
)
def test_score_input_that_may_not_leave(story: Story, entry: dict) -> None:
    """An input that is not registered, has another value, or shows its source is a leak."""
    story.provide(story.score(), put("items", norel_score_inputs=[entry]))
    only(story.verdict(), leaked_fields=1)


def test_registered_input_from_another_source(story: Story) -> None:
    """An input may come only from the source that the policy registers, and never from location."""
    inputs = [{"input_id": "max_days_past_due", "value": "0", "unit": "days", "observed_at": NOW, "source": "location"}]
    story.provide(story.score(inputs=inputs))
    only(story.verdict(), leaked_fields=1)
    wrong = {("norel_score", "1"): {"max_days_past_due": "location"}}
    assert story.verdict(rules=replace(policy.load(), score_inputs=wrong)).leaked_fields == 2


def test_pseudonym_of_another_subject(story: Story) -> None:
    """One subject_key stands for one subject."""
    story.consent(BOB)
    ann = story.receipts[0]["body"]["subject_key"]
    story.provide(story.payment(BOB), put(subject_key=ann))
    only(story.verdict(), leaked_fields=1)


def test_reference_at_genie(story: Story) -> None:
    """A reference itself is found wherever in the body it stands."""
    story.provide(story.payment(), put(subject_key=ANN))
    verdict = story.verdict()
    assert "subject_ref is in it" in only(verdict, leaked_fields=verdict.leaked_fields)


def test_event_that_no_input_holds(story: Story) -> None:
    """A body about an event that no reader was given has no right to be there."""
    other = Story()
    other.payment(), other.payment()
    story.receive(other.payment())
    assert "no input" in only(story.verdict(), leaked_fields=1, unrecorded=1)


@pytest.mark.parametrize("field", ["name", "address", "phone", "email", "bank_account", "licence_no", "postal_code"])
def test_personal_value_in_the_ledger(story: Story, field: str) -> None:
    """A ledger text that holds a personal value is found, even in a field of free form."""
    story.settle(story.payment(), reason=f"bad_value: {CUSTOMER[field]}", outcome="PARKED", transmitted="no")
    verdict = story.verdict()
    assert f"reason holds a value of customer.{field}" in only(verdict, leaked_fields=verdict.leaked_fields)


def test_customer_as_recipient(story: Story) -> None:
    """The recipient's own name may be a customer's; a second one that differs is searched."""
    story.settle(story.payment(), lambda record: record["recipient"].update(representative=CUSTOMER["name"]))
    only(story.verdict(), leaked_fields=1)


def test_personal_value_in_a_parked_record(story: Story) -> None:
    """Parked records are searched, also those that cannot be read."""
    story.raw(Topic.PARKED, f"broken {CUSTOMER['email']}".encode(), "lease.payments:0:0")
    story.raw(Topic.PARKED, None, CUSTOMER["phone"])
    assert story.verdict().leaked_fields == 2


@pytest.mark.parametrize(
    "line",
    [
        '{"event":"failed","error":"cannot read 青山 春香"}',
        '{"error":"\\u9752\\u5c71\\u3000\\u6625\\u9999: \\u9752\\u5c71\\u6625\\u9999"}',
        "ValueError: b'\\xe9\\x9d\\x92\\xe5\\xb1\\xb1 \\xe6\\x98\\xa5\\xe9\\xa6\\x99'",
        "call 09000001234 or 090-0000-1235",
        "bad address 東京都千代田区丸の内九丁目9-9 見本...",
        "born 1986-06-06",
        f"subject={ANN} done",
        f"lease-{ANN}: no",
    ],
)
def test_personal_value_in_a_log(story: Story, tmp_path: Path, line: str) -> None:
    """Logs are searched for values in any writing, whole or cut short, and for references."""
    log = tmp_path / "gateway.log"
    log.write_text(f"started\n{line}\nstopped\n", "utf-8")
    verdict = story.verdict(log)
    assert verdict.leaked_fields >= 1
    only(verdict, leaked_fields=verdict.leaked_fields)
    assert {example.where for example in verdict.examples["leaked_fields"]} == {"gateway.log:2"}


def test_harmless_log(story: Story, tmp_path: Path) -> None:
    """Numbers, times and identifiers that merely resemble values are left alone."""
    log = tmp_path / "gateway.log"
    lines = [
        '{"t":"2026-11-22T09:00:00.123Z","event":"settled","offset":100,"entries":4242,"lane":"lease.payments:0"}',
        f"batch {'0' * 5}100-9999-4a4a-8000-{'1' * 12} of 1000-99991",
        "digest 090000012345 3029123456789 aVIN000000000001 cust-ann-0000011",
    ]
    log.write_text("\n".join(lines), "utf-8")
    only(story.verdict(log))


# ---- the file of receipts -------------------------------------------------------------------------------------------


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
