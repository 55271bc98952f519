"""The transactions of a lane, one at a time: when the next may begin, and what its commit says. (step c)

Knows the pace of commits and the metadata. Must not know what is settled or announced, or why.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.batching import Batch
from gateway.core.entry import Announcement
from gateway.core.facts import Commit, Opened
from gateway.core.live import LiveIntents
from gateway.core.metadata import CommitMetadata, IntentRef
from gateway.core.rules import Limits
from gateway.core.window import Window

PAUSE_FACTOR = 1  # of the time that a transaction takes


class Cycle:
    """The open transaction, if there is one, and the pause before the next."""

    __slots__ = (
        "_batches",
        "_began_at",
        "_committed",
        "_limits",
        "_next_at",
        "_next_gap_at",
        "_opens",
        "_settled",
        "_window",
        "has_opened",
        "is_open",
    )

    def __init__(self, limits: Limits, opened: Opened, window: Window, now: int) -> None:
        self.is_open = False
        self.has_opened = (
            False  # until it is counted no record is read: one that ends the process must not do so uncounted
        )
        self._limits = limits
        self._window = window
        self._opens = opened.metadata.opens + 1
        self._committed: int | None = None  # the offset committed by this machine
        self._next_at = self._next_gap_at = now
        self._settled = 0
        self._began_at = now
        self._batches: Sequence[Batch] = ()

    def may_begin(self, now: int) -> bool:
        """Whether a transaction may begin, if there is anything to put in."""
        return not self.is_open and now >= self._next_at

    def must_begin(self, now: int) -> bool:
        """Whether one is needed though nothing is settled or announced: the opening, or gaps passed since."""
        return self._committed is None or (self._has_gap() and now >= self._next_gap_at)

    def next_at(self, anything: bool) -> int | None:
        """When the next one begins, ms, given whether there is `anything` to put in; None if not before a fact."""
        if self.is_open:
            return None
        if anything:
            return self._next_at
        return max(self._next_gap_at, self._next_at) if self._has_gap() else None

    def announces(self, announcement: Announcement) -> bool:
        """Whether the open transaction announces it."""
        return any(batch.announcement is announcement for batch in self._batches)

    def begin(self, settled: int, batches: Sequence[Batch], now: int) -> None:
        """It settles so many entries and announces these batches."""
        self.is_open, self._settled, self._batches, self._began_at = True, settled, batches, now

    def commit(self, refs: Sequence[IntentRef], live: LiveIntents) -> Commit:
        """All is produced, its intents at `refs`: watermark, settled set and live intents, as they are now."""
        for batch, ref in zip(self._batches, refs, strict=True):
            batch.announcement.ref = ref
        if self._settled:
            self._opens = 0
        self._committed = offset = self._window.watermark
        metadata = CommitMetadata(tuple(self._window.settled_beyond()), live.refs(), self._opens)
        return Commit(offset, metadata.encode(offset))

    def end(self, now: int) -> Sequence[Batch]:
        """It is committed; the batches that are announced by it.

        The pause follows how long it took, which tells how busy the brokers and this process are: a transaction costs
        the same for few records as for many, so the busier they are, the more records each must carry.
        """
        limits = self._limits
        pause = PAUSE_FACTOR * (now - self._began_at)
        self._next_at = now + min(max(pause, limits.cycle_min_ms), limits.cycle_max_ms)
        self._next_gap_at = now + limits.idle_commit_ms
        batches, self._batches, self.is_open, self.has_opened = self._batches, (), False, True
        return batches

    def _has_gap(self) -> bool:
        return self._committed is not None and self._committed < self._window.watermark
