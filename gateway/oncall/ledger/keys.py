"""Judges keys that several ledger records name: provided more than once, or of an outcome that nobody knows still.

Knows which records of a key settle what. Must not know how the records were found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from gateway.core.reasons import Outcome, Transmitted
from gateway.oncall.desk import Desk
from gateway.oncall.ledger.findings import LISTED_MAX, Findings, Kind
from gateway.oncall.ledger.offsets import KeyPlace, Keys

GROUPS_AT_ONCE = 500  # keys whose records are read again together


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A record of which nobody knows whether GeNiE has it, and no other one says."""

    place: str
    key: str
    announced_at: int | None


async def judge_keys(desk: Desk, keys: Keys, findings: Findings) -> tuple[list[Unresolved], int]:
    """Those of unknown outcome, listed up to a bound, and how many there are in all.

    Raises KafkaUnavailableError, RegistryAway.
    """
    unresolved: list[Unresolved] = []
    count, groups = 0, keys.groups()
    while some := list(islice(groups, GROUPS_AT_ONCE)):
        for each in await _judge_groups(desk, some, findings):
            count += 1
            if count <= LISTED_MAX:
                unresolved.append(each)
    return sorted(unresolved, key=lambda each: each.place), count


async def _judge_groups(desk: Desk, groups: Iterable[Sequence[KeyPlace]], findings: Findings) -> list[Unresolved]:
    """The records of these keys are read again: the store tells keys apart by a part of them."""
    places = [(desk.names.ledger, place.partition, place.offset) for group in groups for place in group]
    by_key: dict[str, list[Mapping[str, Any]]] = {}
    for found in await desk.at(places):
        if found is not None and found.record is not None:
            by_key.setdefault(found.record["idempotency_key"], []).append(found.record)
    unresolved = []
    for key, records in by_key.items():
        provided = [record for record in records if record["outcome"] == Outcome.PROVIDED.code]
        for again in provided[1:]:
            at, what = again["input"], f"{_place(provided[0])} provided it too; key {key}"
            findings.add(Kind.PROVIDED_TWICE, at["topic"], at["partition"], at["offset"], what)
        if not any(record["transmitted"] == Transmitted.YES.code for record in records):
            unresolved += [Unresolved(_place(record), key, record["announced_at"]) for record in records]
    return unresolved


def _place(record: Mapping[str, Any]) -> str:
    position = record["input"]
    return f"{position['topic']}:{position['partition']}:{position['offset']}"
