"""The events that billing and scoring write, as typed values.

Knows the fields of the two input records, under the types that Python has for them. Must not know Avro, Kafka or
which values are possible (rules.py). What each field means stands in schemas/avro, and in docs/reference/topics.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, ClassVar, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """The contract party, as billing knows it. Of these only name, kana, address, phone and birth date can leave."""

    name: str
    name_kana: str
    address: str
    postal_code: str
    phone: str
    birth_date: date
    email: str | None = None
    bank_account: str | None = None
    card_last4: str | None = None
    licence_no: str | None = None
    memo: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Vehicle:
    """The leased car; nothing of it leaves."""

    vehicle_id: str
    last_location: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeasePayment:
    """What happened to one instalment of a lease. Amounts in yen, days in Japan, moments with their zone."""

    kind: ClassVar[str] = "LeasePaymentEvent"

    event_id: str  # the same event sent again keeps it: make it from billing's own row, never anew at each try
    occurred_at: datetime
    recorded_at: datetime
    subject_ref: str
    contract_ref: str
    creditor: Literal["idom_caas", "partner_lessor"]
    installment_no: int
    billing_month: str  # YYYY-MM
    due_date: date
    amount_due_jpy: int
    amount_paid_jpy: int
    amount_past_due_jpy: int
    paid_date: date | None = None
    payment_method: Literal["account_debit", "bank_transfer", "convenience_store", "card", "other"]
    days_past_due: int
    payer_relation: Literal["self", "other"]
    nonpayment_reason: Literal["customer", "not_customer", "unknown"] | None = None
    status: Literal["paid", "partial", "unpaid", "reversed", "corrected"]
    corrects_event_id: str | None = None
    customer: Customer
    vehicle: Vehicle

    def document(self) -> dict[str, Any]:
        """The fields by name, as rules and schema ask for them."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreInput:
    """One value that went into a score; only those that the policy registers can leave."""

    input_id: str
    value: str  # a decimal number as text
    unit: str
    observed_at: datetime
    source: Literal["payment_record", "contract", "application", "usage", "location", "bureau", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NorelScore:
    """A new NOREL score of a customer. Numbers of the score are decimal texts: a float would change them."""

    kind: ClassVar[str] = "NorelScoreUpdate"

    score_id: str
    subject_ref: str
    sequence: int  # grows with each score of the subject
    score: str
    scale_min: str
    scale_max: str
    model_id: str
    model_version: str
    as_of: datetime
    computed_at: datetime
    supersedes: str | None = None
    inputs: Sequence[ScoreInput] = ()

    def document(self) -> dict[str, Any]:
        """The fields by name, as rules and schema ask for them."""
        return asdict(self)


Event = LeasePayment | NorelScore
