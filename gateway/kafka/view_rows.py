"""How a subject's state lies in the consent view: a key and a row of bytes, and back.

Knows the layout. What many consents have in common, their terms, is kept once and numbered, so that a row is short
and quickly read; what does not fit the packed layout is a row of text. Must not know LMDB, or how a state comes
about.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from struct import Struct, error
from typing import Any, TypeAlias

import orjson

from gateway.core.consent import Consent, ConsentStatus, Denied, LegalBasis
from gateway.core.events import is_uuid
from gateway.core.reasons import Reason
from gateway.core.values import value

UNREADABLE = (LookupError, ValueError, TypeError, error)  # what rows and terms that are damaged raise
TERMS_KEPT = 4_096
TERMS_BYTES = 2_048  # of one in memory; longer ones are hardly common to many
WORD_BYTES = 50  # of a text in memory, beside its characters

_KEY_BYTES = 16
# The number of the terms, partition, version, history_from, consented_at, record_id. Behind it, unless both are
# null, the text of expires_at and contract_refs.
_PACKED = Struct(">HHIH6s16s")
PACKED_BYTES = _PACKED.size
_TEXT = b"["[0]  # no packed row begins so: TERMS_KEPT is below
_NO_DAY = 0xFFFF  # in the place of a history_from that is null
_TIME_BYTES = 6
_REASONS = {reason.value: reason for reason in Reason}
_STATUSES = {status.value: status for status in ConsentStatus}
_BASES = {basis.value: basis for basis in LegalBasis}

# recipient, status, policy_version, items, opted_out, legal_basis
Terms: TypeAlias = tuple[str, ConsentStatus, int, frozenset[str], frozenset[str], LegalBasis]


@value(frozen=True, slots=True)
class Seen:
    """A subject's state, and the partition that its records are in."""

    partition: int
    state: Consent | Denied


def key_of(subject: str) -> bytes:
    """What a subject's row is found by: shorter than most references, and it names nobody."""
    return blake2b(subject.encode(), digest_size=_KEY_BYTES).digest()


class Rows:
    """Writes and reads rows. `saved` is what `unsaved` gave when they were written, all of it."""

    def __init__(self, saved: Mapping[bytes, bytes]) -> None:
        self._terms = [_read_terms(*orjson.loads(saved[_name(number)])) for number in range(len(saved))]
        self._numbers = {terms: number for number, terms in enumerate(self._terms)}
        self._saved = len(saved)

    def unsaved(self) -> dict[bytes, bytes]:
        """The terms that must be saved in the same transaction as the rows written so far."""
        return {_name(at): orjson.dumps(_plain(self._terms[at])) for at in range(self._saved, len(self._terms))}

    def all_saved(self) -> None:
        """That transaction is committed. If it fails, they are unsaved as before."""
        self._saved = len(self._terms)

    def write(self, seen: Seen) -> bytes:
        """The row of a state."""
        partition, state = seen.partition, seen.state
        if isinstance(state, Denied):
            return orjson.dumps([partition, None, state.reason.value, state.record_id, state.version])
        terms = _terms_of(state)
        return self._packed(partition, state, terms) or _text(partition, state, terms)

    def read(self, subject: str, row: bytes) -> Seen:
        """The state that a row says. Raises one of UNREADABLE."""
        if row[0] == _TEXT:
            return _read_text(subject, *orjson.loads(row))
        number, partition, version, history_from, consented_at, record_id = _PACKED.unpack_from(row)
        expires_at, refs = orjson.loads(row[PACKED_BYTES:]) if len(row) > PACKED_BYTES else (None, None)
        digits = record_id.hex()
        return Seen(
            partition,
            _consent(
                subject,
                self._terms[number],
                f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}",
                version,
                int.from_bytes(consented_at, "big"),
                expires_at,
                None if history_from == _NO_DAY else history_from,
                refs,
            ),
        )

    def _packed(self, partition: int, consent: Consent, terms: Terms) -> bytes | None:
        number, history_from, rest = self._number(terms), consent.history_from, b""
        if number is None or history_from == _NO_DAY or not is_uuid(consent.record_id):
            return None
        if consent.expires_at is not None or consent.contract_refs is not None:
            rest = orjson.dumps([consent.expires_at, _listed(consent.contract_refs)])
        day = _NO_DAY if history_from is None else history_from
        record_id = bytes.fromhex(consent.record_id.replace("-", ""))
        try:
            consented_at = consent.consented_at.to_bytes(_TIME_BYTES, "big")
            return _PACKED.pack(number, partition, consent.version, day, consented_at, record_id) + rest
        except (error, OverflowError):  # a number does not fit its place
            return None

    def _number(self, terms: Terms) -> int | None:
        """Of these terms; None if they are not kept."""
        number = self._numbers.get(terms)
        if number is None and len(self._terms) < TERMS_KEPT and _are_short(terms):
            number = self._numbers[terms] = len(self._terms)
            self._terms.append(terms)
        return number


def _consent(
    subject: str,
    terms: Terms,
    record_id: str,
    version: int,
    consented_at: int,
    expires_at: int | None,
    history_from: int | None,
    refs: list[str] | None,
) -> Consent:
    recipient, status, policy_version, items, opted_out, legal_basis = terms
    return Consent(
        record_id,
        version,
        subject,
        recipient,
        status,
        policy_version,
        consented_at,
        expires_at,
        history_from,
        items,
        opted_out,
        None if refs is None else frozenset(refs),
        legal_basis,
    )


def _terms_of(consent: Consent) -> Terms:
    return (
        consent.recipient,
        consent.status,
        consent.policy_version,
        consent.items,
        consent.opted_out,
        consent.legal_basis,
    )


def _are_short(terms: Terms) -> bool:
    recipient, _, _, items, opted_out, _ = terms
    return sum(len(word) + WORD_BYTES for word in (recipient, *items, *opted_out)) <= TERMS_BYTES


def _name(number: int) -> bytes:
    return number.to_bytes(2, "big")


def _plain(terms: Terms) -> list[Any]:
    recipient, status, policy_version, items, opted_out, legal_basis = terms
    return [recipient, status.value, policy_version, _listed(items), _listed(opted_out), legal_basis.value]


def _read_terms(
    recipient: str, status: str, policy_version: int, items: list[str], opted_out: list[str], basis: str
) -> Terms:
    return recipient, _STATUSES[status], policy_version, frozenset(items), frozenset(opted_out), _BASES[basis]


def _text(partition: int, consent: Consent, terms: Terms) -> bytes:
    own = [consent.record_id, consent.version, consent.consented_at, consent.expires_at, consent.history_from]
    return orjson.dumps([partition, _plain(terms), *own, _listed(consent.contract_refs)])


def _read_text(subject: str, partition: int, terms: list[Any] | None, *own: Any) -> Seen:
    if terms is not None:
        return Seen(partition, _consent(subject, _read_terms(*terms), *own))
    reason, record_id, version = own
    return Seen(partition, Denied(_REASONS[reason], record_id, version))


def _listed(words: Iterable[str] | None) -> list[str] | None:
    return None if words is None else sorted(words)
