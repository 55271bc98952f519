"""Counts of ledger records, by what a person asks.

Knows the questions. Must not know where the records come from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import Enum

from gateway.core.events import jst_day
from gateway.oncall.ledger.plain import iso_day
from gateway.oncall.ledger.source import ALL, Ledger, LedgerEntry, Wanted

UNREAD = "-"  # of an input that could not be read


class By(Enum):
    """What records are counted by."""

    OUTCOME = "outcome"
    REASON = "reason"
    EVENT_TYPE = "event_type"
    DAY = "day"  # in Japan, on which the record was appended
    TRANSMITTED = "transmitted"


Group = tuple[str, ...]


async def count(ledger: Ledger, by: Sequence[By], wanted: Wanted = ALL) -> Counter[Group]:
    """How many records there are of each group; an index counts its part by itself. Raises as Ledger.read does."""
    counts: Counter[Group] = Counter()

    def take(entries: Sequence[LedgerEntry]) -> None:
        counts.update(tuple(_text(one, _of(entry, one)) for one in by) for entry in entries)

    def take_counted(values: Sequence[str | int | None], records: int) -> None:
        counts[tuple(_text(one, value) for one, value in zip(by, values, strict=True))] += records

    await ledger.count([one.value for one in by], take_counted, take, wanted)
    return counts


def _of(entry: LedgerEntry, by: By) -> str | int | None:
    if by is By.DAY:
        return jst_day(entry.appended_at)
    value: str | None = entry.record[by.value]
    return value


def _text(by: By, value: str | int | None) -> str:
    if by is By.DAY and isinstance(value, int):
        return iso_day(value)
    return UNREAD if value is None else str(value)
