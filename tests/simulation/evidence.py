"""What can be seen of one story when it is over: counted from records, receipts, logs and the simulated parts.

Knows how records of one event hang together. Must not know which of it is rare, or wanted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from gateway import schemas
from gateway.sandbox.verifier.history import Raw, Topic

Record = Mapping[str, Any]


@dataclass(slots=True)
class Evidence:
    """Counts of one story, or of many."""

    done: Counter[str] = field(default_factory=Counter)  # faults that surely happened
    reasons: Counter[str] = field(default_factory=Counter)  # of ledger records
    logs: Counter[str] = field(default_factory=Counter)  # sentence, and sentence with its code
    ends: Counter[str] = field(default_factory=Counter)  # of gateways by themselves: the error's class
    genie: Counter[str] = field(default_factory=Counter)  # statuses of entries, lookups and refusals, and faults
    joined: Counter[str] = field(default_factory=Counter)  # what records of one event say together
    seen: Counter[str] = field(default_factory=Counter)  # of lanes and parts while they ran
    brokers: Counter[str] = field(default_factory=Counter)  # of the simulated brokers and the network

    def add(self, other: Evidence) -> None:
        """Count another story too."""
        for name in self.__slots__:
            getattr(self, name).update(getattr(other, name))


def of_records(records: Mapping[Topic, Sequence[Raw]], receipts: Sequence[bytes]) -> Evidence:
    """What the topics and GeNiE's receipts show."""
    evidence = Evidence()
    ledger = [record for record in map(_read, records[Topic.LEDGER]) if record is not None]
    intents = [record for record in map(_read, records[Topic.INTENTS]) if record is not None]
    evidence.reasons.update(record["reason"] for record in ledger)
    statuses = _statuses(receipts)
    evidence.joined.update(_joined(ledger, _announced(intents), statuses))
    return evidence


def _read(raw: Raw) -> Record | None:
    return schemas.decode(raw.value)[1] if raw.value is not None else None


@dataclass(frozen=True, slots=True)
class _Announced:
    digest: bytes
    at: int
    instance: str
    batch: int  # entries


def _announced(intents: Iterable[Record]) -> Mapping[tuple[str, int], list[_Announced]]:
    """By lane and offset, oldest first."""
    found: dict[tuple[str, int], list[_Announced]] = defaultdict(list)
    for intent in intents:
        entries = intent["entries"]
        for entry in entries:
            announced = _Announced(
                entry["body_digest"], intent["announced_at"], intent["gateway"]["instance"], len(entries)
            )
            found[intent["lane"], entry["offset"]].append(announced)
    return found


def _statuses(receipts: Sequence[bytes]) -> Mapping[str, list[str]]:
    """By idempotency key, what GeNiE answered in turn."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in receipts:
        receipt = orjson.loads(line)
        found[receipt["idempotency_key"]].append(receipt["status"])
    return found


def _joined(
    ledger: Iterable[Record],
    announced: Mapping[tuple[str, int], list[_Announced]],
    statuses: Mapping[str, list[str]],
) -> Iterable[str]:
    for record in ledger:
        at = record["input"]
        attempts = announced.get((f"{at['topic']}:{at['partition']}", at["offset"]), [])
        said = statuses.get(record["idempotency_key"] or "", [])
        if not attempts:
            continue
        yield "announced"
        if record["outcome"] == "WITHHELD":
            yield "withheld after it was announced"
        if record["outcome"] == "WITHHELD" and record["attempts"]:
            yield "withheld after it was sent and not received"
        if len({attempt.digest for attempt in attempts}) > 1:
            yield "announced anew with another body"
        if len(attempts) > 1:
            yield "announced again"
        if attempts[0].batch > 1 and attempts[-1].batch == 1:
            yield "a batch became smaller"
        if attempts[0].instance != record["gateway"]["instance"]:
            yield "announced by one process, settled by another"
        if record["reason"] == "accepted" and "duplicate" in said:
            yield "duplicate of our own"
        if record["reason"] == "resolved_by_lookup" and attempts[0].instance != record["gateway"]["instance"]:
            yield "an intent of another process resolved by lookup"
