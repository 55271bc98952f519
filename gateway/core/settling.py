"""From delivery to settlement: which records of the partition are in the lane, finished, settled. (steps c, j)

Knows the window and the bounds on what the lane keeps. Must not know how an entry came to its ending.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Mapping

from gateway.core import records
from gateway.core.entry import Ending, Entry, InputRecord
from gateway.core.facts import Opened, Parked
from gateway.core.reasons import Outcome
from gateway.core.records import Origin, Record
from gateway.core.rules import Limits
from gateway.core.window import Window


class Settling:
    """The window, the bytes in it, and the entries that are DONE but not settled."""

    __slots__ = ("_appended", "_bytes", "_finished", "_limits", "window")

    def __init__(self, limits: Limits, opened: Opened) -> None:
        self.window = Window(opened.offset, opened.metadata.settled)
        self._limits = limits
        self._bytes = 0
        self._appended: deque[tuple[int, int]] = deque()  # offset and append time from the watermark on
        self._finished: list[tuple[int, Entry]] = []  # a heap by offset

    def view(self) -> Mapping[str, int | None]:
        """What is in the lane, in numbers; `oldest_at` is when its first unsettled record was appended, ms."""
        return {
            "watermark": self.window.watermark,
            "position": self.window.position,
            "unsettled": self.window.unsettled,
            "oldest_at": self._appended[0][1] if self._appended else None,
            "window_span": self.window.span,
            "window_bytes": self._bytes,
            "finished": len(self._finished),
        }

    @property
    def oldest(self) -> int | None:
        """The offset of the first record that is not surely settled; None if there is none."""
        return self._appended[0][0] if self._appended else None

    def awaits_commit(self, offset: int) -> bool:
        """Whether only the end of a transaction, this one or the next, is still to come for the oldest record."""
        return offset < self.window.watermark or (bool(self._finished) and self._finished[0][0] == offset)

    def room(self, any_ready: bool, must_deliver: bool) -> int:
        """How many more records may be delivered, given whether any that were can start, and whether live intents
        wait for records: an earlier owner had those in memory too, and without them no intent may come free."""
        limits, window = self._limits, self.window
        full = self._bytes >= limits.window_bytes or (any_ready and window.unsettled >= limits.ahead)
        if full and not must_deliver:
            return 0
        return max(0, min(limits.window - window.span, limits.fetch))

    @property
    def beyond(self) -> int:
        """The first offset too far from the watermark to be settled; what can't be settled must not be announced,
        else finished entries could hold every live intent."""
        return self.window.watermark + self._limits.window

    @property
    def is_due(self) -> bool:
        """Whether anything can be settled."""
        return bool(self._finished) and self._finished[0][0] < self.beyond

    def deliver(self, record: InputRecord) -> bool:
        """Take note of a record; False if it is settled already."""
        if not self.window.deliver(record.offset):
            return False
        self._bytes += record.size
        self._appended.append((record.offset, record.timestamp))
        return True

    def finish(self, entry: Entry) -> None:
        """It has its ending."""
        heapq.heappush(self._finished, (entry.record.offset, entry))

    def take(self) -> list[Entry]:
        """Settle all that can be, by a transaction that begins now."""
        taken, finished, settle = [], self._finished, self.window.settle
        while self.is_due:  # again: what is settled moves the watermark, and with it the end
            beyond = self.beyond
            while finished and finished[0][0] < beyond:
                offset, entry = heapq.heappop(finished)
                settle(offset)
                self._bytes -= entry.record.size
                entry.release()
                taken.append(entry)
        return taken

    def committed(self) -> None:
        """What was taken is surely settled: until then it has its age, for the commit may hang."""
        while self._appended and self._appended[0][0] < self.window.watermark:
            self._appended.popleft()


def ledger_records(origin: Origin, settled: Iterable[Entry], now: int) -> list[Record]:
    """The one terminal record of each."""
    return [records.provision_record(origin, entry, _ending(entry), now) for entry in settled]


def parked_records(origin: Origin, settled: Iterable[Entry], now: int) -> list[Parked]:
    """A parked record of each that is set aside, and a tombstone for what a replay resolved."""
    parked = []
    for entry in settled:
        ending, replay = _ending(entry), entry.record.replay_of
        if ending.reason.outcome is Outcome.PARKED:
            key = f"{origin.lane}:{entry.record.offset}"
            parked.append(Parked(key, records.parked_event(origin, entry, ending, now)))
        elif replay is not None and ending.reason.outcome is not Outcome.INVALID:
            parked.append(Parked(f"{replay.topic}:{replay.partition}:{replay.offset}", None))
    return parked


def _ending(entry: Entry) -> Ending:
    if entry.ending is None:
        raise AssertionError("a finished entry has its ending")
    return entry.ending
