"""What the ledger says so far: how each input record ended, and how fast.

Knows ledger records as mappings. Must not know how they are read, nor whether they are right: that is the verifier's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

EXAMPLES_KEPT = 500  # ledger records of each outcome that may be shown in the end

Place = tuple[str, int, int]  # topic, partition, offset of an input record


@dataclass(frozen=True, slots=True)
class Withheld:
    """An event that was not sent, and the moment up to which consent was looked at."""

    subject_ref: str
    key: str
    decided_at: int
    sends: int


class Tally:
    """Counts ledger records as they come."""

    def __init__(self, *, remember_keys: bool) -> None:
        """`remember_keys`: when each event was settled is asked for later."""
        self.outcomes: Counter[str] = Counter()
        self.reasons: Counter[tuple[str, str]] = Counter()  # by outcome and reason
        self.settled_at: dict[str, int] = {}  # by idempotency key, when asked for
        self.withheld: dict[Place, Withheld] = {}
        self.examples: dict[str, list[Mapping[str, Any]]] = {}
        self.first_ms = 0
        self.last_ms = 0
        self._remember = remember_keys
        self._offsets: dict[tuple[str, int], set[int]] = {}

    @property
    def records(self) -> int:
        """Ledger records."""
        return sum(self.outcomes.values())

    @property
    def settled(self) -> int:
        """Input records with a terminal record: fewer than `records` if some have two."""
        return sum(map(len, self._offsets.values()))

    @property
    def events_per_second(self) -> float:
        """From the first settlement to the last, by the broker's clock."""
        return self.records * 1_000 / max(1, self.last_ms - self.first_ms)

    def add(self, record: Mapping[str, Any], appended_at: int) -> None:
        """Take one ledger record and the broker's time of it."""
        at = record["input"]
        self.outcomes[record["outcome"]] += 1
        self.reasons[record["outcome"], record["reason"]] += 1
        self._offsets.setdefault((at["topic"], at["partition"]), set()).add(at["offset"])
        self.first_ms = min(self.first_ms or appended_at, appended_at)
        self.last_ms = max(self.last_ms, appended_at)
        key = record["idempotency_key"]
        if key and self._remember:
            self.settled_at[key] = appended_at
        if key and record["outcome"] == "WITHHELD":
            place = at["topic"], at["partition"], at["offset"]
            self.withheld[place] = Withheld(record["subject_ref"], key, record["decided_at"], record["attempts"])
        kept = self.examples.setdefault(record["outcome"], [])
        if len(kept) < EXAMPLES_KEPT:
            kept.append(record)
