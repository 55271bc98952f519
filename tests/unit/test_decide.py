"""The decision: each reason, the borders of time, and what a scope holds."""

from dataclasses import replace
from typing import Any

import pytest

from gateway.core.consent import ConsentState, ConsentStatus, Denied, LegalBasis
from gateway.core.decide import Permit, Scope, decide, still_holds
from gateway.core.events import Event
from gateway.core.policy import Clause, PolicyVersion
from gateway.core.reasons import Outcome, Reason
from tests.core_cases import (
    CONTRACT,
    DAY_MS,
    NOW,
    POLICY,
    TIMES,
    consent,
    day,
    ms,
    payment_event,
    score_event,
    score_input,
)

FIRST_DAY = day("2026-02-25")
JST_MIDNIGHT = FIRST_DAY * DAY_MS - 9 * 3_600_000  # the moment at which that day begins in Japan
PURPOSES = tuple(sorted(POLICY.purposes))


def judged(event: Event, state: ConsentState, **times: int) -> Permit | Reason:
    return decide(event, state, POLICY, **TIMES | times)


REASONS: list[tuple[Reason, dict[str, Any], dict[str, Any] | ConsentState]] = [
    (Reason.FUTURE_EVENT, {"occurred_at": NOW + 5_001}, {}),
    (Reason.CREDITOR_NOT_US, {"creditor": "partner_lessor"}, {}),
    (Reason.NO_CONSENT, {}, None),
    (Reason.NO_CONSENT, {}, {"subject_ref": "subject-2b"}),
    (Reason.CONSENT_SUPERSEDED_VERSION, {}, Denied(Reason.CONSENT_SUPERSEDED_VERSION, "r", 3)),
    (Reason.WRONG_RECIPIENT, {}, {"recipient": "another"}),
    (Reason.NOT_CONSENT_BASED, {}, {"legal_basis": LegalBasis.LEGAL_OBLIGATION}),
    (Reason.NOT_CONSENT_BASED, {}, {"legal_basis": LegalBasis.VITAL_INTEREST}),
    (Reason.NOT_CONSENT_BASED, {}, {"legal_basis": LegalBasis.PUBLIC_TASK}),
    (Reason.CONSENT_WITHDRAWN, {}, {"status": ConsentStatus.WITHDRAWN}),
    (Reason.CORRECTION_AFTER_WITHDRAWAL, {"status": "corrected"}, {"status": ConsentStatus.WITHDRAWN}),
    (
        Reason.CORRECTION_AFTER_WITHDRAWAL,
        {"corrects_event_id": "00000000-0000-4000-8000-000000000009"},
        {"status": ConsentStatus.WITHDRAWN},
    ),
    (Reason.CONSENT_EXPIRED, {}, {"status": ConsentStatus.EXPIRED}),
    (Reason.CONSENT_EXPIRED, {}, {"expires_at": TIMES["expires_at"]}),
    (Reason.CONSENT_UNKNOWN, {}, {"status": ConsentStatus.UNKNOWN}),
    (Reason.CONSENT_NOT_YET_VALID, {}, {"consented_at": NOW + 5_001}),
    (Reason.POLICY_VERSION_UNKNOWN, {}, {"policy_version": FIRST_DAY + 1}),
    (
        Reason.POLICY_VERSION_WITHOUT_CLAUSE,
        {},
        {"policy_version": day("2026-02-05"), "consented_at": ms("2026-02-10")},
    ),
    (Reason.CONSENTED_OUTSIDE_VERSION, {}, {"consented_at": JST_MIDNIGHT - 1}),
    (Reason.CONTRACT_NOT_COVERED, {}, {"contract_refs": frozenset({"contract-2b"})}),
    (Reason.CONTRACT_NOT_COVERED, {}, {"contract_refs": frozenset()}),
    (Reason.PURPOSES_UNCLEAR, {}, {"opted_out": frozenset({"other_product_marketing"})}),
    (Reason.PURPOSES_UNCLEAR, {}, {"opted_out": frozenset({"credit_product_marketing", "no_purpose"})}),
    (Reason.MATTER_NOT_CONSENTED, {}, {"items": frozenset({"name", "norel_score"})}),
    (Reason.MATTER_NOT_CONSENTED, {}, {"items": frozenset()}),
    (Reason.BEFORE_CONSENT, {"due_date": day("2026-02-28")}, {}),
    (Reason.BEFORE_CONSENT, {"due_date": day("2026-02-28")}, {"history_from": day("2026-03-01")}),
]


