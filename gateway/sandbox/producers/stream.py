"""All events of one seed, in the order in which they are produced: what comes next, well-formed or not.

Knows the mix. It follows from the seed and the moment at which the world stands still: the same arguments
give the same bytes. Must not know Kafka or the time of day.
"""

from __future__ import annotations

from collections import deque
from random import Random
from typing import NamedTuple

from gateway.sandbox.producers.faults import Around, Draft, Fault, encode, spoil
from gateway.sandbox.producers.payments import Billing
from gateway.sandbox.producers.population import World
from gateway.sandbox.producers.scores import Scoring
from gateway.sandbox.producers.shares import Shares, evenly

PAYMENTS = "lease.payments"
SCORES = "norel.scores"
CONSENTS = "consent.records"

PAYMENT_SHARE = 0.75
RECENT = 2_000  # events that may be sent again

_PARTNERS = "billing-partners"


class Input(NamedTuple):
    """One record for an input topic."""

    topic: str  # without a prefix
    key: bytes | None
    value: bytes | None
    producer: str | None  # name of the service, for the header
    kind: str
    about: int | None = None  # the customer, if it is an event and nothing is wrong with it


class _Sent(NamedTuple):
    input: Input
    number: int  # of the customer
    event_id: str


class Stream:
    """The events, one after another."""

    def __init__(self, world: World, *, poison: bool = True) -> None:
        self._world = world
        self._rng = Random(world.seed)
        self._billing = Billing(world, self._rng)
        self._scoring = Scoring(world, self._rng)
        self._faults = Shares(fault for fault in Fault if poison or not fault.poison)
        self._recent: deque[_Sent] = deque(maxlen=RECENT)
        self._count = 0

    def next(self) -> Input:
        """The next event."""
        fault = self._faults.pick(evenly(self._count, self._world.seed))
        self._count += 1
        if fault is None or (not fault.poison and not self._recent):
            return self._sound()
        if fault is Fault.DUPLICATE:
            return self._earlier().input._replace(kind="fault.duplicate")
        if fault is Fault.REUSED_ID:
            return self._reused()
        return self._poison(fault)

    def _sound(self) -> Input:
        number = self._rng.randrange(self._world.count)
        draft, kind, producer, topic = self._draft(number, payment=self._rng.random() < PAYMENT_SHARE)
        made = Input(topic, draft.key, encode(draft), producer, kind, number)
        self._recent.append(_Sent(made, number, draft.record["event_id" if topic == PAYMENTS else "score_id"]))
        return made

    def _draft(self, number: int, *, payment: bool) -> tuple[Draft, str, str, str]:
        subject = self._world.subject(number)
        if payment:
            paid = self._billing.next(subject)
            producer = _PARTNERS if paid.kind == "payment.to_partner" else "billing"
            return Draft("LeasePaymentEvent", paid.record, subject.key), paid.kind, producer, PAYMENTS
        score = self._scoring.next(subject)
        return Draft("NorelScoreUpdate", score.record, subject.key), score.kind, "scoring", SCORES

    def _earlier(self) -> _Sent:
        return self._recent[self._rng.randrange(len(self._recent))]

    def _reused(self) -> Input:
        earlier = self._earlier()
        payment = earlier.input.topic == PAYMENTS
        draft, _, producer, topic = self._draft(earlier.number, payment=payment)
        draft.record["event_id" if payment else "score_id"] = earlier.event_id
        return Input(topic, draft.key, encode(draft), producer, "fault.reused_id")

    def _poison(self, fault: Fault) -> Input:
        number = self._rng.randrange(self._world.count)
        draft, _, producer, topic = self._draft(number, payment=self._rng.random() < PAYMENT_SHARE)
        other = self._world.subject((number + 1) % self._world.count)
        key, value = spoil(fault, draft, Around(self._rng, other.key, self._world.now))
        named = None if fault is Fault.JUNK else producer
        return Input(topic, key, value, named, f"fault.{fault.value}")
