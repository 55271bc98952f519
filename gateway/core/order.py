"""Whose turn it is: the unfinished entries of each subject in the order of the input partition.

Knows that entries of one subject go one after the other, or together in one batch. (design.md section 5 h) A record
that an earlier owner may have sent, and that can't be decoded any more, may be of any subject: while GeNiE may yet
accept it, nothing behind it starts.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from gateway.core.entry import Entry, State


class SubjectOrder:
    """A line for each subject; the head of a line, if QUEUED, may start."""

    __slots__ = ("_bars", "_heads", "_lines")

    def __init__(self) -> None:
        self._lines: dict[str, list[Entry]] = {}  # lists: most hold one entry, and a deque is made for 64
        self._bars: set[int] = set()  # offsets of unknown subjects
        self._heads: list[tuple[int, Entry]] = []  # a heap by offset of QUEUED heads

    @property
    def ready(self) -> int:
        """How many subjects may start."""
        return len(self._heads)

    def ready_below(self, offset: int) -> bool:
        """Whether a subject may start with a record below `offset`."""
        return bool(self._heads) and self._heads[0][0] < self.reach(offset)

    def reach(self, offset: int) -> int:
        """The first offset that may not start, of those below `offset` or that itself."""
        return min((offset, *self._bars))

    def bar(self, offset: int) -> None:
        """Nothing behind this offset starts."""
        self._bars.add(offset)

    def unbar(self, offset: int) -> None:
        """It may."""
        self._bars.discard(offset)

    def join(self, entry: Entry) -> None:
        """A newly delivered entry goes to the end of its subject's line."""
        subject = entry.event.subject_ref
        line = self._lines.get(subject)
        if line is not None:
            line.append(entry)
            return
        self._lines[subject] = [entry]
        if entry.state is State.QUEUED:
            self._may_start(entry)

    def leave(self, entry: Entry) -> None:
        """An entry is DONE; the next of its subject may start once all before it are."""
        subject = entry.event.subject_ref
        line = self._lines[subject]
        if line[0] is not entry:
            return
        done = 1
        while done < len(line) and line[done].state is State.DONE:
            done += 1
        del line[:done]
        if not line:
            del self._lines[subject]
        elif line[0].state is State.QUEUED:
            self._may_start(line[0])

    def requeue(self, entry: Entry) -> None:
        """An entry waits for its turn again."""
        entry.state = State.QUEUED
        if self._lines[entry.event.subject_ref][0] is entry:
            self._may_start(entry)

    def next_head(self) -> Entry | None:
        """Take the ready head with the lowest offset; give it back with `requeue` or take it further."""
        return heapq.heappop(self._heads)[1] if self._heads else None

    def head_at(self, offset: int) -> Entry | None:
        """The head of a line that lies there; it looks at every line."""
        return next((line[0] for line in self._lines.values() if line[0].record.offset == offset), None)

    def line(self, head: Entry) -> Iterator[Entry]:
        """A head and the entries behind it, in order."""
        return iter(self._lines[head.event.subject_ref])

    def _may_start(self, head: Entry) -> None:
        heapq.heappush(self._heads, (head.record.offset, head))