@pytest.mark.parametrize(
    ("reason", "event", "state"), REASONS, ids=[f"{i}-{r[0].value}" for i, r in enumerate(REASONS)]
)
def test_each_broken_rule_has_its_reason(reason, event, state):
    """One change to a permitted payment or its consent gives the reason of that rule and no other."""
    assert isinstance(judged(payment_event(), consent()), Permit)
    assert judged(payment_event(**event), consent(**state) if isinstance(state, dict) else state) is reason


def test_every_reason_to_withhold_is_in_the_table():
    """No WITHHELD reason of the closed set is out of the decision's reach."""
    withheld = {reason for reason in Reason if reason.outcome is Outcome.WITHHELD}
    assert {reason for reason, _, _ in REASONS} == withheld | {Reason.FUTURE_EVENT}


ORDER = [
    ({"occurred_at": NOW + 5_001}, {}, Reason.FUTURE_EVENT),
    ({"creditor": "partner_lessor"}, {}, Reason.CREDITOR_NOT_US),
    ({}, {"subject_ref": "subject-2b"}, Reason.NO_CONSENT),
    ({}, {"recipient": "another"}, Reason.WRONG_RECIPIENT),
    ({}, {"legal_basis": LegalBasis.PUBLIC_TASK}, Reason.NOT_CONSENT_BASED),
    ({}, {"status": ConsentStatus.WITHDRAWN}, Reason.CONSENT_WITHDRAWN),
    ({}, {"consented_at": NOW + 5_001}, Reason.CONSENT_NOT_YET_VALID),
    ({}, {"policy_version": FIRST_DAY + 1}, Reason.POLICY_VERSION_UNKNOWN),
    ({}, {"policy_version": day("2026-02-05")}, Reason.POLICY_VERSION_WITHOUT_CLAUSE),
    ({}, {"consented_at": JST_MIDNIGHT - 1}, Reason.CONSENTED_OUTSIDE_VERSION),
    ({}, {"expires_at": NOW}, Reason.CONSENT_EXPIRED),
    ({}, {"contract_refs": frozenset()}, Reason.CONTRACT_NOT_COVERED),
    ({}, {"opted_out": frozenset({"inquiry_handling"})}, Reason.PURPOSES_UNCLEAR),
    ({}, {"items": frozenset()}, Reason.MATTER_NOT_CONSENTED),
    ({"due_date": 0}, {}, Reason.BEFORE_CONSENT),
]


def test_the_first_broken_rule_is_the_reason():
    """With everything wrong, mending one rule after the other gives the reasons in the documented order."""
    for i, (_, _, reason) in enumerate(ORDER):
        event: dict[str, Any] = {}
        state: dict[str, Any] = {}
        for event_change, state_change, _ in reversed(ORDER[i:]):
            event |= event_change
            state |= state_change
        assert judged(payment_event(**event), consent(**state)) is reason


def test_a_version_ends_where_the_next_one_starts():
    """A consent given on the first day of the next version can't cite the one before, proven as both may be."""
    end = day("2026-03-01")
    ended = PolicyVersion(FIRST_DAY, end, Clause.YES)
    policy = replace(POLICY, versions={FIRST_DAY: ended, end: PolicyVersion(end, end + 365, Clause.YES)})
    last, first = (end * DAY_MS - 9 * 3_600_000 - 1, end * DAY_MS - 9 * 3_600_000)
    assert isinstance(decide(payment_event(), consent(consented_at=last), policy, **TIMES), Permit)
    late = decide(payment_event(), consent(consented_at=first), policy, **TIMES)
    assert late is Reason.CONSENTED_OUTSIDE_VERSION


@pytest.mark.parametrize(
    ("event", "state"),
    [
        ({"occurred_at": NOW + 5_000}, {}),
        ({}, {"status": ConsentStatus.RENEWED}),
        ({}, {"expires_at": TIMES["expires_at"] + 1}),
        ({}, {"consented_at": NOW + 5_000, "history_from": day("2026-11-15")}),
        ({}, {"consented_at": JST_MIDNIGHT}),
        ({}, {"contract_refs": frozenset({CONTRACT})}),
        ({}, {"opted_out": frozenset({"credit_product_marketing"})}),
        ({}, {"items": frozenset({"payment_history"})}),
        ({"due_date": day("2026-03-01")}, {}),
        ({"due_date": day("2026-02-28")}, {"history_from": day("2026-02-28")}),
        ({}, {"history_from": day("2027-01-01")}),
        ({"status": "corrected"}, {}),
    ],
)
def test_the_last_value_that_a_rule_allows_is_permitted(event, state):
    """On the near side of each border the payment may go."""
    assert isinstance(judged(payment_event(**event), consent(**state)), Permit)


