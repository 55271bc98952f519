"""Whether one event may be provided now, and what of it.

Knows the rules of consent. Must not know the clock, where consent is kept, or what a body looks like.
The rules, in the order in which they are asked; the first that is broken is the reason:

    about        what must be so                                                    else
    the event    it has happened by now, give or take the clock skew                future_event (parks)
                 the payment is owed to us                                          creditor_not_us
    the consent  there is a record                                                  no_consent
                 the subject's records do not contradict each other                 consent_superseded_version*
                 it is this subject's                                               no_consent
                 it names this recipient                                            wrong_recipient
                 its legal basis is consent                                         not_consent_based
                 it is not withdrawn: for an event that corrects another            correction_after_withdrawal
                                      for any other                                 consent_withdrawn
                 its status is not expired                                          consent_expired
                 its status is given or renewed                                     consent_unknown
                 it was given by now, give or take the clock skew                   consent_not_yet_valid
    the version  the policy knows the cited version                                 policy_version_unknown
                 that version is proven to contain the GeNiE clause                 policy_version_without_clause
                 it was in force on the day (JST) of the consent                    consented_outside_version
    both         the consent ends later than this attempt                           consent_expired
                 it covers the event's contract (a)                                 contract_not_covered
                 it opts out of nothing but what the policy lets opt out of         purposes_unclear
                 what is consented to, what the policy names and what the event
                   type carries have the event's matter in common                   matter_not_consented
                 each day that the event speaks of (b) is covered: on or after
                   the day of the consent, or on or after its history_from          before_consent

* or whatever else the view of consents denies the subject with.
(a) A score speaks of all contracts: a consent that names contracts covers none.
(b) due_date of a payment; as_of of a score, and observed_at of each of its inputs that would leave. One input from
before the consent withholds the whole score: to leave out that input alone would make the body depend on history_from,
and a body depends on nothing but event, scope and mapping version.
"""

from __future__ import annotations

from functools import lru_cache

from gateway.core.consent import Consent, ConsentState, ConsentStatus, Denied, LegalBasis
from gateway.core.events import Event, Item, jst_day
from gateway.core.policy import Clause, Policy
from gateway.core.reasons import Reason
from gateway.core.values import value

SCOPES_KEPT = 1024  # sets of items remembered: real consents differ little

# Members of an Enum as plain names: to look one up on its class costs a Python call, each time.
_BASIS = LegalBasis.CONSENT
_VALID = (ConsentStatus.GIVEN, ConsentStatus.RENEWED)
_PROVEN = Clause.YES
_INPUTS = Item.NOREL_SCORE_INPUTS.value


@value(frozen=True, slots=True)
class Scope:
    """All that a body depends on besides its event: what was consented to, under which version, when."""

    items: tuple[str, ...]  # sorted
    purposes: tuple[str, ...]  # sorted
    policy_version: int  # JST day
    consented_at: int  # ms


@value(frozen=True, slots=True)
class Permit:
    """The event may be provided, in this scope, by this consent."""

    scope: Scope
    consent: Consent


def decide(
    event: Event, state: ConsentState, policy: Policy, *, now: int, expires_at: int, skew_ms: int
) -> Permit | Reason:
    """Permit the attempt that ends at `expires_at`, or say why not. Times in ms."""
    latest = now + skew_ms
    if event.occurred_at > latest:
        return Reason.FUTURE_EVENT
    if not event.creditor_is_us:
        return Reason.CREDITOR_NOT_US
    if state is None:
        return Reason.NO_CONSENT
    if isinstance(state, Denied):
        return state.reason
    reason = _consent(state, event, policy, latest) or _version(state, policy)
    if reason is not None:
        return reason
    return _both(state, event, policy, expires_at)


def still_holds(permit: Permit, event: Event, *, now: int, expires_at: int, skew_ms: int) -> bool:
    """Whether `decide`, which gave this permit for the same event, consent and policy, gives it again at this time: of
    all its rules only these three ask for the time."""
    latest, consent = now + skew_ms, permit.consent
    return (
        event.occurred_at <= latest
        and consent.consented_at <= latest
        and (consent.expires_at is None or consent.expires_at > expires_at)
    )


def _consent(consent: Consent, event: Event, policy: Policy, latest: int) -> Reason | None:
    if consent.subject_ref != event.subject_ref:
        return Reason.NO_CONSENT
    if consent.recipient != policy.recipient_id:
        return Reason.WRONG_RECIPIENT
    if consent.legal_basis != _BASIS:
        return Reason.NOT_CONSENT_BASED
    if consent.status not in _VALID:
        return _status(consent, event)
    if consent.consented_at > latest:
        return Reason.CONSENT_NOT_YET_VALID
    return None


def _status(consent: Consent, event: Event) -> Reason:
    if consent.status == ConsentStatus.WITHDRAWN:
        return Reason.CORRECTION_AFTER_WITHDRAWAL if event.correction else Reason.CONSENT_WITHDRAWN
    return Reason.CONSENT_EXPIRED if consent.status == ConsentStatus.EXPIRED else Reason.CONSENT_UNKNOWN


def _version(consent: Consent, policy: Policy) -> Reason | None:
    cited = policy.versions.get(consent.policy_version)
    if cited is None:
        return Reason.POLICY_VERSION_UNKNOWN
    if cited.clause is not _PROVEN:
        return Reason.POLICY_VERSION_WITHOUT_CLAUSE
    if not cited.start <= jst_day(consent.consented_at) < cited.end:
        return Reason.CONSENTED_OUTSIDE_VERSION
    return None


def _both(consent: Consent, event: Event, policy: Policy, expires_at: int) -> Permit | Reason:
    if consent.expires_at is not None and consent.expires_at <= expires_at:
        return Reason.CONSENT_EXPIRED
    if consent.contract_refs is not None and event.contract_ref not in consent.contract_refs:
        return Reason.CONTRACT_NOT_COVERED
    if not consent.opted_out <= policy.opt_out_allowed:
        return Reason.PURPOSES_UNCLEAR
    items = _items(policy.event_items[event.type], consent.items)
    if event.type.matter not in items:
        return Reason.MATTER_NOT_CONSENTED
    items, days = _leaving(event, policy, items)
    covered_from = _covered_from(consent)
    for day in days:
        if day < covered_from:
            return Reason.BEFORE_CONSENT
    purposes = policy.purpose_codes
    if consent.opted_out:
        purposes = tuple([code for code in purposes if code not in consent.opted_out])
    return Permit(Scope(items, purposes, consent.policy_version, consent.consented_at), consent)


def _covered_from(consent: Consent) -> int:
    day = jst_day(consent.consented_at)
    return day if consent.history_from is None or consent.history_from > day else consent.history_from


def _leaving(event: Event, policy: Policy, items: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Those of the items that this event fills, and the days that they speak of: of inputs' days the first."""
    if _INPUTS not in items:
        return items, event.covered_days
    inputs = policy.registered_inputs(event.record)
    if not inputs:  # the ledger must not say that inputs were provided
        return tuple([item for item in items if item != _INPUTS]), event.covered_days
    return items, (*event.covered_days, jst_day(min([each["observed_at"] for each in inputs])))


@lru_cache(SCOPES_KEPT)
def _items(allowed: frozenset[str], consented: frozenset[str]) -> tuple[str, ...]:
    return tuple(sorted(item for item in allowed if item in consented))
