"""The verifier finds what was sent without consent, consent judged from the text alone."""

import uuid

import pytest

from gateway.sandbox.verifier.history import Topic
from tests.verifier_story import (
    ANN,
    BOB,
    CONSENTED_AT,
    DAY,
    NOW,
    SKEW_MS,
    Story,
    only,
    right_story,
)

DAY_MS = 86_400_000


@pytest.fixture
def story() -> Story:
    """A right history, to plant a defect in."""
    return right_story()


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


def test_withdrawn_while_clocks_differ(story: Story) -> None:
    """A decision dated by a clock that is ahead may have been made before what it seems to follow."""
    payment = story.payment()
    story.announce(payment)
    story.consent(status="withdrawn")
    decided_at = story.at + 100
    story.receive(payment)
    story.settle(payment, decided_at=decided_at)
    only(story.verdict(drift_ms=99), unconsented=1)
    only(story.verdict(drift_ms=100))


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


def test_a_decision_at_the_next_announcement_speaks_of_the_next_attempt(story: Story) -> None:
    """What a new owner looks up names the moment of the last announcement, not of the attempt that arrived."""
    event_id = str(uuid.uuid4())
    story.provide(story.payment(event_id=event_id, occurred_at=NOW))
    again = story.payment(event_id=event_id, occurred_at=NOW)
    story.announce(again)
    story.consent(status="withdrawn")
    story.receive(again, status="duplicate")
    received_at = story.at
    announced_at = story.announce(again)
    assert announced_at - received_at < SKEW_MS
    story.settle(again, outcome="DUPLICATE", reason="same_event", decided_at=announced_at)
    only(story.verdict())


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