def test_the_scope_is_what_consent_policy_and_event_type_share():
    """Consented items that the event type or the policy does not have are left out, and the rest is sorted."""
    permit = judged(payment_event(), consent(items=frozenset({"payment_history", "name", "norel_score", "shoe_size"})))
    assert permit == Permit(
        Scope(("name", "payment_history"), PURPOSES, FIRST_DAY, consent().consented_at),
        consent(items=frozenset({"payment_history", "name", "norel_score", "shoe_size"})),
    )


def test_opting_out_of_marketing_shrinks_the_purposes():
    """Opting out of purpose 7 takes that purpose away and leaves the nine others."""
    permit = judged(payment_event(), consent(opted_out=frozenset({"credit_product_marketing"})))
    assert isinstance(permit, Permit)
    assert permit.scope.purposes == tuple(p for p in PURPOSES if p != "credit_product_marketing")


OLD = ms("2026-02-28", hour=14)  # still that day in Japan


def test_a_score_is_judged_by_as_of():
    """A score that speaks of a day before the consent is withheld, even if computed after it."""
    assert judged(score_event(as_of=OLD), consent()) is Reason.BEFORE_CONSENT
    assert isinstance(judged(score_event(as_of=OLD + 3_600_000), consent()), Permit)


def test_one_registered_input_from_before_the_consent_withholds_the_score():
    """Each input that would leave is judged by its own observed_at, and history_from may cover it."""
    event = score_event(inputs=[score_input(), score_input(observed_at=OLD)])
    assert judged(event, consent()) is Reason.BEFORE_CONSENT
    assert isinstance(judged(event, consent(history_from=day("2026-02-28"))), Permit)


def test_an_input_that_stays_withholds_nothing():
    """An old input that is not registered, or not consented to, does not stand in the score's way."""
    unregistered = score_event(inputs=[score_input(), score_input(input_id="home_area", observed_at=OLD)])
    assert isinstance(judged(unregistered, consent()), Permit)
    registered = score_event(inputs=[score_input(observed_at=OLD)])
    assert isinstance(judged(registered, consent(items=frozenset({"norel_score"}))), Permit)


def test_a_scope_names_no_inputs_if_none_leaves():
    """The ledger says which items were provided, so a score without a registered input has no such item."""
    permit = judged(score_event(inputs=[score_input(source="bureau")]), consent())
    assert isinstance(permit, Permit)
    assert permit.scope.items == ("norel_score",)


def test_a_consent_for_some_contracts_covers_no_score():
    """A score speaks of all contracts."""
    assert judged(score_event(), consent(contract_refs=frozenset({CONTRACT}))) is Reason.CONTRACT_NOT_COVERED


@pytest.mark.parametrize(
    ("event", "state", "times", "holds"),
    [
        ({}, {}, {}, True),
        ({"occurred_at": NOW}, {}, {"now": NOW - 5_000}, True),
        ({"occurred_at": NOW}, {}, {"now": NOW - 5_001}, False),
        ({}, {"consented_at": NOW, "history_from": FIRST_DAY}, {"now": NOW - 999}, True),
        ({}, {"consented_at": NOW, "history_from": FIRST_DAY}, {"now": NOW - 5_001}, False),
        ({"occurred_at": NOW - 10_000}, {"consented_at": NOW, "history_from": FIRST_DAY}, {"now": NOW - 5_000}, True),
        ({"occurred_at": NOW - 10_000}, {"consented_at": NOW, "history_from": FIRST_DAY}, {"now": NOW - 5_001}, False),
        ({}, {"expires_at": NOW + 40_000}, {"expires_at": NOW + 39_999}, True),
        ({}, {"expires_at": NOW + 40_000}, {"expires_at": NOW + 40_000}, False),
    ],
)
def test_a_permit_holds_as_long_as_the_decision_would_be_the_same(event, state, times, holds):
    """The rules that ask for the time are asked again, to the millisecond."""
    given, by = payment_event(**event), consent(**state)
    permit, then = judged(given, by), TIMES | times
    assert isinstance(permit, Permit)
    assert still_holds(permit, given, **then) is holds
    assert isinstance(decide(given, by, POLICY, **then), Permit) is holds
