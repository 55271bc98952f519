"""Standard output, as a command's answer goes to it: what becomes of one that can't be written.

Knows that a full disk is told apart from a reader that has read enough. Must not know what is printed.
"""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

READER_GONE = 141  # as a shell tells of what SIGPIPE ended: 128 + 13
STDOUT = 1  # its file descriptor


class OutputError(OSError):
    """What was printed did not arrive. It has no errno, so that typer does not take it for its own to end with 1."""

    def __init__(self, cause: OSError) -> None:
        self.reader_is_gone = isinstance(cause, BrokenPipeError)
        super().__init__(f"standard output can't be written: {os.strerror(cause.errno or 0)}")


class _Output(io.FileIO):
    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            raise OutputError(error) from None


def watch() -> None:
    """From now on what can't be printed raises OutputError, whoever prints it. What is closed or captured stays."""
    old = sys.stdout
    if old is not sys.__stdout__ or old is None:
        return
    buffered = io.BufferedWriter(_Output(STDOUT, "w", closefd=False))
    sys.stdout = io.TextIOWrapper(buffered, old.encoding, old.errors, line_buffering=bool(old.line_buffering))


def give_up() -> None:
    """Drop what is still to be printed: Python would try again at its end, and complain again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), STDOUT)
