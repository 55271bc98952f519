"""Input records: which are events, and what becomes of the others."""

import pytest

from gateway.core.events import FIRST_DAY, LAST_DAY, Event, EventType, check_ref, jst_day, parse
from gateway.core.policy import Kind
from gateway.core.reasons import Reason
from tests.core_cases import (
    CONTRACT,
    LAYOUTS,
    NOW,
    POLICY,
    SUBJECT,
    customer,
    day,
    ms,
    payment,
    payment_event,
    score,
    score_event,
    score_input,
)

PAYMENT, SCORE = EventType.LEASE_PAYMENT, EventType.NOREL_SCORE_UPDATE


KEY = SUBJECT.encode()


def outcome(kind, record, key=KEY):
    return parse(kind, LAYOUTS[kind], record, key)


def test_a_payment_becomes_an_event():
    """All that later rooms ask of a payment is in the event."""
    event = payment_event()
    assert (event.type, event.event_id, event.subject_ref, event.contract_ref) == (
        PAYMENT,
        "00000000-0000-4000-8000-000000000001",
        SUBJECT,
        CONTRACT,
    )
    assert (event.occurred_at, event.covered_days) == (NOW - 1_000, (day("2026-11-15"),))
    assert (event.creditor_is_us, event.correction) == (True, False)


def test_a_score_becomes_an_event():
    """A score has no contract, happened when it was computed and speaks of the day of as_of in Japan."""
    event = score_event(as_of=ms("2026-11-15", hour=15))
    assert (event.type, event.contract_ref) == (SCORE, None)
    assert (event.occurred_at, event.covered_days) == (NOW - 1_000, (day("2026-11-16"),))
    assert (event.creditor_is_us, event.correction) == (True, False)


@pytest.mark.parametrize(
    "changes", [{"status": "corrected"}, {"corrects_event_id": "00000000-0000-4000-8000-000000000009"}]
)
def test_a_correction_is_known_by_status_or_by_what_it_corrects(changes):
    """Either sign makes the payment a correction."""
    assert payment_event(**changes).correction


def test_a_payment_to_a_partner_is_not_owed_to_us():
    """The creditor decides, nothing else."""
    assert not payment_event(creditor="partner_lessor").creditor_is_us


@pytest.mark.parametrize(
    "key", [None, b"", b"short", b"0312345678", b"090-1234-5678", b"a@example.jp", b"-subject", b"x" * 65, b"\xff" * 8]
)
def test_a_key_that_is_no_reference_is_bad(key):
    """No key, telephone numbers, addresses and bytes are refused before the record is looked at."""
    assert outcome(PAYMENT, {}, key) is Reason.BAD_KEY


def test_a_key_of_another_subject_parks():
    """A person has to find out whose event it is."""
    assert outcome(PAYMENT, payment(), b"subject-2b") is Reason.SUBJECT_MISMATCH


BAD_PAYMENTS = [
    {"event_id": "00000000-0000-4000-8000-00000000000G"},
    {"event_id": "00000000-0000-4000-8000-00000000000A"},
    {"event_id": "00000000-0000-4000-8000-000000000001\n"},
    {"subject_ref": "0312345678"},
    {"contract_ref": ""},
    {"contract_ref": None},
    {"occurred_at": -1},
    {"occurred_at": True},
    {"occurred_at": 2**62},
    {"creditor": "someone"},
    {"installment_no": -1},
    {"installment_no": 2**31},
    {"billing_month": "2026-13"},
    {"billing_month": "2026-11-01"},
    {"billing_month": "２０２６-11"},
    {"due_date": 2**31 - 1},
    {"due_date": None},
    {"amount_due_jpy": 2**53},
    {"amount_paid_jpy": -(2**53)},
    {"amount_paid_jpy": 1.0},
    {"amount_past_due_jpy": -1},
    {"paid_date": -(2**31)},
    {"paid_date": "2026-11-14"},
    {"payment_method": "barter"},
    {"days_past_due": -1},
    {"nonpayment_reason": ""},
    {"status": None},
    {"status": []},
    {"corrects_event_id": "the other one"},
    {"customer": None},
    {"customer": customer(name="")},
    {"customer": customer(name="\ud800")},
    {"customer": customer(name_kana="ア" * 201)},
    {"customer": customer(address="町" * 501)},
    {"customer": customer(phone="0" * 33)},
    {"customer": customer(phone=312345678)},
    {"customer": customer(birth_date=-40_000)},
]


