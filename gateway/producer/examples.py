"""Examples to start from: one made-up customer, today. Each passes every check, and the payment can be provided once
the consent is written. Knows what a believable event looks like; must not know how it is judged or sent.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

_JST = timezone(timedelta(hours=9))  # Japan has no summer time
_SUBJECT, _CONTRACT = "customer-1", "contract-1"


def example(kind: str, now: datetime) -> dict[str, Any]:
    """A document of this kind, dated to the day of `now`."""
    made = _EXAMPLES[kind]
    return dict(made(now.astimezone(_JST)))


def _payment(now: datetime) -> Mapping[str, Any]:
    today = now.date().isoformat()
    return {
        "event_id": str(uuid.uuid4()),
        "occurred_at": _moment(now - timedelta(minutes=1)),
        "recorded_at": _moment(now),
        "subject_ref": _SUBJECT,
        "contract_ref": _CONTRACT,
        "creditor": "idom_caas",
        "installment_no": 3,
        "billing_month": today[:7],
        "due_date": today,
        "amount_due_jpy": 45_000,
        "amount_paid_jpy": 45_000,
        "amount_past_due_jpy": 0,
        "paid_date": today,
        "payment_method": "account_debit",
        "days_past_due": 0,
        "payer_relation": "self",
        "status": "paid",
        "customer": {
            "name": "架空 花子",
            "name_kana": "カクウ ハナコ",
            "address": "東京都架空区見本町1-2-3",
            "postal_code": "000-0000",
            "phone": "000-0000-0000",
            "birth_date": "1985-04-01",
        },
        "vehicle": {"vehicle_id": "vehicle-1"},
    }


def _score(now: datetime) -> Mapping[str, Any]:
    just = _moment(now - timedelta(minutes=1))
    return {
        "score_id": str(uuid.uuid4()),
        "subject_ref": _SUBJECT,
        "sequence": _growing(now),
        "score": "712.5",
        "scale_min": "0",
        "scale_max": "1000",
        "model_id": "norel_score",
        "model_version": "1",
        "as_of": just,
        "computed_at": _moment(now),
        "inputs": [
            {
                "input_id": "payment_on_time_ratio",
                "value": "0.98",
                "unit": "ratio",
                "observed_at": just,
                "source": "payment_record",
            }
        ],
    }


def _consent(now: datetime) -> Mapping[str, Any]:
    given = _moment(now - timedelta(minutes=2))
    return {
        "record_id": str(uuid.uuid4()),
        "consent_version": _growing(now),
        "subject_ref": _SUBJECT,
        "recipient": "genie",
        "status": "given",
        "status_updated_at": given,
        "policy_version": "2026-02-25",
        "consented_at": given,
        "items": ["address", "birth_date", "name", "norel_score", "norel_score_inputs", "payment_history", "phone"],
        "purposes_opted_out": [],
        "collection_method": "app",
        "consent_actor": "self",
        "legal_basis": "consent",
    }


def _moment(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")


def _growing(now: datetime) -> int:
    """A number that is higher each time."""
    return int(now.timestamp() * 1_000)


_EXAMPLES = {"LeasePaymentEvent": _payment, "NorelScoreUpdate": _score, "ConsentRecord": _consent}
