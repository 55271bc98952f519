"""What happened in one story, in plain sentences with their times; and a digest that tells two stories apart.

Knows lines. Must not know what they mean.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

MAX_LINES = 20_000


class Story:
    """`tell` writes a line; `now` is the virtual time in seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.lines: list[str] = []
        self._now = now
        self._digest = hashlib.sha256()

    def tell(self, sentence: str) -> None:
        """One more line."""
        line = f"{self._now():10.3f}  {sentence}"
        self._digest.update(line.encode())
        if len(self.lines) < MAX_LINES:
            self.lines.append(line)

    def seal(self, outcome: Iterable[bytes]) -> str:
        """The digest of all lines and of what came of it all."""
        for part in outcome:
            self._digest.update(part)
        return self._digest.hexdigest()
