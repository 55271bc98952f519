"""From a lane's own records to what is produced: which topic, which key, which bytes.

Knows the order: ledger, parked, then intents. Must not know transactions, or what records say.
"""

from __future__ import annotations

from gateway import schemas
from gateway.core import facts
from gateway.kafka.surroundings import OwnTopics
from gateway.kafka.transactions import Outgoing


def outgoing(topics: OwnTopics, lane: str, command: facts.Produce) -> list[Outgoing]:
    """All records of one transaction, in their order."""
    encode = schemas.encode
    out = [
        Outgoing(topics.ledger, None, _key(record["subject_ref"]), encode("ProvisionRecord", record, topics.ledger_id))
        for record in command.ledger
    ]
    for parked in command.parked:
        value = None if parked.record is None else encode("ParkedEvent", parked.record, topics.parked_id)
        out.append(Outgoing(topics.parked, None, parked.key.encode(), value))
    key = lane.encode()
    out.extend(
        Outgoing(topics.intents, None, key, encode("ProvisionIntent", intent, topics.intent_id))
        for intent in command.intents
    )
    return out


def _key(subject_ref: str | None) -> bytes | None:
    return None if subject_ref is None else subject_ref.encode()
