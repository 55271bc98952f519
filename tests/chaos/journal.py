"""What happened in a run, line by line, in a file that stays when the run fails; and how often each thing happened.

Knows times and names. Must not know what they mean.
"""

import json
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Self


class Journal:
    """`with` it. Each line: when, how many seconds into the run, what, and whatever else is known of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.happened: Counter[str] = Counter()
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        self._file = self.path.open("a", encoding="utf-8")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return time.monotonic() - self._began

    def note(self, what: str, **more: object) -> None:
        """Write down something."""
        line = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "s": round(self.seconds, 3), "what": what}
        self._file.write(json.dumps(line | more, ensure_ascii=False) + "\n")
        self._file.flush()

    def count(self, what: str, **more: object) -> None:
        """Write down that something of the plan has surely happened."""
        self.happened[what] += 1
        self.note(what, **more)

    def say(self, text: str) -> None:
        """Tell whoever looks on, and write it down."""
        self.note("said", text=text)
        sys.stderr.write(f"{self.seconds:7.1f} s  {text}\n")
        sys.stderr.flush()
