"""Our own records, as plain mappings for the schemas: intents, ledger records, parked records.

Knows their fields. Must not know Avro's bytes or when they are written. They hold references and digests,
never a personal data value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from gateway.core.consent import Consent, ConsentState
from gateway.core.decide import Scope
from gateway.core.entry import Announcement, Ending, Entry, Held, InputRecord
from gateway.core.identity import KEY_VERSION
from gateway.core.outcome import Receipt
from gateway.core.reasons import Outcome

Record = Mapping[str, Any]

# Problem types that GeNiE's contract lists (schemas/openapi/genie-provision.yaml); any other text that GeNiE
# sends is not repeated, because nothing bounds what it may hold.
UNLISTED_PROBLEM = "unlisted_problem"


@dataclass(frozen=True, slots=True)
class Recipient:
    """Who receives, as APPI Enforcement Rules art. 20 wants it recorded."""

    id: str
    name: str
    address: str
    representative: str
    record: Mapping[str, str] = field(init=False, repr=False, compare=False)  # as the ledger holds it

    def __post_init__(self) -> None:
        record = {"id": self.id, "name": self.name, "address": self.address, "representative": self.representative}
        object.__setattr__(self, "record", MappingProxyType(record))


@dataclass(frozen=True, slots=True)
class Origin:
    """What every record of one lane says about where it comes from."""

    cluster_id: str
    topic: str
    partition: int
    input_retention_ms: int
    recipient: Recipient
    mapping_version: int
    gateway_version: str
    instance: str
    problem_types: frozenset[str]  # those that a parked record may repeat
    lane: str = field(init=False)
    gateway: Mapping[str, str] = field(init=False, repr=False, compare=False)  # which process of which release wrote it

    def __post_init__(self) -> None:
        object.__setattr__(self, "lane", f"{self.topic}:{self.partition}")
        gateway = {"version": self.gateway_version, "instance": self.instance}
        object.__setattr__(self, "gateway", MappingProxyType(gateway))

    def input(self, record: InputRecord) -> dict[str, Any]:
        """The position of an input record."""
        return {
            "cluster_id": self.cluster_id,
            "topic": self.topic,
            "partition": self.partition,
            "offset": record.offset,
            "timestamp": record.timestamp,
        }


def intent(origin: Origin, announcement: Announcement, entries: Sequence[Entry], epoch: int) -> Record:
    """The durable note "about to send this batch"; all its entries cite one policy version."""
    held = [entry.held[-1] for entry in entries]
    return {
        "lane": origin.lane,
        "batch_id": announcement.batch_id,
        "announced_at": announcement.announced_at,
        "expires_at": announcement.expires_at,
        "policy_version": held[0].scope.policy_version,
        "mapping_version": origin.mapping_version,
        "key_version": KEY_VERSION,
        "entries": [_intent_entry(entry, h) for entry, h in zip(entries, held, strict=True)],
        "gateway": {**origin.gateway, "epoch": epoch},
    }


def _intent_entry(entry: Entry, held: Held) -> dict[str, Any]:
    return {
        "offset": entry.record.offset,
        "idempotency_key": entry.record.idempotency_key,
        "body_digest": held.digest,
        "items": held.scope.items,
        "permitted_purposes": held.scope.purposes,
        "consent_record_id": held.consent_record_id,
        "consent_version": held.consent_version,
        "consented_at": held.scope.consented_at,
    }


def held_in(record: Record, announcement: Announcement) -> Iterator[tuple[int, str, Held]]:
    """What a live intent says of each of its entries: offset, idempotency key, scope; the inverse of `intent`."""
    for entry in record["entries"]:
        items, purposes = tuple(entry["items"]), tuple(entry["permitted_purposes"])
        scope = Scope(items, purposes, record["policy_version"], entry["consented_at"])
        held = Held(
            scope,
            entry["body_digest"],
            entry["consent_record_id"],
            entry["consent_version"],
            announcement,
        )
        yield entry["offset"], entry["idempotency_key"], held


def provision_record(origin: Origin, entry: Entry, ending: Ending, settled_at: int) -> Record:
    """The one terminal ledger record of an input record."""
    record, held, event, reason = entry.record, ending.held, entry.record.event, ending.reason
    invalid = reason.outcome is Outcome.INVALID
    return {
        "input": origin.input(record),
        "source_digest": record.source_digest,
        "event_id": event.event_id if event else None,
        "event_type": event.type.code if event else None,
        "subject_ref": None if invalid else record.subject_ref,
        "outcome": reason.outcome.code,
        "reason": reason.code,
        "transmitted": ending.transmitted.code,
        "recipient": origin.recipient.record,
        "consent": _consent_announced(held) if held else _consent_seen(ending.consent),
        "items": held.scope.items if held else (),
        "permitted_purposes": held.scope.purposes if held else (),
        "idempotency_key": record.idempotency_key or None,
        "body_digest": held.digest if held else None,
        "receipt": _receipt(ending.receipt),
        "attempts": entry.sends,
        "decided_at": ending.decided_at,
        "announced_at": held.announcement.announced_at if held else None,
        "settled_at": settled_at,
        "replay_of": _replay_of(record),
        "mapping_version": origin.mapping_version,
        "gateway": origin.gateway,
    }


def parked_event(origin: Origin, entry: Entry, ending: Ending, parked_at: int) -> Record:
    """Where on-call finds a parked input record, and why; never its payload."""
    record = entry.record
    problem = ending.problem_type
    if problem is not None and problem not in origin.problem_types:
        problem = UNLISTED_PROBLEM
    return {
        "input": origin.input(record),
        "event_type": record.event.type.code if record.event else None,
        "subject_ref": record.subject_ref,
        "producer": record.producer,
        "reason": ending.reason.code,
        "detail": problem or ending.reason.sentence,
        "transmitted": ending.transmitted.code,
        "parked_at": parked_at,
        "input_expires_at": record.timestamp + origin.input_retention_ms,
        "attempts": entry.sends,
        "gateway": origin.gateway,
    }


def _consent_announced(held: Held) -> dict[str, Any]:
    """The consent that an announcement rests on."""
    return {
        "record_id": held.consent_record_id,
        "consent_version": held.consent_version,
        "policy_version": held.scope.policy_version,
        "consented_at": held.scope.consented_at,
    }


def _consent_seen(state: ConsentState) -> dict[str, Any] | None:
    """The consent as last seen, if there is a whole one."""
    if not isinstance(state, Consent):
        return None
    return {
        "record_id": state.record_id,
        "consent_version": state.version,
        "policy_version": state.policy_version,
        "consented_at": state.consented_at,
    }


def _receipt(receipt: Receipt | None) -> dict[str, Any] | None:
    if receipt is None:
        return None
    return {
        "id": receipt.id,
        "received_at": receipt.received_at,
        "answer_digest": receipt.answer_digest,
        "key_id": receipt.key_id,
    }


def _replay_of(record: InputRecord) -> dict[str, Any] | None:
    replay = record.replay_of
    if replay is None:
        return None
    return {
        "topic": replay.topic,
        "partition": replay.partition,
        "offset": replay.offset,
        "request_id": replay.request_id,
    }
