"""A record as a program reads it: digests in hexadecimal, times in UTC, days as dates."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from gateway.oncall import times
from gateway.oncall.ledger.source import LedgerEntry

_EPOCH = date(1970, 1, 1)
_TIMES = frozenset(
    {"timestamp", "consented_at", "received_at", "decided_at", "announced_at", "settled_at", "appended_at"}
)


def plain(entry: LedgerEntry, topic: str) -> dict[str, Any]:
    """A ledger record with its place and the time of its append, for JSON."""
    place = {"topic": topic, "partition": entry.partition, "offset": entry.offset}
    return {"ledger": place, "appended_at": times.iso(entry.appended_at), **_plain_fields(entry.record)}


def iso_day(days: int) -> str:
    """The date of a day given as days since epoch."""
    return (_EPOCH + timedelta(days=days)).isoformat()


def _plain_fields(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _plain_value(name, value) for name, value in record.items()}


def _plain_value(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return _plain_fields(value)
    if isinstance(value, bytes):
        return value.hex()
    if value is None:
        return None
    if name in _TIMES:
        return times.iso(value)
    return iso_day(value) if name == "policy_version" else value
