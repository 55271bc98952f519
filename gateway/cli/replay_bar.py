"""How far a plan is, while it goes on: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from gateway.cli.desk_options import TELL_EVERY_S

if TYPE_CHECKING:
    from rich.progress import Progress

    from gateway.oncall.desk import Desk


@dataclass(frozen=True, slots=True)
class Step:
    """How many are done, and what is to be said beside it."""

    done: int
    text: str


class Bar:
    """`with` it, show steps; only standard error is written to. What the desk would tell of its reading is silenced."""

    def __init__(self, desk: Desk, whole: int, what: str) -> None:
        self._desk = desk
        self._whole = whole
        self._what = what
        self._told_at = time.monotonic()
        self._progress: Progress | None = None

    def __enter__(self) -> Self:
        self._desk.tell = _nothing
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

            columns = (TextColumn(self._what), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
            self._progress = Progress(*columns, console=Console(stderr=True))
            self._progress.add_task("", total=self._whole)
            self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def show(self, step: Step) -> None:
        """So far it is."""
        if self._progress is not None:
            self._progress.update(self._progress.task_ids[0], completed=step.done, description=step.text)
        elif time.monotonic() - self._told_at >= TELL_EVERY_S:
            self._told_at = time.monotonic()
            print(f"{step.done:,} of {self._whole:,} {self._what}, {step.text}", file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        """A last word, behind the bar."""
        self.__exit__(None, None, None)
        print(text, file=sys.stderr, flush=True)


def _nothing(topic: str, read: int, whole: int) -> None:
    """The bar says it."""
