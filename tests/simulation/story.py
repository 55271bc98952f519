"""What happened in one story, in plain sentences with their times; and a digest that tells two stories apart.

Knows lines, and by names what each is about. Must not know what they mean.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

MAX_LINES = 20_000


@dataclass(frozen=True, slots=True)
class Line:
    """One sentence."""

    at_s: float
    sentence: str
    about: frozenset[str] = frozenset()  # keys, subjects, records, lanes; none: whatever one follows, it is told

    def __str__(self) -> str:
        return f"{self.at_s:10.3f}  {self.sentence}"


class Story:
    """`tell` writes a line; `now` is the virtual time in seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.lines: list[Line] = []
        self._now = now
        self._digest = hashlib.sha256()

    def tell(self, sentence: str, about: Iterable[str] = ()) -> None:
        """One more line."""
        line = Line(self._now(), sentence, frozenset(about))
        self._digest.update(str(line).encode())
        if len(self.lines) < MAX_LINES:
            self.lines.append(line)

    def seal(self, outcome: Iterable[bytes]) -> str:
        """The digest of all lines and of what came of it all."""
        for part in outcome:
            self._digest.update(part)
        return self._digest.hexdigest()