@pytest.mark.parametrize("changes", BAD_PAYMENTS)
def test_an_impossible_value_makes_a_payment_invalid(changes):
    """One impossible value is enough."""
    assert outcome(PAYMENT, payment(**changes)) is Reason.BAD_VALUE


BAD_SCORES = [
    {"score_id": "7"},
    {"sequence": -1},
    {"sequence": 2**53},
    {"score": "7.12e2"},
    {"score": "NaN"},
    {"score": "712."},
    {"score": "+1"},
    {"score": "٣"},
    {"score": 712.5},
    {"score": "1000.01"},
    {"scale_min": "712.51"},
    {"scale_max": "01000"},
    {"model_id": ""},
    {"model_version": 1},
    {"as_of": -1},
    {"computed_at": 2**60},
    {"supersedes": ""},
    {"inputs": None},
    {"inputs": [score_input()] * 201},
    {"inputs": [None]},
    {"inputs": [score_input(value="35.0,139.0")]},
    {"inputs": [score_input(unit="x" * 65)]},
    {"inputs": [score_input(observed_at=None)]},
    {"inputs": [score_input(), score_input(input_id="")]},
]


@pytest.mark.parametrize("name", ["paid_date", "due_date"])
@pytest.mark.parametrize("on", [FIRST_DAY, LAST_DAY])
def test_the_first_and_the_last_day_make_a_payment(name, on):
    """All days between them can be written."""
    assert isinstance(outcome(PAYMENT, payment(**{name: on})), Event)


@pytest.mark.parametrize(
    "changes",
    [
        {"score": "0"},
        {"score": "1000"},
        {"inputs": [score_input()] * 200},
        {"inputs": []},
        {"supersedes": "00000000-0000-4000-8000-000000000009"},
    ],
)
def test_the_last_possible_values_make_a_score(changes):
    """Both ends of the scale, and as many inputs as may be."""
    assert isinstance(outcome(SCORE, score(**changes)), Event)


@pytest.mark.parametrize("changes", BAD_SCORES)
def test_an_impossible_value_makes_a_score_invalid(changes):
    """One impossible value is enough, also in an input that would not leave."""
    assert outcome(SCORE, score(**changes)) is Reason.BAD_VALUE


def leaf(record, path):
    """The part of a record that holds a leaf, and the leaf's name."""
    part, _, name = path.rpartition(".")
    if part == "inputs[]":
        return record["inputs"][0], name
    return (record[part] if part else record), name


PATHS = [
    (kind, path, written)
    for kind, tables in POLICY.fields.items()
    for table in tables.values()
    for path, written in table.items()
]


@pytest.mark.parametrize(("kind", "path", "written"), PATHS, ids=str)
def test_no_field_that_may_leave_goes_unchecked(kind, path, written):
    """A value of another type, in any field that the policy lets leave, makes the record invalid."""
    others = [b"bytes", 1.5, {}, []] + (["text"] if written is not Kind.TEXT else [1])
    for other in others:
        record = payment(customer=customer()) if kind is PAYMENT else score(inputs=[score_input()])
        part, name = leaf(record, path)
        part[name] = other
        assert outcome(kind, record) is Reason.BAD_VALUE


@pytest.mark.parametrize(("kind", "path", "written"), PATHS, ids=str)
def test_a_field_that_is_missing_is_a_bad_value(kind, path, written):
    """A schema that lacks a field which may leave makes no event."""
    record = payment(customer=customer()) if kind is PAYMENT else score(inputs=[score_input()])
    part, name = leaf(record, path)
    del part[name]
    assert outcome(kind, record) is Reason.BAD_VALUE


@pytest.mark.parametrize(
    ("ref", "good"),
    [("abcdef", True), ("a-1_Z9", True), ("A" * 64, True), ("12345a", True)]
    + [
        (ref, False)
        for ref in ("abcde", "A" * 65, "123456", "_abcdef", "abc def", "abcdef\n", "ａｂｃｄｅｆ", "ab.cdef")
    ],
)
def test_references_are_told_from_everything_else(ref, good):
    """Six to 64 plain characters with a letter among them, as text or as bytes."""
    assert check_ref(ref) == (ref if good else None)
    assert check_ref(ref.encode()) == (ref if good else None)


def test_a_day_begins_at_midnight_in_japan():
    """15:00 UTC is the next day there."""
    assert jst_day(ms("2026-02-24", hour=15) - 1) == day("2026-02-24")
    assert jst_day(ms("2026-02-24", hour=15)) == day("2026-02-25")
