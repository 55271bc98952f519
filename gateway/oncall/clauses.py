"""Which rule of the decision, and which words of the policy, stand behind a reason.

Knows core/decide.py's rules by their reasons and where the policy data says what they ask for. Must not know any
record. The rules are quoted from the table there; a test holds them to it.
"""

from __future__ import annotations

from collections.abc import Iterable

from gateway.core.canonical import iso_day
from gateway.core.events import FIRST_DAY, LAST_DAY, EventType
from gateway.core.policy import Policy
from gateway.core.reasons import Reason

RULES = {
    Reason.FUTURE_EVENT: "it has happened by now, give or take the clock skew",
    Reason.CREDITOR_NOT_US: "the payment is owed to us",
    Reason.NO_CONSENT: "there is a record",
    Reason.CONSENT_SUPERSEDED_VERSION: "the subject's records do not contradict each other",
    Reason.WRONG_RECIPIENT: "it names this recipient",
    Reason.NOT_CONSENT_BASED: "its legal basis is consent",
    Reason.CORRECTION_AFTER_WITHDRAWAL: "it is not withdrawn (an event that corrects another)",
    Reason.CONSENT_WITHDRAWN: "it is not withdrawn",
    Reason.CONSENT_EXPIRED: "its status is not expired, and the consent ends later than this attempt",
    Reason.CONSENT_UNKNOWN: "its status is given or renewed",
    Reason.CONSENT_NOT_YET_VALID: "it was given by now, give or take the clock skew",
    Reason.POLICY_VERSION_UNKNOWN: "the policy knows the cited version",
    Reason.POLICY_VERSION_WITHOUT_CLAUSE: "that version is proven to contain the GeNiE clause",
    Reason.CONSENTED_OUTSIDE_VERSION: "it was in force on the day (JST) of the consent",
    Reason.CONTRACT_NOT_COVERED: "it covers the event's contract",
    Reason.PURPOSES_UNCLEAR: "it opts out of nothing but what the policy lets opt out of",
    Reason.MATTER_NOT_CONSENTED: "what is consented to, what the policy names and what the event type carries have the "
    "event's matter in common",
    Reason.BEFORE_CONSENT: "each day that the event speaks of is covered: on or after the day of the consent, or on or "
    "after its history_from",
}
ALL_HOLD = "every rule holds"


def rule_of(reason: str, *, announced: bool) -> str | None:
    """The rule that was broken, or that none was: nothing else is announced. None if the decision was not asked."""
    known = known_reason(reason)
    if known in RULES:
        return RULES[known]
    return ALL_HOLD if announced else None


def clauses_of(
    reason: str, event_type: str | None, version: int | None, items: Iterable[str], policy: Policy
) -> list[str]:
    """What the policy says on it, each as `where: words`: of what was sent the items, else what the rule asks for.

    `version` is the policy version that the consent cites, a JST day.
    """
    known = known_reason(reason)
    sent = [f"items.{item}: {policy.texts[item]}" for item in items if item in policy.texts]
    if known is None or sent:
        return sent
    kind = next((kind for kind in EventType if kind.code == event_type), None)
    if known in (Reason.MATTER_NOT_CONSENTED, Reason.CREDITOR_NOT_US) and kind is not None:
        return [f"items.{kind.matter.value}: {policy.texts[kind.matter.value]}"]
    if known is Reason.PURPOSES_UNCLEAR:
        return [f"opt_out_allowed: {policy.purposes[code]} {policy.texts[code]}" for code in policy.opt_out_allowed]
    if known is Reason.WRONG_RECIPIENT:
        return [f"recipient_id: {policy.recipient_id}"]
    return [_version(version, policy)] if known in _ABOUT_VERSIONS and version is not None else []


_ABOUT_VERSIONS = frozenset(
    {Reason.POLICY_VERSION_UNKNOWN, Reason.POLICY_VERSION_WITHOUT_CLAUSE, Reason.CONSENTED_OUTSIDE_VERSION}
)


def purposes_in_numbers(codes: Iterable[str], policy: Policy) -> str:
    """Purposes as the clause numbers them: `1 2 3`; a code that it does not know, as it is."""
    known = sorted((policy.purposes.get(code, 0), code) for code in codes)
    return " ".join(str(number) if number else code for number, code in known)


def shown_day(day: int) -> str:
    """YYYY-MM-DD of a JST day; a number that is none, as it is: a consent record may cite anything."""
    return iso_day(day) if FIRST_DAY <= day <= LAST_DAY else f"day {day}"


def _version(day: int, policy: Policy) -> str:
    cited = policy.versions.get(day)
    if cited is None:
        return f"versions: there is none from {shown_day(day)}"
    until = "on" if cited.end > LAST_DAY else f"to {shown_day(cited.end - 1)}"
    return f"versions: {shown_day(day)} {until}: contains the clause: {cited.clause.value}"


def known_reason(code: str) -> Reason | None:
    """The reason of this code; None if it is of a later release."""
    return next((each for each in Reason if each.code == code), None)
