"""The decision against the rules written down a second time, one by one and in no order."""

from collections.abc import Iterator
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.consent import Consent, ConsentState, Denied
from gateway.core.decide import Permit, decide, still_holds
from gateway.core.events import Event, EventType, jst_day
from gateway.core.reasons import Outcome, Reason
from tests.core_cases import NOW, POLICY, TIMES, day
from tests.core_records import consents, events

denials = st.builds(
    Denied,
    st.sampled_from([Reason.CONSENT_SUPERSEDED_VERSION, Reason.CONSENT_UNKNOWN]),
    st.just("r"),
    st.integers(0, 5),
)
states = st.one_of(*[consents] * 8, denials, st.none())


def days_of(event: Event, state: Consent) -> list[int]:
    """The days that consent has to cover, from the records themselves."""
    if event.type is EventType.LEASE_PAYMENT:
        return [event.record["due_date"]]
    days = [jst_day(event.record["as_of"])]
    if "norel_score_inputs" in state.items:
        registered = {("payment_on_time_ratio", "payment_record"), ("months_in_contract", "contract")}
        days += [
            jst_day(each["observed_at"])
            for each in event.record["inputs"]
            if (each["input_id"], each["source"]) in registered
        ]
    return days


def broken(event: Event, state: Consent) -> Iterator[Reason]:
    """Every rule that the event breaks under this consent."""
    withdrawn = state.status == "withdrawn"
    correction = event.record.get("status") == "corrected"
    start = jst_day(state.consented_at)
    rules = {
        Reason.FUTURE_EVENT: event.occurred_at > NOW + 5_000,
        Reason.CREDITOR_NOT_US: event.record.get("creditor") == "partner_lessor",
        Reason.NO_CONSENT: state.subject_ref != event.subject_ref,
        Reason.WRONG_RECIPIENT: state.recipient != "genie",
        Reason.NOT_CONSENT_BASED: state.legal_basis != "consent",
        Reason.CORRECTION_AFTER_WITHDRAWAL: withdrawn and correction,
        Reason.CONSENT_WITHDRAWN: withdrawn and not correction,
        Reason.CONSENT_EXPIRED: state.status == "expired"
        or (state.expires_at is not None and state.expires_at <= NOW + 30_000),
        Reason.CONSENT_UNKNOWN: state.status == "unknown",
        Reason.CONSENT_NOT_YET_VALID: state.consented_at > NOW + 5_000,
        Reason.POLICY_VERSION_UNKNOWN: state.policy_version == day("2026-02-26"),
        Reason.POLICY_VERSION_WITHOUT_CLAUSE: state.policy_version == day("2026-02-05"),
        Reason.CONSENTED_OUTSIDE_VERSION: (start >= day("2026-02-25")) != (state.policy_version == day("2026-02-25")),
        Reason.CONTRACT_NOT_COVERED: state.contract_refs is not None
        and event.record.get("contract_ref") not in state.contract_refs,
        Reason.PURPOSES_UNCLEAR: bool(state.opted_out - {"credit_product_marketing"}),
        Reason.MATTER_NOT_CONSENTED: event.type.matter.value not in state.items,
        Reason.BEFORE_CONSENT: any(
            each < start and (state.history_from is None or each < state.history_from) for each in days_of(event, state)
        ),
    }
    return (reason for reason, is_broken in rules.items() if is_broken)


@given(events, states)
def test_an_event_is_permitted_exactly_if_no_rule_is_broken(event: Event, state: ConsentState):
    """A permit breaks no rule, and a reason names one that is broken."""
    result = decide(event, state, POLICY, **TIMES)
    if isinstance(state, Consent):
        reasons = set(broken(event, state))
        assert result in reasons if reasons else isinstance(result, Permit)
    else:
        assert isinstance(result, Reason)
        assert result.outcome in (Outcome.WITHHELD, Outcome.PARKED)


@given(events, consents)
def test_a_scope_never_exceeds_the_consent(event: Event, state: Consent):
    """Items are consented to and the event type's, with the matter among them; purposes are those not declined."""
    result = decide(event, state, POLICY, **TIMES)
    if isinstance(result, Permit):
        scope = result.scope
        assert event.type.matter in scope.items
        assert set(scope.items) <= state.items & POLICY.event_items[event.type]
        assert set(scope.purposes) == set(POLICY.purposes) - state.opted_out
        assert list(scope.items) == sorted(scope.items)
        assert list(scope.purposes) == sorted(scope.purposes)
        assert (scope.policy_version, scope.consented_at) == (state.policy_version, state.consented_at)


@given(events, consents)
def test_no_consent_of_another_subject_permits(event: Event, state: Consent):
    """Whatever else it says."""
    other = replace(state, subject_ref="subject-9z")
    assert isinstance(decide(event, other, POLICY, **TIMES), Reason)


@given(events, consents, st.integers(0, 10**6))
def test_a_later_end_of_the_attempt_never_permits_more(event: Event, state: Consent, longer: int):
    """What is withheld now is not permitted by waiting longer for the answer."""
    later = TIMES | {"expires_at": TIMES["expires_at"] + longer}
    if isinstance(decide(event, state, POLICY, **later), Permit):
        assert isinstance(decide(event, state, POLICY, **TIMES), Permit)


@given(events, consents, *[st.integers(-(10**11), 10**11)] * 2)
def test_a_permit_that_still_holds_is_given_again(event: Event, state: Consent, later: int, longer: int):
    """To ask a permit whether it still holds says what a whole decision says at that time."""
    given_before = decide(event, state, POLICY, **TIMES)
    if isinstance(given_before, Permit):
        then = TIMES | {"now": NOW + later, "expires_at": TIMES["expires_at"] + longer}
        again = decide(event, state, POLICY, **then)
        assert again == given_before if still_holds(given_before, event, **then) else isinstance(again, Reason)
