"""Events and consents by the million: real records of a few customers, into which ids are cut.

Knows how the producers' records look as bytes. Must not know Kafka or pace. Every event may be provided, so that each
costs the whole way; what is withheld would flatter the figures. Making a record of customers who all differ costs more
than the gateway takes to provide it, hence the cutting.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import Any

from gateway import schemas
from gateway.kafka.partitioner import murmur2
from gateway.sandbox.producers import consents
from gateway.sandbox.producers.days import start_of
from gateway.sandbox.producers.payments import Billing
from gateway.sandbox.producers.population import Subject, World
from gateway.sandbox.producers.scores import Scoring
from gateway.sandbox.producers.stream import CONSENTS, PAYMENTS, SCORES

CUSTOMERS = 64  # whose records are the moulds
PAYMENTS_EACH = 4
SCORES_EACH = 2
POPULATION = 1_000  # where such customers are looked for

_CUSTOMER_ID = "cust-0f0f0f0f-0000-4000-8000-000000000001"
_CONTRACT_ID = "lease-0f0f0f0f-0000-4000-8000-000000000002"
_RECORD_ID = "0f0f0f0f-0000-4000-8000-000000000003"
_SEQUENCE = (1 << 26) + 0x1234567  # takes four bytes in Avro, and so does every number put in its place
_FIRST_SEQUENCE = 1 << 21
_MASK = (1 << 64) - 1
_ODD = 0x9E3779B97F4A7C15  # spreads numbers over all ids, each to its own
_HASH_MASK = 0x7FFFFFFF


class Id(Enum):
    """What an id names, so that no two of them meet."""

    SUBJECT = b"a1"
    CONTRACT = b"a2"
    PAYMENT = b"a3"
    SCORE = b"a4"
    CONSENT = b"a5"
    WITHDRAWAL = b"a6"


@dataclass(frozen=True, slots=True)
class Made:
    """A record for an input topic."""

    topic: str  # without a prefix
    place: int  # hash of the key: modulo the partitions it is the one that every client would choose
    key: bytes
    value: bytes


Mould = tuple[bytes, ...]


def uuid(kind: Id, number: int) -> bytes:
    """A UUID of version 4 that is this thing's alone."""
    spread = b"%016x" % (number * _ODD & _MASK)
    return b"%b-%b-4%b-a%b%b-000000000000" % (spread[:8], spread[8:12], spread[12:15], kind.value, spread[15:])


def subject_ref(number: int) -> bytes:
    """The reference of a load subject."""
    return b"cust-" + uuid(Id.SUBJECT, number)


@dataclass(frozen=True, slots=True)
class Customer:
    """The moulds of one customer's records."""

    given: Mould
    withdrawn: Mould
    payments: Sequence[Mould]
    scores: Sequence[Mould]


