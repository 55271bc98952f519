"""Text beside labels, folded to the width of the terminal."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable

WIDTH_MIN, WIDTH_MAX = 60, 120
LABEL = 9  # characters of the longest label


def labelled(rows: Iterable[tuple[str, str]], indent: int = 2) -> list[str]:
    """Each label with its text; rows that go on under the same label have an empty one."""
    width = min(WIDTH_MAX, max(WIDTH_MIN, shutil.get_terminal_size().columns))
    lines = []
    for label, text in rows:
        first = f"{'':{indent}}{label:<{LABEL}} "
        lines += textwrap.wrap(text, width, initial_indent=first, subsequent_indent=" " * len(first)) or [first]
    return lines


def counted(number: int, one: str, many: str = "") -> str:
    """`1 record`, `1,204 records`."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
