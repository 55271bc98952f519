"""What GeNiE received, as lines of a file that outlives the process and that the verifier reads.

Knows the file and its line format; must not know how a verdict is reached. A line is durable once the
operating system has it: it survives the end of the process, and a sandbox need not survive that of the machine.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

_PART = 1 << 20  # bytes looked at in one step from the end of the file


class Receipts:
    """An append-only file with one JSON object a line."""

    def __init__(self, path: Path) -> None:
        """Open or make the file; half a line at its end, left by a kill, was never answered for and goes."""
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._size = _after_last_line(self._descriptor)
        os.ftruncate(self._descriptor, self._size)

    def append(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """All lines or none; returns when they survive this process."""
        content = b"".join(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in lines)
        left = memoryview(content)
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
        except OSError:
            os.ftruncate(self._descriptor, self._size)
            raise
        self._size += len(content)

    def read(self) -> Iterator[dict[str, Any]]:
        """Every line from the beginning."""
        with self.path.open("rb") as file:
            for line in file:
                yield orjson.loads(line)

    def close(self) -> None:
        os.close(self._descriptor)


def _after_last_line(descriptor: int) -> int:
    end = os.fstat(descriptor).st_size
    while end > 0:
        start = max(0, end - _PART)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0
