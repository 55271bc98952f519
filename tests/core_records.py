"""Hypothesis strategies for input records that are events, for consents, and for scopes."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from gateway.core.consent import ConsentStatus, LegalBasis
from gateway.core.decide import Scope
from gateway.core.events import FIRST_DAY, INT_MAX, LAST_DAY, LAST_MS, SAFE_INTEGER, EventType
from tests.core_cases import CONTRACT, DAY_MS, NOW, POLICY, consent, day, payment_event, score_event, score_input

SOURCES = ("payment_record", "contract", "application", "usage", "location", "bureau", "other")
REGISTERED = sorted({name for inputs in POLICY.score_inputs.values() for name in inputs})

days = st.integers(FIRST_DAY, LAST_DAY)
moments = st.integers(0, LAST_MS)
money = st.integers(-SAFE_INTEGER, SAFE_INTEGER)
counts = st.integers(0, INT_MAX)
uuids = st.uuids().map(str)
refs = st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{5,63}", fullmatch=True)
decimals = st.from_regex(r"-?(0|[1-9][0-9]{0,3})(\.[0-9]{1,4})?", fullmatch=True)


def texts(longest: int, shortest: int = 1) -> st.SearchStrategy[str]:
    return st.text(st.characters(exclude_categories=("Cs",)), min_size=shortest, max_size=longest)


customers = st.fixed_dictionaries(
    {
        "name": texts(30),
        "name_kana": texts(30),
        "address": texts(60),
        "postal_code": texts(8),
        "phone": texts(32),
        "birth_date": days,
        "email": st.none() | texts(20),
        "bank_account": st.none() | texts(20),
        "card_last4": st.none() | texts(4),
        "licence_no": st.none() | texts(12),
        "memo": st.none() | texts(40),
    }
)
payments = st.fixed_dictionaries(
    {
        "event_id": uuids,
        "occurred_at": moments,
        "recorded_at": moments,
        "subject_ref": refs,
        "contract_ref": refs,
        "creditor": st.sampled_from(("idom_caas", "partner_lessor")),
        "installment_no": counts,
        "billing_month": st.dates().map(lambda date: date.isoformat()[:7]),
        "due_date": days,
        "amount_due_jpy": money,
        "amount_paid_jpy": money,
        "amount_past_due_jpy": st.integers(0, SAFE_INTEGER),
        "paid_date": st.none() | days,
        "payment_method": st.sampled_from(("account_debit", "bank_transfer", "convenience_store", "card", "other")),
        "days_past_due": counts,
        "payer_relation": st.sampled_from(("self", "other")),
        "nonpayment_reason": st.sampled_from((None, "customer", "not_customer", "unknown")),
        "status": st.sampled_from(("paid", "partial", "unpaid", "reversed", "corrected")),
        "corrects_event_id": st.none() | uuids,
        "customer": customers,
        "vehicle": st.fixed_dictionaries({"vehicle_id": texts(20), "last_location": st.none() | texts(20)}),
    }
)
any_inputs = st.fixed_dictionaries(
    {
        "input_id": st.sampled_from(REGISTERED) | texts(20),
        "value": decimals,
        "unit": texts(10, shortest=0),
        "observed_at": moments,
        "source": st.sampled_from(SOURCES),
    }
)
scores = st.fixed_dictionaries(
    {
        "score_id": uuids,
        "subject_ref": refs,
        "sequence": st.integers(0, SAFE_INTEGER),
        "score": decimals,
        "scale_min": st.just("-10000"),
        "scale_max": st.just("10000"),
        "model_id": st.just("norel_score") | texts(20),
        "model_version": st.sampled_from(("1", "2", "3")),
        "as_of": moments,
        "computed_at": moments,
        "supersedes": st.none() | uuids,
        "inputs": st.lists(any_inputs, max_size=6),
    }
)
RECORDS: dict[EventType, st.SearchStrategy[dict[str, Any]]] = {
    EventType.LEASE_PAYMENT: payments,
    EventType.NOREL_SCORE_UPDATE: scores,
}

# Events and consents that nearly permit: up to three things changed, to values on both sides of each border.
near_days = st.sampled_from([day(text) for text in ("2026-02-24", "2026-02-25", "2026-03-01", "2026-03-02")])
near_moments = st.builds(
    lambda first, second: first * DAY_MS - 9 * 3_600_000 + second, near_days, st.sampled_from([-1, 0, 1])
) | st.sampled_from([NOW, NOW + 5_000, NOW + 5_001])
CONSENT_CHANGES: dict[str, st.SearchStrategy[Any]] = {
    "subject_ref": st.just("subject-2b"),
    "recipient": st.just("other"),
    "status": st.sampled_from(ConsentStatus),
    "policy_version": st.sampled_from([day("2026-02-05"), day("2026-02-26")]),
    "consented_at": near_moments,
    "expires_at": st.sampled_from([NOW, NOW + 30_000, NOW + 30_001]),
    "history_from": near_days,
    "items": st.frozensets(st.sampled_from(sorted(POLICY.items))),
    "opted_out": st.sampled_from([("credit_product_marketing",), ("inquiry_handling",)]).map(frozenset),
    "contract_refs": st.sampled_from([frozenset(), frozenset({CONTRACT})]),
    "legal_basis": st.sampled_from(LegalBasis),
}
PAYMENT_CHANGES: dict[str, st.SearchStrategy[Any]] = {
    "occurred_at": near_moments,
    "due_date": near_days,
    "creditor": st.just("partner_lessor"),
    "status": st.just("corrected"),
}
SCORE_CHANGES: dict[str, st.SearchStrategy[Any]] = {
    "computed_at": near_moments,
    "as_of": near_moments,
    "inputs": st.lists(
        st.builds(
            score_input,
            input_id=st.sampled_from(["payment_on_time_ratio", "months_in_contract", "home_area"]),
            source=st.sampled_from(["payment_record", "contract", "location"]),
            observed_at=near_moments,
        ),
        max_size=3,
    ),
}


@st.composite
def changed(draw: st.DrawFn, make: Callable[..., Any], changes: dict[str, st.SearchStrategy[Any]]) -> Any:
    """What `make` makes, with up to three things changed."""
    names = draw(st.lists(st.sampled_from(sorted(changes)), max_size=3, unique=True))
    return make(**{name: draw(changes[name]) for name in names})


consents = changed(consent, CONSENT_CHANGES)
events = changed(payment_event, PAYMENT_CHANGES) | changed(score_event, SCORE_CHANGES)


def scopes(kind: EventType) -> st.SearchStrategy[Scope]:
    """Any scope that a decision could give to an event of this type."""
    return st.builds(
        Scope,
        items=st.frozensets(st.sampled_from(sorted(POLICY.event_items[kind] - {kind.matter}))).map(
            lambda items: tuple(sorted(items | {kind.matter.value}))
        ),
        purposes=st.sampled_from(
            (POLICY.purpose_codes, tuple(p for p in POLICY.purpose_codes if p != "credit_product_marketing"))
        ),
        policy_version=days,
        consented_at=moments,
    )
