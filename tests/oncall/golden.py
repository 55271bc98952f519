"""What a command printed, compared with what a person has looked at and checked in.

A difference fails with the diff. `ACCEPT_GOLDEN=1` writes the file anew: look at `git diff` before it is committed.
"""

import difflib
import os
from pathlib import Path

DIRECTORY = Path(__file__).parent / "golden"


def check(name: str, text: str) -> None:
    """Fail unless golden/`name` says exactly this."""
    path = DIRECTORY / name
    if os.environ.get("ACCEPT_GOLDEN") == "1":
        path.write_text(text, "utf-8")
    wanted = path.read_text("utf-8") if path.exists() else ""
    told = difflib.unified_diff(
        wanted.splitlines(keepends=True), text.splitlines(keepends=True), f"golden/{name}", "printed"
    )
    assert text == wanted, "".join(told) or f"golden/{name} is missing"
