"""What a lane's committed transactions count: how records ended, how late, after how many attempts, whose they were.

Knows the records that a transaction settles, and for how long a producer's name must be kept: ledger records have none,
and only a record that can't be read is rejected without a parked record that has. Must not know the protocol.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gateway.core import facts
from gateway.core.entry import InputRecord
from gateway.core.reasons import Outcome
from gateway.observe.metrics import Metrics


class LaneCounts:
    """Of one lane, from its opening on. What it keeps is bounded by the lane's window."""

    def __init__(self, topic: str, metrics: Metrics) -> None:
        self.settling: Sequence[Mapping[str, Any]] = ()  # ledger records of the open transaction
        self._topic = topic
        self._metrics = metrics
        self._parking: Sequence[facts.Parked] = ()
        self._invalid: dict[int, str | None] = {}  # offset -> producer of what can never become valid

    def read(self, records: Iterable[InputRecord]) -> None:
        """These were taken."""
        for record in records:
            if record.reason is not None and record.reason.outcome is Outcome.INVALID:
                self._invalid[record.offset] = record.producer

    def produced(self, command: facts.Produce) -> None:
        """All that it asks for is in the open transaction."""
        self.settling, self._parking = command.ledger, command.parked
        self._metrics.announced(sum(len(intent["entries"]) for intent in command.intents))

    def committed(self, seconds: float, now: int) -> None:
        """It is surely committed, after so long; `now` in ms."""
        metrics, settled = self._metrics, self.settling
        metrics.committed(seconds, len(settled))
        for (outcome, reason), count in Counter((r["outcome"], r["reason"]) for r in settled).items():
            metrics.settled(self._topic, outcome, reason, count)
        metrics.attempts(Counter(record["attempts"] for record in settled))
        metrics.append_to_ledger_many([(now - record["input"]["timestamp"]) / 1000 for record in settled])
        parked = [(each.record["producer"], each.record["reason"]) for each in self._parking if each.record is not None]
        invalid = self._take_invalid(settled) if self._invalid else []
        for (producer, reason), count in Counter([*parked, *invalid]).items():
            metrics.rejected(self._topic, producer, reason, count)

    def _take_invalid(self, settled: Iterable[Mapping[str, Any]]) -> list[tuple[str | None, str]]:
        ended = [record for record in settled if record["outcome"] == Outcome.INVALID.value]
        return [(self._invalid.pop(record["input"]["offset"], None), record["reason"]) for record in ended]
