"""A payment, a score and a consent that permits both, to change one thing at a time."""

from dataclasses import replace
from datetime import date
from typing import Any

from gateway import schemas
from gateway.core.consent import Consent, ConsentStatus, LegalBasis
from gateway.core.events import Event, EventType, Layout, parse
from gateway.core.identity import Identity
from gateway.policies import load

POLICY = load()
IDENTITY = Identity(b"k" * 32, b"p" * 32, "genie", "cluster-1")
SUBJECT, CONTRACT = "subject-1a", "contract-1a"
DAY_MS = 86_400_000


def day(text: str) -> int:
    """Days since epoch."""
    return (date.fromisoformat(text) - date(1970, 1, 1)).days


def ms(text: str, hour: int = 12) -> int:
    """Ms since epoch of an hour in UTC."""
    return day(text) * DAY_MS + hour * 3_600_000


NOW = ms("2026-11-20")
TIMES = {"now": NOW, "expires_at": NOW + 30_000, "skew_ms": 5_000}
LAYOUTS = {
    EventType.LEASE_PAYMENT: Layout(1, dict(schemas.leaves("LeasePaymentEvent"))),
    EventType.NOREL_SCORE_UPDATE: Layout(2, dict(schemas.leaves("NorelScoreUpdate"))),
}


def customer(**changes: Any) -> dict[str, Any]:
    return {
        "name": "山田 太郎",
        "name_kana": "ヤマダ タロウ",
        "address": "東京都千代田区丸の内1-2-3",
        "postal_code": "100-0005",
        "phone": "03-0000-0000",
        "birth_date": day("1985-04-01"),
        "email": "taro@example.jp",
        "bank_account": "0000-000-0000000",
        "card_last4": "0000",
        "licence_no": "000000000000",
        "memo": "自由記述",
    } | changes


def payment(**changes: Any) -> dict[str, Any]:
    return {
        "event_id": "00000000-0000-4000-8000-000000000001",
        "occurred_at": NOW - 1_000,
        "recorded_at": NOW - 500,
        "subject_ref": SUBJECT,
        "contract_ref": CONTRACT,
        "creditor": "idom_caas",
        "installment_no": 3,
        "billing_month": "2026-11",
        "due_date": day("2026-11-15"),
        "amount_due_jpy": 45_000,
        "amount_paid_jpy": 45_000,
        "amount_past_due_jpy": 0,
        "paid_date": day("2026-11-14"),
        "payment_method": "account_debit",
        "days_past_due": 0,
        "payer_relation": "self",
        "nonpayment_reason": "customer",
        "status": "paid",
        "corrects_event_id": None,
        "customer": customer(),
        "vehicle": {"vehicle_id": "vehicle-1", "last_location": "35.0,139.0"},
    } | changes


def score_input(**changes: Any) -> dict[str, Any]:
    return {
        "input_id": "payment_on_time_ratio",
        "value": "0.98",
        "unit": "ratio",
        "observed_at": NOW - DAY_MS,
        "source": "payment_record",
    } | changes


def score(**changes: Any) -> dict[str, Any]:
    return {
        "score_id": "00000000-0000-4000-8000-000000000002",
        "subject_ref": SUBJECT,
        "sequence": 7,
        "score": "712.5",
        "scale_min": "0",
        "scale_max": "1000",
        "model_id": "norel_score",
        "model_version": "1",
        "as_of": NOW - DAY_MS,
        "computed_at": NOW - 1_000,
        "supersedes": None,
        "inputs": [score_input(), score_input(input_id="months_in_contract", value="18", source="contract")],
    } | changes


def read(kind: EventType, record: dict[str, Any]) -> Event:
    """The event of a record that must be one."""
    event = parse(kind, LAYOUTS[kind], record, record["subject_ref"].encode())
    assert isinstance(event, Event)
    return event


def payment_event(**changes: Any) -> Event:
    return read(EventType.LEASE_PAYMENT, payment(**changes))


def score_event(**changes: Any) -> Event:
    return read(EventType.NOREL_SCORE_UPDATE, score(**changes))


CONSENT = Consent(
    record_id="00000000-0000-4000-8000-000000000003",
    version=1,
    subject_ref=SUBJECT,
    recipient="genie",
    status=ConsentStatus.GIVEN,
    policy_version=day("2026-02-25"),
    consented_at=ms("2026-03-01"),
    expires_at=None,
    history_from=None,
    items=POLICY.items,
    opted_out=frozenset(),
    contract_refs=None,
    legal_basis=LegalBasis.CONSENT,
)


def consent(**changes: Any) -> Consent:
    return replace(CONSENT, **changes)
