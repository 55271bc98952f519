"""The verifier finds fields and values where they may not be."""

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.sandbox.verifier import policy
from gateway.sandbox.verifier.history import Topic
from tests.verifier_story import (
    ANN,
    BOB,
    CUSTOMER,
    DAY,
    NOW,
    Change,
    Story,
    only,
    right_story,
)


@pytest.fixture
def story() -> Story:
    """A right history, to plant a defect in."""
    return right_story()


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
    payment = story.payment()
    story.announce(payment)
    story.receive(payment)
    story.settle(payment, lambda record: record["recipient"].update(representative=CUSTOMER["name"]))
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
