"""A subject's consent as its records tell it, and what the next record makes of it.

Knows the fields of a consent record and that its version only grows. Must not know the policy or any event.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from itertools import product
from operator import attrgetter
from types import NoneType
from typing import Any

from gateway.core.events import check_ref, is_uuid
from gateway.core.reasons import Reason
from gateway.core.values import value


class ConsentStatus(StrEnum):
    """The state of a consent as the consent service tells it."""

    __hash__ = str.__hash__  # Enum's own is written in Python

    GIVEN = "given"
    RENEWED = "renewed"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


class LegalBasis(StrEnum):
    """What a provision would rest on; only consent is acted on, people handle the others."""

    __hash__ = str.__hash__

    CONSENT = "consent"
    LEGAL_OBLIGATION = "legal_obligation"
    VITAL_INTEREST = "vital_interest"
    PUBLIC_TASK = "public_task"


@value(frozen=True, slots=True)
class Consent:
    """The newest consent record of a subject."""

    record_id: str
    version: int
    subject_ref: str
    recipient: str
    status: ConsentStatus
    policy_version: int  # first JST day of the policy version consented to
    consented_at: int  # ms
    expires_at: int | None  # ms
    history_from: int | None  # JST day
    items: frozenset[str]
    opted_out: frozenset[str]
    contract_refs: frozenset[str] | None  # None: all contracts
    legal_basis: LegalBasis


@value(frozen=True, slots=True)
class Denied:
    """The subject's records contradict each other or can't be read: nothing leaves until a higher version."""

    reason: Reason
    record_id: str | None
    version: int | None  # the highest seen


ConsentState = Consent | Denied | None  # None: no record


class InvalidConsentError(ValueError):
    """A consent record with an impossible value. Its text names the field, never the value."""


_STATUSES = {status.value: status for status in ConsentStatus}
_BASES = {basis.value: basis for basis in LegalBasis}
_TYPES = {
    "version": (int,),
    "policy_version": (int,),
    "consented_at": (int,),
    "expires_at": (int, NoneType),
    "history_from": (int, NoneType),
    "record_id": (str,),
    "subject_ref": (str,),
    "recipient": (str,),
}
_ALLOWED = frozenset(product(*_TYPES.values()))
_NEEDED = {(int,): "an integer", (int, NoneType): "an integer or null", (str,): "text"}
_typed = attrgetter(*_TYPES)


def parse_consent(record: Mapping[str, Any]) -> Consent:
    """Read a decoded consent record. Raises InvalidConsentError: then `deny` the subject."""
    try:
        refs = record["contract_refs"]
        consent = Consent(
            record_id=record["record_id"],
            version=record["consent_version"],
            subject_ref=record["subject_ref"],
            recipient=record["recipient"],
            status=_STATUSES[record["status"]],
            policy_version=record["policy_version"],
            consented_at=record["consented_at"],
            expires_at=record["expires_at"],
            history_from=record["history_from"],
            items=frozenset(record["items"]),
            opted_out=frozenset(record["purposes_opted_out"]),
            contract_refs=None if refs is None else frozenset(refs),
            legal_basis=_BASES[record["legal_basis"]],
        )
    except (LookupError, TypeError, ValueError):
        raise InvalidConsentError("consent record: a field is missing, or status or legal_basis is unknown") from None
    types = tuple(map(type, _typed(consent)))
    if types not in _ALLOWED:
        raise InvalidConsentError(f"consent record: {_mistyped(types)}")
    if not is_uuid(consent.record_id):  # it goes into intents and ledger: no text of any length, no e-mail address
        raise InvalidConsentError("consent record: record_id is not a UUID in lower case")
    if check_ref(consent.subject_ref) is None:
        raise InvalidConsentError("consent record: subject_ref is not a reference")
    return consent


def _mistyped(types: tuple[type, ...]) -> str:
    name = next(name for name, found in zip(_TYPES, types, strict=True) if found not in _TYPES[name])
    return f"{name} must be {_NEEDED[_TYPES[name]]}"


def successor(current: ConsentState, incoming: Consent) -> Consent | Denied:
    """What the subject's state becomes when `incoming` is read after `current`."""
    if current is None or current.version is None or incoming.version > current.version:
        return incoming
    if incoming == current:  # sent twice
        return current
    return Denied(Reason.CONSENT_SUPERSEDED_VERSION, current.record_id, current.version)


def deny(current: ConsentState, reason: Reason) -> Denied:
    """Deny the subject until a version higher than any seen so far comes."""
    if current is None:
        return Denied(reason, None, None)
    return Denied(reason, current.record_id, current.version)
