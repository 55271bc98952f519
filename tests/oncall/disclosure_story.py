"""One customer with every kind of ledger record, another one beside, and what is being sent now."""

import asyncio
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from gateway.core.metadata import CommitMetadata, IntentRef
from tests.oncall.desk_world import GIVEN_AT, T0, DeskWorld, number_id

CUSTOMER, OTHER, NEVER = "S-0000001a", "S-0000002b", "S-0000003c"
CONTRACT = "C-2026-0001"
GROUP = "credit-gateway"
MINUTE = 60_000
WITHDRAWN_AT = T0 + 60 * MINUTE

PURPOSES = [
    "claim_assignment_and_collateral",
    "credit_and_claim_administration",
    "credit_model_research",
    "identity_check_and_credit_decision",
    "inquiry_handling",
    "insurance_administration",
    "market_research_and_product_development",
    "other_product_marketing",
    "transaction_recordkeeping",
]
PAYMENT_ITEMS = ["address", "birth_date", "name", "payment_history", "phone"]
SCORE_ITEMS = ["norel_score", "norel_score_inputs"]
CONSENT = {
    "record_id": number_id(1),
    "consent_version": 1,
    "policy_version": 20_509,  # 2026-02-25
    "consented_at": GIVEN_AT,
}
ENTRY = {
    "items": PAYMENT_ITEMS,
    "permitted_purposes": PURPOSES,
    "consent_record_id": CONSENT["record_id"],
    "consented_at": GIVEN_AT,
}
UNKNOWN = {"outcome": "PARKED", "reason": "outcome_unknown", "transmitted": "unknown", "receipt": None}


def told(world: DeskWorld) -> DeskWorld:
    """Write all of it. The order of ledger records is that of their times, a minute apart."""
    at = iter(range(T0 + MINUTE, T0 + 60 * MINUTE, MINUTE))

    def sent(place: tuple[str, int, int], subject: str = CUSTOMER, **changes: Any) -> None:
        usual = {"items": PAYMENT_ITEMS, "permitted_purposes": PURPOSES, "consent": CONSENT}
        world.add_ledger(place, subject, at=next(at), **(usual | changes))

    first = world.add_payment(CUSTOMER)
    sent(first)
    sent(world.add_payment(CUSTOMER, status="corrected", corrects_event_id=number_id(1_000)))
    sent(
        world.add_payment(CUSTOMER, event_id=number_id(1_000)),
        outcome="DUPLICATE",
        reason="same_event",
        idempotency_key=f"key-of-{number_id(1_000)}",
    )
    world.add_withheld(world.add_payment(CUSTOMER), CUSTOMER, "before_consent", at=next(at))
    sent(world.add_payment(CUSTOMER), **UNKNOWN)
    _found_later(world, world.add_payment(CUSTOMER), sent)
    _not_received(world, world.add_payment(CUSTOMER), sent, next(at))
    sent(world.add_payment(CUSTOMER), outcome="PARKED", reason="rejected_by_genie", receipt=None)
    sent(world.add_score(CUSTOMER), items=SCORE_ITEMS, idempotency_key="key-of-score-0")
    newer = {"outcome": "SUPERSEDED", "reason": "newer_at_genie", "idempotency_key": "key-of-score-1"}
    sent(world.add_score(CUSTOMER), items=SCORE_ITEMS, **newer)
    sent(world.add_payment(OTHER), OTHER)
    _being_sent(world)
    world.add_consent(CUSTOMER, record_id=number_id(1))
    world.add_consent(
        CUSTOMER,
        record_id=number_id(2),
        consent_version=2,
        status="withdrawn",
        status_updated_at=WITHDRAWN_AT,
        at=WITHDRAWN_AT,
    )
    world.add_withheld(
        world.add_payment(CUSTOMER, status="corrected", corrects_event_id=number_id(1_000)),
        CUSTOMER,
        "correction_after_withdrawal",
        at=WITHDRAWN_AT + MINUTE,
    )
    world.add(world.names.ledger, CUSTOMER, b"no record", at=WITHDRAWN_AT + 2 * MINUTE)
    world.flush()
    return world


def _found_later(world: DeskWorld, place: tuple[str, int, int], sent: Any) -> None:
    """Its outcome is unknown; a replay asks GeNiE, which has had it all along."""
    key = f"key-of-{number_id(1_000 + place[2])}"
    sent(place, **UNKNOWN)
    request = world.add_request(place, CUSTOMER)
    sent(
        request,
        outcome="DUPLICATE",
        reason="same_event",
        items=[],
        permitted_purposes=[],
        consent=None,
        event_type="lease_payment",
        idempotency_key=key,
        replay_of=_replay_of(place, request),
        receipt={"id": "receipt-found", "received_at": T0 + 5_000, "answer_digest": bytes(32), "key_id": "genie-1"},
    )


def _not_received(world: DeskWorld, place: tuple[str, int, int], sent: Any, at: int) -> None:
    """Its outcome is unknown; a replay asks GeNiE, which has it not, and then it is withheld."""
    sent(place, **UNKNOWN)
    request = world.add_request(place, CUSTOMER)
    world.add_withheld(
        request,
        CUSTOMER,
        "consent_expired",
        at=at + 10 * MINUTE,
        idempotency_key=f"key-of-{number_id(1_000 + place[2])}",
        replay_of=_replay_of(place, request),
    )


def _replay_of(place: tuple[str, int, int], request: tuple[str, int, int]) -> dict[str, Any]:
    topic, partition, offset = place
    request_id = number_id(7_000 + request[2])
    return {"topic": topic, "partition": partition, "offset": offset, "request_id": request_id}


def _being_sent(world: DeskWorld) -> None:
    """Announced for both customers, and nothing settled of it; what the commit says is settled is not looked for."""
    settled = world.add_payment(CUSTOMER)
    world.add_ledger(settled, CUSTOMER, at=T0 + 59 * MINUTE, items=PAYMENT_ITEMS, consent=CONSENT)
    mine, others = world.add_payment(CUSTOMER), world.add_payment(OTHER)
    entries = [{**ENTRY, "offset": place[2], "idempotency_key": f"key-{place[2]}"} for place in (settled, mine, others)]
    topic, partition, _ = mine
    intent = world.add_intent(f"{topic}:{partition}", entries, at=T0 + 58 * MINUTE)
    world.flush()
    metadata = CommitMetadata((settled[2],), (IntentRef(intent[1], intent[2]),)).encode(settled[2])
    asyncio.run(_commit(world, TopicPartition(topic, partition), OffsetAndMetadata(settled[2], metadata)))


async def _commit(world: DeskWorld, lane: TopicPartition, committed: OffsetAndMetadata) -> None:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=world.kafka, group_id=f"{world.prefix}{GROUP}", enable_auto_commit=False
    )
    await consumer.start()
    try:
        consumer.assign([lane])
        await consumer.commit({lane: committed})
    finally:
        await consumer.stop()
