"""Which values an input record may have, and the sentence for a person who gave another.

Knows the values that gateway/core/events.py and core/consent.py take as possible: tests hold the two together, for
what passes here and is INVALID there would be a lie to billing. Must not know Avro, documents or Kafka.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from gateway.core import events
from gateway.core.events import check_ref, is_uuid
from gateway.producer.shape import Mistake, Rules

CLOCK_SKEW_MS = 5_000  # how far a producer's clock may be ahead; the gateway's own default

_MONTH = re.compile(r"[0-9]{4}-(?:0[1-9]|1[0-2])").fullmatch
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,18})?").fullmatch

Rule = Callable[[Any], str | None]


def _like(form: Callable[[str], object], wanted: str) -> Rule:
    return lambda value: None if form(value) else f"wanted {wanted}"


def _between(low: int, high: int, wanted: str) -> Rule:
    return lambda value: None if low <= value <= high else f"wanted {wanted}"


def _long(shortest: int, longest: int) -> Rule:
    def rule(value: str) -> str | None:
        if shortest <= len(value) <= longest:
            return None
        return f"wanted {shortest} to {longest} characters, got {len(value)}"

    return rule


_UUID = _like(is_uuid, "a UUID in lower case, as 0b7c1d0e-1111-4222-8333-444455556666")
_REF = _like(check_ref, "6 to 64 of A-Z a-z 0-9 _ -, with a letter, beginning with a letter or digit")
_MOMENT = _between(0, events.LAST_MS, "a moment from 1970 to 2199")
_DAY = _between(events.FIRST_DAY, events.LAST_DAY, "a day from 1900 to 2199")
_COUNT = _between(0, events.INT_MAX, "a number that is not negative")
_NUMBER = _like(_DECIMAL, "a decimal number as text, as 712.50: at most 18 digits on each side of the point")
_YEN = _between(-events.SAFE_INTEGER, events.SAFE_INTEGER, "whole yen, at most 2^53 - 1")
_TEXT = _long(1, events.TEXT_MAX)

_PAYMENT: Rules = {
    "event_id": _UUID,
    "occurred_at": _MOMENT,
    "subject_ref": _REF,
    "contract_ref": _REF,
    "installment_no": _COUNT,
    "billing_month": _like(_MONTH, "a month, as 2026-11"),
    "due_date": _DAY,
    "amount_due_jpy": _YEN,
    "amount_paid_jpy": _YEN,
    "amount_past_due_jpy": _between(0, events.SAFE_INTEGER, "whole yen that are not negative, at most 2^53 - 1"),
    "paid_date": _DAY,
    "days_past_due": _COUNT,
    "corrects_event_id": _UUID,
    "customer.name": _TEXT,
    "customer.name_kana": _TEXT,
    "customer.address": _long(1, events.ADDRESS_MAX),
    "customer.phone": _long(1, events.PHONE_MAX),
    "customer.birth_date": _DAY,
}
_SCORE: Rules = {
    "score_id": _UUID,
    "subject_ref": _REF,
    "sequence": _between(0, events.SAFE_INTEGER, "a number from 0 to 2^53 - 1"),
    "score": _NUMBER,
    "scale_min": _NUMBER,
    "scale_max": _NUMBER,
    "model_id": _TEXT,
    "model_version": _TEXT,
    "as_of": _MOMENT,
    "computed_at": _MOMENT,
    "supersedes": _UUID,
    "inputs": lambda value: None if len(value) <= events.INPUTS_MAX else f"wanted at most {events.INPUTS_MAX} inputs",
    "inputs[].input_id": _TEXT,
    "inputs[].value": _NUMBER,
    "inputs[].unit": _long(0, events.UNIT_MAX),
    "inputs[].observed_at": _MOMENT,
}
_CONSENT: Rules = {"record_id": _UUID, "subject_ref": _REF}

RULES: Mapping[str, Rules] = {"LeasePaymentEvent": _PAYMENT, "NorelScoreUpdate": _SCORE, "ConsentRecord": _CONSENT}
_HAPPENED = {"LeasePaymentEvent": "occurred_at", "NorelScoreUpdate": "computed_at", "ConsentRecord": "consented_at"}


def between_fields(kind: str, record: Mapping[str, Any], now_ms: int) -> Sequence[Mistake]:
    """What is wrong with a record whose leaves are each possible."""
    found = []
    happened = _HAPPENED[kind]
    if record[happened] > now_ms + CLOCK_SKEW_MS:
        found.append(Mistake(f"/{happened}", "lies in the future: correct it, or this machine's clock"))
    if kind == "NorelScoreUpdate":
        low, score, high = (Decimal(record[name]) for name in ("scale_min", "score", "scale_max"))
        if not low <= score <= high:
            found.append(Mistake("/score", "is not between scale_min and scale_max"))
    return found
