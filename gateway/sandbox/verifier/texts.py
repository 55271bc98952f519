"""Personal values and references in logs and metrics.

Knows lines of text. Must not know what wrote them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from gateway.sandbox.verifier.canary import Canaries

_LINE_CHARS = 1_000_000  # a longer line is searched in parts


def leaks(path: Path, canaries: Canaries) -> Iterator[tuple[str, str]]:
    """(where, what) of everything in a file that may not be there."""
    with path.open(encoding="utf-8", errors="replace") as lines:
        yield from _leaks(path.name, iter(lambda: lines.readline(_LINE_CHARS), ""), canaries)


def _leaks(name: str, lines: Iterable[str], canaries: Canaries) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(lines, 1):
        for field in canaries.found(line):
            yield f"{name}:{number}", f"a value of {field}"
