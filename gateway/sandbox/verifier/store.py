"""Compact stores, so that a million events fit: records on disk, numbers in arrays, rows chained by key.

Knows sizes only. Must not know what is kept in them.
"""

from __future__ import annotations

import marshal
import tempfile
from array import array
from bisect import bisect_left
from typing import Any

_SIZE_BITS = 28  # of a place, behind where it begins; a record of a topic is a few MB at most
_IN_MEMORY_BYTES = 64 * 1024 * 1024  # beyond it a spool moves to a nameless temporary file


class Spool:
    """Records kept in the order of adding, ready to be read; only places stay in memory."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115 - close() ends it
        self._end = 0

    def put(self, value: Any) -> int:
        """Keep plain Python values; returns their place."""
        content = marshal.dumps(value)
        place = self._end << _SIZE_BITS | len(content)
        self._file.seek(self._end)
        self._file.write(content)
        self._end += len(content)
        return place

    def get(self, place: int) -> Any:
        self._file.seek(place >> _SIZE_BITS)
        return marshal.loads(self._file.read(place & (1 << _SIZE_BITS) - 1))  # noqa: S302 - of our own making

    def close(self) -> None:
        self._file.close()


class Chains:
    """Which rows belong to which key number, as linked lists in two arrays."""

    def __init__(self) -> None:
        self._last = array("q")  # by key number: its newest row
        self._previous = array("q")  # by row: the row of the same key before it

    def add(self, key: int) -> int:
        """A new row of `key`; returns its number: rows are numbered from 0."""
        while len(self._last) <= key:
            self._last.append(-1)
        row = len(self._previous)
        self._previous.append(self._last[key])
        self._last[key] = row
        return row

    def rows(self, key: int) -> list[int]:
        """The rows of `key`, oldest first."""
        found: list[int] = []
        row = self._last[key] if 0 <= key < len(self._last) else -1
        while row >= 0:
            found.append(row)
            row = self._previous[row]
        found.reverse()
        return found


class Partition:
    """The records of one input partition that a read_committed reader gets, in order of offset."""

    NOWHERE = -1  # the place of what cannot be read

    def __init__(self, topic: str, number: int) -> None:
        self.topic = topic
        self.number = number
        self.offsets = array("q")
        self.places = array("q")
        self.settled = bytearray()  # terminal ledger records of each, 255 at most
        self.last_settled = -1  # index

    def add(self, offset: int, place: int) -> None:
        self.offsets.append(offset)
        self.places.append(place)
        self.settled.append(0)

    def find(self, offset: int) -> int | None:
        """The index of the record at `offset`; None if no such record was delivered."""
        index = bisect_left(self.offsets, offset)
        return index if index < len(self.offsets) and self.offsets[index] == offset else None

    def settle(self, index: int) -> None:
        self.last_settled = max(self.last_settled, index)
        if self.settled[index] < 255:
            self.settled[index] += 1

    def name(self, offset: int) -> str:
        return f"{self.topic}:{self.number}:{offset}"