class Moulds:
    """Makes records of `subjects` subjects; a `memo_bytes` above 0 gives each payment a memo of that size."""

    def __init__(self, subjects: int, seed: int = 1, *, memo_bytes: int = 0) -> None:
        self.subjects = subjects
        world = World(seed, POPULATION, int(time.time() * 1000))
        rng = Random(seed)
        self._customers = tuple(_customers(world, rng, "m" * memo_bytes))

    def consent(self, subject: int) -> Made:
        """Consent to everything."""
        ref = subject_ref(subject)
        value = _filled(self._of(subject).given, uuid(Id.CONSENT, subject), ref)
        return Made(CONSENTS, murmur2(ref) & _HASH_MASK, ref, value)

    def withdrawal(self, subject: int) -> Made:
        """It is withdrawn; the next version of that record."""
        ref = subject_ref(subject)
        value = _filled(self._of(subject).withdrawn, uuid(Id.WITHDRAWAL, subject), ref)
        return Made(CONSENTS, murmur2(ref) & _HASH_MASK, ref, value)

    def event(self, number: int, subject: int) -> Made:
        """Event `number`, a payment if that is even, else a score; the scores of a subject grow with it."""
        ref = subject_ref(subject)
        of = self._of(subject)
        place = murmur2(ref) & _HASH_MASK
        if number % 2:
            mould = of.scores[number % len(of.scores)]
            value = _filled(mould, uuid(Id.SCORE, number), ref, _four_bytes(_FIRST_SEQUENCE + number))
            return Made(SCORES, place, ref, value)
        mould = of.payments[(number // 2) % len(of.payments)]
        contract = b"lease-" + uuid(Id.CONTRACT, subject)
        return Made(PAYMENTS, place, ref, _filled(mould, uuid(Id.PAYMENT, number), ref, contract))

    def _of(self, subject: int) -> Customer:
        return self._customers[subject % len(self._customers)]


def _customers(world: World, rng: Random, memo: str) -> Iterator[Customer]:
    billing, scoring = Billing(world, rng), Scoring(world, rng)
    plain = (number for number in range(world.count) if consents.case_of(world, number) is consents.Case.PLAIN)
    found = 0
    for number in plain:
        subject = world.subject(number)
        if any(contract.creditor != "idom_caas" for contract in subject.contracts):
            continue  # a debt to another is no business of this gateway
        (given,) = consents.history(world, number)
        yield Customer(
            given=_consent_mould(given),
            withdrawn=_consent_mould(given | {"consent_version": 2, "status": "withdrawn"}),
            payments=[_payment_mould(billing.next(subject).record, memo) for _ in range(PAYMENTS_EACH)],
            scores=[_score_mould(_covered(scoring, subject)) for _ in range(SCORES_EACH)],
        )
        found += 1
        if found == CUSTOMERS:
            return


def _covered(scoring: Scoring, subject: Subject) -> dict[str, Any]:
    """A score of which nothing was observed before there was a contract, and so none is withheld for it."""
    while True:
        record = scoring.next(subject).record
        if all(observed["observed_at"] >= start_of(subject.signed_on + 1) for observed in record["inputs"]):
            return record


def _consent_mould(record: dict[str, Any]) -> Mould:
    value = schemas.encode("ConsentRecord", record | {"record_id": _RECORD_ID, "subject_ref": _CUSTOMER_ID})
    return _cut(value, _RECORD_ID.encode(), _CUSTOMER_ID.encode())


def _payment_mould(record: dict[str, Any], memo: str) -> Mould:
    record = record | {"event_id": _RECORD_ID, "subject_ref": _CUSTOMER_ID, "contract_ref": _CONTRACT_ID}
    if memo:
        record["customer"] = record["customer"] | {"memo": memo}
    value = schemas.encode("LeasePaymentEvent", record)
    return _cut(value, _RECORD_ID.encode(), _CUSTOMER_ID.encode(), _CONTRACT_ID.encode())


def _score_mould(record: dict[str, Any]) -> Mould:
    record = record | {"score_id": _RECORD_ID, "subject_ref": _CUSTOMER_ID, "sequence": _SEQUENCE}
    value = schemas.encode("NorelScoreUpdate", record)
    return _cut(value, _RECORD_ID.encode(), _CUSTOMER_ID.encode(), _four_bytes(_SEQUENCE))


def _cut(value: bytes, *marks: bytes) -> Mould:
    """What lies between the marks, which stand in this order."""
    parts = []
    for mark in marks:
        before, found, value = value.partition(mark)
        if not found or mark in value:
            raise ValueError("a mark does not stand in the record exactly once")
        parts.append(before)
    return (*parts, value)


def _filled(mould: Mould, *between: bytes) -> bytes:
    parts = [mould[0]]
    for filling, part in zip(between, mould[1:], strict=True):
        parts += filling, part
    return b"".join(parts)


def _four_bytes(number: int) -> bytes:
    """Avro's long, for the numbers that take four bytes."""
    zigzag = number << 1
    return bytes((zigzag & 0x7F | 0x80, zigzag >> 7 & 0x7F | 0x80, zigzag >> 14 & 0x7F | 0x80, zigzag >> 21))


def chooser(subjects: int, hot_share: float, seed: int) -> Callable[[], int]:
    """Whose event comes next: anybody's, and subject 0 has `hot_share` of all."""
    chance = Random(seed).random
    if not hot_share:
        return lambda: int(chance() * subjects)
    return lambda: 0 if chance() < hot_share else int(chance() * subjects)
