"""What billing tells: instalment after instalment of each contract, and what became of it.

Knows instalments and dates. Must not know consent, faults or bytes.
"""

from __future__ import annotations

from enum import Enum
from random import Random
from typing import Any, NamedTuple

from gateway.sandbox.producers.days import HOUR_MS, MINUTE_MS, in_month, month_name, month_of, start_of
from gateway.sandbox.producers.population import Contract, Subject, World
from gateway.sandbox.producers.shares import Shares, made_uuid

OTHER_PAYER_SHARE = 0.05
REASONS = ("customer", "customer", "not_customer", "unknown")


class Status(Enum):
    """What became of an instalment: (code, share, sentence)."""

    share: float
    sentence: str

    def __new__(cls, code: str, share: float, sentence: str) -> Status:
        member = object.__new__(cls)
        member._value_ = code
        member.share = share
        member.sentence = sentence
        return member

    PAID = ("paid", 0.80, "Paid in full, on time or late.")
    PARTIAL = ("partial", 0.05, "Paid in part.")
    UNPAID = ("unpaid", 0.09, "Due and not paid.")
    REVERSED = ("reversed", 0.02, "Paid, then taken back by the bank.")
    CORRECTED = ("corrected", 0.04, "An earlier event was wrong: this one corrects it.")


_STATUSES = Shares(Status)


class Payment(NamedTuple):
    """One event of billing, and what it tells."""

    record: dict[str, Any]
    kind: str


class Billing:
    """Writes the payment events of all customers: instalment after instalment, contracts in turn."""

    def __init__(self, world: World, rng: Random) -> None:
        self._world = world
        self._rng = rng
        self._written: dict[int, int] = {}
        self._month_now = month_of(world.today)

    def next(self, subject: Subject) -> Payment:
        """The next event of this customer."""
        count = self._written.get(subject.number, 0)
        self._written[subject.number] = count + 1
        turns = len(subject.contracts)
        contract = subject.contracts[count % turns]
        due_months = max(1, self._month_now - contract.first_month)  # the current month may not be due yet
        earlier = count - turns
        status = _STATUSES.pick(self._rng.random()) or Status.PAID
        if status is Status.CORRECTED and earlier < 0:
            status = Status.PAID
        about = earlier if status is Status.CORRECTED else count
        record = self._event(subject, contract, count, about // turns % due_months, status)
        if status is Status.CORRECTED:
            record["corrects_event_id"] = self._event_id(subject, earlier)
        ours = contract.creditor == "idom_caas"
        return Payment(record, f"payment.{status.value}" if ours else "payment.to_partner")

    def _event_id(self, subject: Subject, count: int) -> str:
        return made_uuid(self._world.seed, "payment", subject.number, count)

    def _event(
        self, subject: Subject, contract: Contract, count: int, instalment: int, status: Status
    ) -> dict[str, Any]:
        rng = self._rng
        month = contract.first_month + instalment
        due = in_month(month, contract.due_dom)
        late = 0 if rng.random() < 0.8 else rng.randint(1, 25)
        settled = min(due + late, self._world.today)
        amount = contract.amount_jpy
        paid = self._paid(status, amount)
        occurred_at = min(start_of(settled) + rng.randrange(9 * 60, 21 * 60) * MINUTE_MS, self._world.now - 2 * HOUR_MS)
        return {
            "event_id": self._event_id(subject, count),
            "occurred_at": occurred_at,
            "recorded_at": occurred_at + rng.randrange(HOUR_MS),
            "subject_ref": subject.ref,
            "contract_ref": contract.ref,
            "creditor": contract.creditor,
            "installment_no": instalment + 1,
            "billing_month": month_name(month),
            "due_date": due,
            "amount_due_jpy": amount,
            "amount_paid_jpy": paid,
            "amount_past_due_jpy": amount - paid,
            "paid_date": settled if paid else None,
            "payment_method": contract.method,
            "days_past_due": max(0, settled - due),
            "payer_relation": "other" if rng.random() < OTHER_PAYER_SHARE else "self",
            "nonpayment_reason": rng.choice(REASONS) if paid < amount else None,
            "status": status.value,
            "corrects_event_id": None,
            "customer": subject.customer,
            "vehicle": contract.vehicle,
        }

    def _paid(self, status: Status, amount: int) -> int:
        match status:
            case Status.UNPAID | Status.REVERSED:
                return 0
            case Status.PARTIAL:
                return self._rng.randrange(1_000, amount, 100)
            case Status.PAID | Status.CORRECTED:
                return amount
