"""What a lane decides by, and its numbers. Knows names and defaults; what they do is core/lane.py's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.core.events import EventType
from gateway.core.metadata import MAX_LIVE_INTENTS, MAX_WINDOW
from gateway.core.minimise import Minimiser
from gateway.core.policy import Policy
from gateway.core.records import Origin

FETCH = 500  # records in one Fetched: decoding more at once would keep other lanes waiting
MAX_ENTRIES_A_CYCLE = 1_600  # announced by one transaction
MAX_BATCHES_A_CYCLE = 64
REPLAY_FETCH = 50  # each may point to a record of the largest size, and all of them are in memory at once


@dataclass(frozen=True, slots=True)
class Limits:
    """The numbers of one lane; times in ms, sizes in bytes."""

    expires_ms: int = 30_000  # how long GeNiE may accept an attempt
    skew_ms: int = 5_000  # how far GeNiE's clock may be from ours
    batch: int = 100
    window: int = MAX_WINDOW
    window_bytes: int = 32 << 20
    live_intents: int = MAX_LIVE_INTENTS
    fetch: int = FETCH
    ahead: int = 2_000  # no more is fetched beyond so many unsettled records, while some of them can start
    decision_age_ms: int = 5_000  # an older decision is fenced again
    cycle_min_ms: int = 10  # between two transactions when little is going on
    cycle_max_ms: int = 300  # and when each takes long
    fence_retry_ms: int = 200
    hold_poll_ms: int = 500
    stop_retry_ms: int = 30_000
    unknown_limit_ms: int = 3_600_000
    failed_attempts: int = 8  # of one entry: more are many
    idle_commit_ms: int = 1_000  # gaps behind the last record are committed no sooner

    @property
    def send_margin_ms(self) -> int:
        """An announcement with less left than this is announced again instead of sent."""
        return self.expires_ms // 6

    @property
    def batches_a_cycle(self) -> int:
        """How many batches one transaction announces at most: of small ones more, for it costs the same for all."""
        return max(1, min(MAX_BATCHES_A_CYCLE, MAX_ENTRIES_A_CYCLE // self.batch))


@dataclass(frozen=True, slots=True)
class Rules:
    """What a lane decides by."""

    policy: Policy
    minimiser: Minimiser
    origin: Origin
    limits: Limits
    waits: Callable[[int, int | None], int]  # (attempt, Retry-After in ms) -> ms to wait
    retry_delay: Callable[[], int]  # ms more to wait for the retry budget, for each request that is made again
    event_type: EventType | None  # None: the lane mixes types (replays), and a hold parks instead of pausing it
