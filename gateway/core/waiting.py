"""What waits for a time, and what waits for a lookup.

Knows times and which keys are asked about together. Must not know why an entry waits.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator
from itertools import chain

from gateway.core.entry import Entry, State
from gateway.core.facts import LookUp

MAX_LOOKUP_KEYS = 100
MAX_LOOKUPS = 4  # on their way at the same time


class Waiting:
    """Entries by the time at which their wait is over."""

    __slots__ = ("_heap",)

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Entry]] = []

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def next_at(self) -> int | None:
        """When the first wait is over, ms."""
        return self._heap[0][0] if self._heap else None

    def at(self, offset: int) -> Entry | None:
        """The entry of this offset that waits."""
        return next((entry for _, at, entry in self._heap if at == offset), None)

    def add(self, entry: Entry, state: State, due_at: int) -> None:
        """Let an entry wait."""
        entry.state = state
        heapq.heappush(self._heap, (due_at, entry.record.offset, entry))

    def take_due(self, now: int) -> list[Entry]:
        """Those whose wait is over."""
        due = []
        while self._heap and self._heap[0][0] <= now:
            due.append(heapq.heappop(self._heap)[2])
        return due


class Lookups:
    """Entries to ask GeNiE about, and those being asked about."""

    __slots__ = ("_asked", "_serial", "_to_ask")

    def __init__(self) -> None:
        self._to_ask: deque[Entry] = deque()
        self._asked: dict[int, list[Entry]] = {}
        self._serial = 0

    def __len__(self) -> int:
        return len(self._to_ask) + sum(map(len, self._asked.values()))

    def at(self, offset: int) -> Entry | None:
        """The entry of this offset that is asked about."""
        entries = chain(self._to_ask, *self._asked.values())
        return next((entry for entry in entries if entry.record.offset == offset), None)

    def add(self, entry: Entry) -> None:
        """Ask about it as soon as may be."""
        entry.state = State.LOOKING_UP
        self._to_ask.append(entry)

    def questions(self) -> Iterator[LookUp]:
        """The next questions, as long as few enough are open."""
        while self._to_ask and len(self._asked) < MAX_LOOKUPS:
            entries = [self._to_ask.popleft() for _ in range(min(MAX_LOOKUP_KEYS, len(self._to_ask)))]
            self._serial += 1
            self._asked[self._serial] = entries
            # A producer's duplicate may ask beside the record it repeats: each key is asked once.
            keys = dict.fromkeys(entry.record.idempotency_key for entry in entries)
            yield LookUp(self._serial, tuple(keys))

    def take(self, lookup_id: int) -> list[Entry]:
        """Those that were asked about with this question."""
        return self._asked.pop(lookup_id)
