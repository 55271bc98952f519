"""Says how far a command is: one line that changes on a terminal, and a line for each new step elsewhere.

Knows terminals. Must not know what is said.
"""

from __future__ import annotations

import re
import sys
import time

_NUMBERS = re.compile(r"[\d,.]+")


class Screen:
    """Writes to standard error: standard output is for results."""

    def __init__(self) -> None:
        self._rewrites = sys.stderr.isatty()
        self._began = time.monotonic()
        self._step = ""

    def say(self, text: str) -> None:
        """What is going on now; what differs from the last in numbers alone is the same step."""
        step = _NUMBERS.sub("", text)
        line = f"{time.monotonic() - self._began:6.1f} s  {text}"
        if self._rewrites:
            sys.stderr.write(("\r\x1b[K" if step == self._step else "\n") + line)
        elif step != self._step:
            sys.stderr.write(f"{line}\n")
        self._step = step
        sys.stderr.flush()

    def end(self) -> None:
        """Nothing more is said."""
        if self._rewrites and self._step:
            sys.stderr.write("\n")
