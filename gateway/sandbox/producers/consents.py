"""Consent records: where each customer's consent stands at first, and how it changes while events flow.

Knows what a consent record can say. Must not know which of it makes a consent valid for the gateway: the
sentences below are for people.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from random import Random
from typing import Any

from gateway.sandbox.producers import policy
from gateway.sandbox.producers.days import DAY_MS, MINUTE_MS, start_of
from gateway.sandbox.producers.population import Subject, World
from gateway.sandbox.producers.shares import Shares, evenly, made_uuid

Record = dict[str, Any]

WEB_SHARE = 0.7
REPRESENTATIVE_SHARE = 0.02
WITHDRAWN_REMEMBERED = 1_000  # of whom some consent again


class Case(Enum):
    """Where a customer's consent stands at first: (code, share, sentence)."""

    share: float
    sentence: str

    def __new__(cls, code: str, share: float, sentence: str) -> Case:
        member = object.__new__(cls)
        member._value_ = code
        member.share = share
        member.sentence = sentence
        return member

    PLAIN = ("plain", 0.60, "Given under the policy that names GeNiE, without limits.")
    RENEWED = ("renewed", 0.08, "Given under an older policy, renewed under the one that names GeNiE.")
    ENDS_LATER = ("ends_later", 0.03, "Given with an end that lies ahead.")
    NO_MARKETING = ("no_marketing", 0.05, "Given; purpose 7 (marketing of credit products) declined.")
    FEWER_ITEMS = ("fewer_items", 0.03, "Given without telephone number and date of birth.")
    NO_MATTER = ("no_matter", 0.01, "Given for what identifies the customer and nothing else.")
    ONE_CONTRACT = ("one_contract", 0.02, "Given for the first contract alone.")
    NO_CONTRACT = ("no_contract", 0.005, "Given for an empty list of contracts.")
    PAST_NOT_COVERED = ("past_not_covered", 0.02, "Given halfway through the lease, without a history.")
    OTHER_OPT_OUT = ("other_opt_out", 0.01, "Given; a purpose declined that cannot be declined.")
    WITHDRAWN = ("withdrawn", 0.03, "Given, then withdrawn.")
    EXPIRED = ("expired", 0.01, "Given, then marked as expired.")
    ENDED = ("ended", 0.01, "Given with an end that has passed.")
    UNKNOWN = ("unknown", 0.01, "Its state is unknown to the consent service itself.")
    OLDER_POLICY = ("older_policy", 0.025, "Given under a policy that is not known to name GeNiE.")
    NO_SUCH_POLICY = ("no_such_policy", 0.005, "Cites a policy version that does not exist.")
    OUTSIDE_POLICY = ("outside_policy", 0.01, "Dated before the policy version that it cites.")
    IN_FUTURE = ("in_future", 0.005, "Dated in the future.")
    OTHER_RECIPIENT = ("other_recipient", 0.01, "About another recipient.")
    NOT_CONSENT = ("not_consent", 0.005, "Rests on a legal obligation, not on consent.")
    VERSION_BACK = ("version_back", 0.005, "A record arrived whose version is lower than the one before.")
    NO_RECORD = ("no_record", 0.02, "There is no record at all.")


class Change(Enum):
    """How a consent changes while events flow: (code, share, sentence)."""

    share: float
    sentence: str

    def __new__(cls, code: str, share: float, sentence: str) -> Change:
        member = object.__new__(cls)
        member._value_ = code
        member.share = share
        member.sentence = sentence
        return member

    WITHDRAW = ("withdraw", 0.60, "The customer withdraws.")
    NO_MARKETING = ("no_marketing", 0.15, "The customer declines purpose 7.")
    FEWER_ITEMS = ("fewer_items", 0.15, "The customer takes back telephone number and date of birth.")
    RENEW = ("renew", 0.10, "A customer who withdrew consents again.")


_CASES = Shares(Case)
_LATER_STATUS = {Case.WITHDRAWN: "withdrawn", Case.EXPIRED: "expired", Case.UNKNOWN: "unknown"}
_CHANGES = Shares(Change)
_SHORT_ITEMS = tuple(item for item in policy.ITEMS if item not in {"phone", "birth_date"})
_ABOUT_PERSON = ("name", "address", "phone", "birth_date")
CHANGEABLE = frozenset({Case.PLAIN, Case.RENEWED, Case.ENDS_LATER})  # a change of these is felt


def case_of(world: World, number: int) -> Case:
    """Where the consent of customer `number` stands at first."""
    return _CASES.pick(evenly(number, world.seed)) or Case.PLAIN


def history(world: World, number: int) -> list[Record]:
    """The records of a customer up to now, oldest first."""
    case = case_of(world, number)
    rng = Random((world.seed << 33) | number)
    given = _given(world, world.subject(number), rng)
    records = _story(case, world, number, given, rng)
    for place, record in enumerate(records):
        record.setdefault("consent_version", place + 1)
        record["record_id"] = made_uuid(world.seed, "consent", number, place)
    return records


