"""What happened between two samples of a round, as figures.

Knows arithmetic on counts. Must not know where they come from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from load.result import Kind, PerEvent

_MICRO = 1e6


@dataclass(frozen=True, slots=True)
class Counts:
    """What gateways count, all processes together, since their start."""

    settled: float = 0.0
    fences: float = 0.0
    announced: float = 0.0
    verified_answers: float = 0.0
    answer_seconds: float = 0.0  # waited for them
    transactions: float = 0.0
    commit_seconds: float = 0.0
    outcomes: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sample:
    """One moment of a round."""

    at: float  # monotonic seconds
    cpu: Mapping[Kind, float]  # seconds of all processes of a kind
    genie_read: float  # bytes, in all
    counts: Counts


@dataclass(frozen=True, slots=True)
class Window:
    """From one sample to a later one."""

    first: Sample
    last: Sample

    @property
    def events(self) -> int:
        """Settled meanwhile."""
        return int(self.last.counts.settled - self.first.counts.settled)

    @property
    def seconds(self) -> float:
        return self.last.at - self.first.at

    @property
    def events_per_second(self) -> float:
        return _ratio(self.events, self.seconds)

    @property
    def cpu_us_per_event(self) -> dict[Kind, float]:
        return {kind: _ratio(_MICRO * self._cpu(kind), self.events) for kind in self.last.cpu}

    @property
    def genie_cores(self) -> float:
        return _ratio(self._cpu(Kind.GENIE), self.seconds)

    @property
    def wire_bytes_per_event(self) -> float:
        return _ratio(self.last.genie_read - self.first.genie_read, self.events)

    @property
    def per_event(self) -> PerEvent:
        before, after, events = self.first.counts, self.last.counts, self.events
        return PerEvent(
            fences=_ratio(after.fences - before.fences, events),
            announcements=_ratio(after.announced - before.announced, events),
            verified_answers=_ratio(after.verified_answers - before.verified_answers, events),
            transactions=_ratio(after.transactions - before.transactions, events),
        )

    @property
    def answer_ms(self) -> float | None:
        """How long the gateway waited for a verified answer, mean."""
        before, after = self.first.counts, self.last.counts
        answers = after.verified_answers - before.verified_answers
        return 1_000 * (after.answer_seconds - before.answer_seconds) / answers if answers else None

    @property
    def commit_ms(self) -> float:
        """Mean."""
        before, after = self.first.counts, self.last.counts
        return 1_000 * _ratio(after.commit_seconds - before.commit_seconds, after.transactions - before.transactions)

    @property
    def outcomes(self) -> dict[str, int]:
        """Ledger records by outcome, those that there are."""
        before = self.first.counts.outcomes
        found = {name: int(count - before.get(name, 0)) for name, count in self.last.counts.outcomes.items()}
        return {name: count for name, count in found.items() if count}

    def _cpu(self, kind: Kind) -> float:
        return self.last.cpu.get(kind, 0.0) - self.first.cpu.get(kind, 0.0)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0


def slope(points: Sequence[tuple[float, float]]) -> float | None:
    """How much y grows with each x, by least squares; None where that can't be said."""
    if len(points) < 2:
        return None
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    if not spread:
        return None
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
