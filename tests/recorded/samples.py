"""One of each thing that outlives a process, in several shapes: commit metadata, records, names and bodies, a view.

All of it is made up, and the keys are fixed.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from aiokafka.structs import TopicPartition

from gateway.core.consent import Consent, ConsentStatus, Denied, LegalBasis
from gateway.core.decide import Scope
from gateway.core.events import EventType
from gateway.core.holds import Hold, HoldScope
from gateway.core.metadata import MAX_LIVE_INTENTS, MAX_WINDOW, CommitMetadata, IntentRef
from gateway.core.minimise import Minimiser
from gateway.core.reasons import Reason
from gateway.kafka.view_rows import Seen
from gateway.kafka.view_store import Origin
from tests.core_cases import IDENTITY, NOW, POLICY, SUBJECT, day, payment, payment_event, score, score_event

AT = 10**9
METADATA: list[tuple[int, CommitMetadata]] = [
    (0, CommitMetadata()),
    (AT, CommitMetadata(opens=3)),
    (AT, CommitMetadata(settled=tuple(range(AT + 1, AT + 400)))),
    (AT, CommitMetadata(settled=tuple(range(AT + 1, AT + MAX_WINDOW, 2)))),
    (AT, CommitMetadata(settled=(AT + 5, AT + 900), intents=(IntentRef(3, 7), IntentRef(0, 10**12), IntentRef(11, 5)))),
    (7, CommitMetadata(intents=tuple(IntentRef(n % 5, 1_000 * n) for n in range(MAX_LIVE_INTENTS)), opens=1)),
]

INPUT = {"cluster_id": "cluster-1", "topic": "lease.payments", "partition": 3, "offset": 41, "timestamp": NOW}
GATEWAY = {"version": "0", "instance": "one"}
ITEMS, PURPOSES = ["name", "payment_history"], ["inquiry_handling", "market_research_and_product_development"]
KEY = IDENTITY.idempotency_key(EventType.LEASE_PAYMENT, payment()["event_id"])

LEDGER: dict[str, Any] = {
    "input": INPUT,
    "source_digest": bytes(range(32)),
    "event_id": payment()["event_id"],
    "event_type": EventType.LEASE_PAYMENT.value,
    "subject_ref": SUBJECT,
    "outcome": "PROVIDED",
    "reason": "accepted",
    "transmitted": "yes",
    "recipient": {"id": "genie", "name": "見本", "address": "見本市", "representative": "見本 花子"},
    "consent": {
        "record_id": "consent-1",
        "consent_version": 7,
        "policy_version": day("2026-02-25"),
        "consented_at": NOW - 1,
    },
    "items": ITEMS,
    "permitted_purposes": PURPOSES,
    "idempotency_key": KEY,
    "body_digest": bytes(32),
    "receipt": {"id": "receipt-1", "received_at": NOW + 1, "answer_digest": bytes(32), "key_id": "genie-2026-1"},
    "attempts": 2,
    "decided_at": NOW,
    "announced_at": NOW - 2,
    "settled_at": NOW + 3,
    "replay_of": None,
    "mapping_version": 1,
    "gateway": GATEWAY,
}
WITHOUT_EVENT: dict[str, Any] = LEDGER | {
    **dict.fromkeys(("event_id", "event_type", "subject_ref", "consent", "idempotency_key", "body_digest", "receipt")),
    "outcome": "INVALID",
    "reason": "not_avro",
    "transmitted": "no",
    "announced_at": None,
    "attempts": 0,
    "items": [],
    "permitted_purposes": [],
}
REPLAYED: dict[str, Any] = LEDGER | {
    "replay_of": {"topic": "lease.payments", "partition": 1, "offset": 5, "request_id": "request-1"}
}
INTENT: dict[str, Any] = {
    "lane": "lease.payments:3",
    "batch_id": "lease.payments:3/5/1772000000000/1",
    "announced_at": NOW,
    "expires_at": NOW + 30_000,
    "policy_version": day("2026-02-25"),
    "mapping_version": 1,
    "key_version": 1,
    "entries": [
        {
            "offset": offset,
            "idempotency_key": KEY,
            "body_digest": bytes(range(32)),
            "items": ITEMS,
            "permitted_purposes": PURPOSES,
            "consent_record_id": "consent-1",
            "consent_version": 7,
            "consented_at": NOW - 1,
        }
        for offset in (41, 43)
    ],
    "gateway": {**GATEWAY, "epoch": 5},
}
PARKED: dict[str, Any] = {
    "input": INPUT,
    "event_type": EventType.LEASE_PAYMENT.value,
    "subject_ref": SUBJECT,
    "producer": "billing",
    "reason": "future_event",
    "detail": "a sentence",
    "transmitted": "no",
    "parked_at": NOW,
    "input_expires_at": NOW + 1,
    "attempts": 0,
    "gateway": GATEWAY,
}
CONSENT: dict[str, Any] = {
    "record_id": "consent-1",
    "consent_version": 7,
    "subject_ref": SUBJECT,
    "recipient": "genie",
    "status": "given",
    "status_updated_at": NOW,
    "policy_version": day("2026-02-25"),
    "consented_at": NOW - 1,
    "expires_at": None,
    "history_from": day("2026-01-01"),
    "items": ITEMS,
    "purposes_opted_out": [],
    "collection_method": "web",
    "consent_actor": "self",
    "contract_refs": ["contract-1a"],
    "legal_basis": "consent",
}
REPLAY: dict[str, Any] = {
    "request_id": "request-1",
    "plan_id": "plan-1",
    "plan_digest": bytes(32),
    "input": {"topic": "lease.payments", "partition": 1, "offset": 5},
    "subject_ref": SUBJECT,
    "requested_at": NOW,
    "operator": "on-call",
    "reason": "mended",
    "ticket": "T-1",
}
CONTROL: dict[str, Any] = {
    "hold_id": "hold-1",
    "scope": "subject",
    "value": SUBJECT,
    "state": "held",
    "operator": "on-call",
    "reason": "asked",
    "ticket": "T-1",
    "at": NOW,
    "expires_at": None,
}
RECORDS: list[tuple[str, dict[str, Any]]] = [
    ("LeasePaymentEvent", payment()),
    ("NorelScoreUpdate", score()),
    ("ConsentRecord", CONSENT),
    ("ProvisionIntent", INTENT),
    ("ProvisionRecord", LEDGER),
    ("ProvisionRecord", WITHOUT_EVENT),
    ("ProvisionRecord", REPLAYED),
    ("ParkedEvent", PARKED),
    ("ReplayRequest", REPLAY),
    ("Control", CONTROL),
]

ORIGIN = Origin("cluster-1", {"consent.records": UUID(int=1), "genie.gateway.controls": UUID(int=2)})
POSITIONS = {TopicPartition("consent.records", 3): 12, TopicPartition("genie.gateway.controls", 0): 4}
SEEN = {
    SUBJECT: Seen(
        3,
        Consent(
            record_id="consent-1",
            version=7,
            subject_ref=SUBJECT,
            recipient="genie",
            status=ConsentStatus.RENEWED,
            policy_version=day("2026-02-25"),
            consented_at=NOW - 1,
            expires_at=None,
            history_from=day("2026-01-01"),
            items=frozenset(ITEMS),
            opted_out=frozenset({"credit_product_marketing"}),
            contract_refs=frozenset({"contract-1a"}),
            legal_basis=LegalBasis.CONSENT,
        ),
    ),
    "subject-3c": Seen(
        1,
        Consent(
            record_id=str(UUID(int=7)),
            version=1,
            subject_ref="subject-3c",
            recipient="genie",
            status=ConsentStatus.GIVEN,
            policy_version=day("2026-02-25"),
            consented_at=NOW - 2,
            expires_at=NOW + 2,
            history_from=None,
            items=frozenset(ITEMS),
            opted_out=frozenset(),
            contract_refs=frozenset({"contract-3a"}),
            legal_basis=LegalBasis.CONSENT,
        ),
    ),
    "subject-2b": Seen(0, Denied(Reason.CONSENT_SUPERSEDED_VERSION, "consent-2", 9)),
}
HOLDS = {"hold-1": Hold("hold-1", HoldScope.SUBJECT, SUBJECT, NOW)}


def names() -> Mapping[str, str]:
    """What GeNiE knows events, records and subjects by: it must be the same for ever."""
    kinds = {EventType.LEASE_PAYMENT: payment_event(), EventType.NOREL_SCORE_UPDATE: score_event()}
    return {
        **{f"idempotency_key of {kind.code}": IDENTITY.idempotency_key(kind, e.event_id) for kind, e in kinds.items()},
        "origin": IDENTITY.origin("lease.payments", 3, 41),
        "source_digest": IDENTITY.source_digest(b"a value").hex(),
        "subject_key": IDENTITY.subject_key(SUBJECT),
    }


def bodies() -> Iterator[tuple[str, bytes]]:
    """What GeNiE gets of an event in a scope: the same for the same mapping version."""
    minimiser = Minimiser(POLICY, IDENTITY)
    for event in (payment_event(), score_event()):
        items = tuple(sorted(POLICY.event_items[event.type]))
        for purposes in (POLICY.purpose_codes, POLICY.purpose_codes[1:]):
            scope = Scope(items, purposes, day("2026-02-25"), NOW - 1)
            yield f"{event.type.code} for {len(purposes)} purposes", minimiser.body(event, scope)
