"""Tells a person that something takes long; knows a terminal from a log, and nothing of what takes long."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol, TextIO


class Progress(Protocol):
    """Where the parts that take long report."""

    def say(self, text: str) -> None:
        """Tell one thing that happened."""

    def count(self, text: str, total: int) -> AbstractContextManager[Callable[[], None]]:
        """Count up to `total`; the context gives the function that counts one (from any thread)."""


def on_stderr() -> Progress:
    """A bar on a terminal, lines anywhere else."""
    return Bar() if sys.stderr.isatty() else Lines(sys.stderr)


class Lines:
    """Plain lines: the beginning, each tenth part, the end."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def say(self, text: str) -> None:
        print(text, file=self._out, flush=True)

    @contextlib.contextmanager
    def count(self, text: str, total: int) -> Iterator[Callable[[], None]]:
        self.say(f"{text}: {total} files")
        done = 0

        def one_more() -> None:
            nonlocal done
            done += 1
            if done * 10 // total > (done - 1) * 10 // total:
                self.say(f"  {done} of {total}")

        yield one_more


class Bar:
    """A bar on the terminal."""

    def say(self, text: str) -> None:
        from rich.console import Console

        Console(stderr=True).print(text, markup=False, highlight=False)

    @contextlib.contextmanager
    def count(self, text: str, total: int) -> Iterator[Callable[[], None]]:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as RichProgress

        self.say(text)
        columns = (
            TextColumn(" "),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("files"),
            TimeElapsedColumn(),
        )
        with RichProgress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task("", total=total)
            yield lambda: bar.advance(task)
