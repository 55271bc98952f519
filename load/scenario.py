"""What one round does: how much arrives and when, at whom, and what goes wrong meanwhile.

Knows the words of a round. Must not know how it is run, nor which rounds there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from load.result import Mode
from load.schedule import Schedule, Stretch

SUBJECTS = 100_000
PARTITIONS = 6  # of both input topics together, half of them each
GENIE_MS = 20.0
WARM_UP_SHARE = 0.2  # of a backlog, on top of it
WARM_UP_MOST = 20_000
WARM_UP_SECONDS = 15.0  # a cold broker compiles itself meanwhile, on the same cores


@dataclass(frozen=True, slots=True)
class Outage:
    """GeNiE ends every connection for a while."""

    after: float  # seconds from the end of the warm-up
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One round. Either a backlog comes all at once, or events arrive by a schedule."""

    name: str
    sentence: str
    backlog: int = 0
    schedule: Schedule | None = None  # behind the warm-up, which goes at the rate of its first stretch
    capacity_share: float = 0.0  # above 0: at this share of what the backlogs before it came to, if there are any
    mode: Mode = Mode.BATCH
    connections: int | None = None  # to GeNiE at most, of each gateway; None: as many as it has by default
    subjects: int = SUBJECTS
    partitions: int = PARTITIONS
    gateways: int = 1
    joins_after: float | None = None  # seconds from the end of the warm-up until one more gateway starts
    genie_ms: float = GENIE_MS
    faults: Mapping[str, float] = field(default_factory=dict)  # GeNiE's, by share of requests
    outage: Outage | None = None
    hot_share: float = 0.0  # of the events, that are one subject's
    withdrawals: float = 0.0  # a second
    memo_bytes: int = 0
    warm_up_seconds: float = WARM_UP_SECONDS  # of a schedule
    patience: float = 120.0  # seconds without a newly settled event: then the round has failed
    memory_trend: bool = False  # it is long enough for one

    @property
    def paced(self) -> Schedule:
        """The schedule with its warm-up."""
        if self.schedule is None:
            raise ValueError(f"{self.name} has no schedule")
        return Schedule((Stretch(self.schedule.stretches[0].rate, self.warm_up_seconds), *self.schedule.stretches))

    @property
    def events(self) -> int:
        """All that are produced, those of the warm-up too."""
        return self.backlog + self.warm_up_events if self.schedule is None else self.paced.events

    @property
    def warm_up_events(self) -> int:
        """Those that are not measured; before a backlog they are settled to the last."""
        if self.schedule is None:
            return int(min(self.backlog * WARM_UP_SHARE, WARM_UP_MOST))
        return round(self.schedule.stretches[0].rate * self.warm_up_seconds)