def _given(world: World, subject: Subject, rng: Random) -> Record:
    """A plainly valid consent: at signing, or later with the history since signing."""
    new = subject.signed_on > policy.CLAUSE_FROM
    opened = start_of(policy.CLAUSE_FROM)
    span = (world.now - opened) * 6 // 10
    consented_at = (
        start_of(subject.signed_on) + rng.randrange(9 * 60, 20 * 60) * MINUTE_MS
        if new
        else opened + rng.randrange(MINUTE_MS, span)
    )
    return {
        "subject_ref": subject.ref,
        "recipient": policy.RECIPIENT,
        "status": "given",
        "status_updated_at": consented_at,
        "policy_version": policy.CLAUSE_FROM,
        "consented_at": consented_at,
        "expires_at": None,
        "history_from": None if new else subject.signed_on,
        "items": list(policy.ITEMS),
        "purposes_opted_out": [],
        "collection_method": "web_form" if rng.random() < WEB_SHARE else "paper_form",
        "consent_actor": "legal_representative" if rng.random() < REPRESENTATIVE_SHARE else "self",
        "contract_refs": None,
        "legal_basis": "consent",
    }


def _story(case: Case, world: World, number: int, given: Record, rng: Random) -> list[Record]:
    if case is Case.NO_RECORD:
        return []
    if case is Case.RENEWED:
        return [_under_older(given, rng), given | {"status": "renewed"}]
    if case is Case.OLDER_POLICY:
        return [_under_older(given, rng)]
    if case is Case.VERSION_BACK:
        back = given | {"consent_version": 1}
        return [given | {"consent_version": 3}, back]
    if case in _LATER_STATUS:
        later = rng.randrange(given["consented_at"], world.now)
        return [given, given | {"status": _LATER_STATUS[case], "status_updated_at": later}]
    return [given | _difference(case, world, world.subject(number), given, rng)]


def _difference(case: Case, world: World, subject: Subject, given: Record, rng: Random) -> Record:
    """What sets the consent of a case apart from a plain one."""
    consented_at = given["consented_at"]
    halfway = (consented_at + world.now) // 2
    future = world.now + rng.randrange(30, 90) * DAY_MS
    before = start_of(policy.CLAUSE_FROM) - rng.randrange(1, 20) * DAY_MS
    differences: dict[Case, Record] = {
        Case.ENDS_LATER: {"expires_at": world.now + rng.randrange(30, 700) * DAY_MS},
        Case.ENDED: {"expires_at": rng.randrange(consented_at + 1, world.now)},
        Case.NO_MARKETING: {"purposes_opted_out": [policy.MARKETING]},
        Case.OTHER_OPT_OUT: {"purposes_opted_out": [policy.MARKETING, policy.OTHER_PURPOSE]},
        Case.FEWER_ITEMS: {"items": list(_SHORT_ITEMS)},
        Case.NO_MATTER: {"items": list(_ABOUT_PERSON)},
        Case.ONE_CONTRACT: {"contract_refs": [subject.contracts[0].ref]},
        Case.NO_CONTRACT: {"contract_refs": []},
        Case.PAST_NOT_COVERED: {
            "consented_at": halfway,
            "status_updated_at": halfway,
            "history_from": None,
        },
        Case.NO_SUCH_POLICY: {"policy_version": policy.NO_VERSION},
        Case.OUTSIDE_POLICY: {"consented_at": before, "status_updated_at": before},
        Case.IN_FUTURE: {"consented_at": future, "status_updated_at": future},
        Case.OTHER_RECIPIENT: {"recipient": "other-lender"},
        Case.NOT_CONSENT: {"legal_basis": "legal_obligation"},
    }
    return differences.get(case, {})


def _under_older(given: Record, rng: Random) -> Record:
    """The same consent, given under one of the versions before the one that names GeNiE."""
    place = rng.randrange(len(policy.OLDER_VERSIONS))
    starts = (*policy.OLDER_VERSIONS, policy.CLAUSE_FROM)
    consented_at = rng.randrange(start_of(starts[place]), start_of(starts[place + 1]))
    return given | {
        "status": "given",
        "policy_version": starts[place],
        "consented_at": consented_at,
        "status_updated_at": consented_at,
    }


class Book:
    """The consents that changed since the start, so that the next record of a customer follows its last."""

    def __init__(self, world: World, rng: Random) -> None:
        self._world = world
        self._rng = rng
        self._last: dict[int, Record] = {}
        self._withdrawn: deque[int] = deque(maxlen=WITHDRAWN_REMEMBERED)

    def may_change(self, number: int) -> bool:
        """Whether a change of this customer's consent would be felt."""
        if number in self._last:
            return bool(self._last[number]["status"] != "withdrawn")
        return case_of(self._world, number) in CHANGEABLE

    def change(self, number: int, now: int) -> tuple[Change, Record]:
        """The next change, of this customer or of one who withdrew before, and its record."""
        change = _CHANGES.pick(self._rng.random()) or Change.WITHDRAW
        if change is Change.RENEW:
            if self._withdrawn:
                number = self._withdrawn.popleft()
            else:
                change = Change.WITHDRAW
        return change, self._next(change, number, now)

    def _next(self, change: Change, number: int, now: int) -> Record:
        last = self._last.get(number) or history(self._world, number)[-1]
        record = last | self._difference(change, number, now)
        record["status_updated_at"] = now
        record["consent_version"] += 1
        record["record_id"] = made_uuid(self._world.seed, "change", number, record["consent_version"])
        self._last[number] = record
        if change is Change.WITHDRAW:
            self._withdrawn.append(number)
        return record

    def _difference(self, change: Change, number: int, now: int) -> Record:
        match change:
            case Change.WITHDRAW:
                return {"status": "withdrawn"}
            case Change.NO_MARKETING:
                return {"purposes_opted_out": [policy.MARKETING]}
            case Change.FEWER_ITEMS:
                return {"items": list(_SHORT_ITEMS)}
            case Change.RENEW:
                since = self._world.subject(number).signed_on
                return {"status": "renewed", "consented_at": now, "history_from": since}
