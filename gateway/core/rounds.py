"""Who waits for a consent fence: batches announced, and entries to be checked. (step d)

Knows one fence at a time, and when the next may begin. Must not know what is decided behind it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from gateway.core.batching import Batch
from gateway.core.entry import Entry


@dataclass(slots=True)
class Round:
    """Who waits for one fence."""

    batches: list[Batch] = field(default_factory=list)
    checks: list[Entry] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.batches or self.checks)

    def subjects(self) -> frozenset[str]:
        """Whose consents the fence must bring."""
        entries = [entry for batch in self.batches for entry in batch.entries]
        return frozenset(entry.event.subject_ref for entry in [*entries, *self.checks])


class Rounds:
    """The round whose fence is under way, and the one that gathers meanwhile."""

    __slots__ = ("_next", "_now", "next_at")

    def __init__(self, now: int) -> None:
        self._next = Round()
        self._now: Round | None = None
        self.next_at = now  # no fence begins sooner, ms

    def __bool__(self) -> bool:
        return bool(self._now or self._next)

    @property
    def is_under_way(self) -> bool:
        """Whether a fence is."""
        return self._now is not None

    @property
    def is_wanted(self) -> bool:
        """Whether anyone waits for the next one."""
        return bool(self._next)

    def join(self, batches: Iterable[Batch] = (), checks: Iterable[Entry] = ()) -> None:
        """Wait for the next fence: one that has begun already may be too old for them."""
        self._next.batches.extend(batches)
        self._next.checks.extend(checks)

    def begin(self) -> frozenset[str]:
        """Start the fence; the subjects to ask for."""
        self._now, self._next = self._next, Round()
        return self._now.subjects()

    def put_back(self) -> None:
        """The fence failed or came too late: all who waited for it wait for the next one."""
        waited, self._now = self._reached(), None
        self._next.batches[:0] = waited.batches
        self._next.checks[:0] = waited.checks

    def take(self) -> Round:
        """The fence is reached: those who waited for it."""
        waited, self._now = self._reached(), None
        return waited

    def _reached(self) -> Round:
        if self._now is None:
            raise AssertionError("no fence was asked for")
        return self._now
