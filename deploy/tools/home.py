"""`.tools/`: one folder for each tool, and a mark in it of the pins it was installed from. Knows no tool by name.

A folder without the mark, or with the mark of other pins, counts as absent and is made anew.
"""

import fcntl
import hashlib
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

ROOT = Path(__file__).parents[2]
HOME = ROOT / ".tools"
PINS = Path(__file__).parent / "pins"
MARK = "installed-from"

# Compiling helm on two busy cores took 11 minutes once; whoever waits longer waits for something that is stuck.
WAIT_S = 1_200.0
POLL_S = 0.2


class ToolMissing(Exception):  # noqa: N818 - it names what happened, and nothing went wrong in here
    """This machine has not got the tool; the text says why and what to do."""


class Recipe(Protocol):
    """How to get exactly the pinned content into an empty folder; raises ToolMissing if it can't be had."""

    def __call__(self, pins: Path, into: Path) -> None: ...


@dataclass(frozen=True, slots=True)
class Tool:
    """`name` is its folder in pins and in .tools; `file` is what path_of gives, relative to the latter."""

    name: str
    recipe: Recipe
    file: str

    @property
    def folder(self) -> Path:
        return HOME / self.name

    def mark(self) -> str:
        """What changes with a pin, with the way of installing, and with where the checkout is (no venv moves)."""
        digest = hashlib.sha256(f"{HOME}\n{self.recipe!r}".encode())
        for pin in sorted((PINS / self.name).glob("*")):
            digest.update(pin.name.encode() + pin.read_bytes())
        return digest.hexdigest()


def at_home(tool: Tool) -> Path:
    mark = tool.folder / MARK
    if not mark.exists():
        raise ToolMissing(f"{tool.name} is not installed: make tools (or: python -m deploy.tools {tool.name})")
    if mark.read_text() != tool.mark():
        raise ToolMissing(f"{tool.name} is installed from other pins than this checkout's: make tools")
    return tool.folder / tool.file


def install(tool: Tool) -> bool:
    """Whether anything had to be done."""
    with _alone(tool):
        try:
            at_home(tool)
        except ToolMissing:
            shutil.rmtree(tool.folder, ignore_errors=True)
            tool.folder.mkdir(parents=True)
            tool.recipe(PINS / tool.name, tool.folder)
            if not (tool.folder / tool.file).exists():
                raise ToolMissing(f"{tool.name} was installed, but {tool.file} is not in it") from None
            (tool.folder / MARK).write_text(tool.mark())
            return True
    return False


@contextmanager
def _alone(tool: Tool) -> Iterator[None]:
    """Test workers and `make tools` may want the same tool at the same time: one installs, the others wait."""
    HOME.mkdir(exist_ok=True)
    with (HOME / f"{tool.name}.lock").open("w") as lock:
        until = time.monotonic() + WAIT_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise ToolMissing(
                        f"another process has been installing {tool.name} for {WAIT_S:.0f} s: end it, then make tools"
                    ) from None
                time.sleep(POLL_S)
        yield
