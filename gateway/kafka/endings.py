"""Why a task ended: an orderly end, an error, or a cancellation that nobody asked for.

Knows tasks. Must not know what they do. A library's own future that is cancelled inside a task ends the task as if we
had cancelled it, without a word; whoever waits for it then waits for ever, in a process that looks alive.
"""

from __future__ import annotations

import asyncio
from typing import Any


class BrokenOffError(Exception):
    """A task was ended from within by a cancellation that nobody asked for."""

    def __init__(self, task: asyncio.Task[Any]) -> None:
        super().__init__(f"{task.get_name()}: broken off from within. The next start goes on from what is committed.")


def failure_of(task: asyncio.Task[Any]) -> BaseException | None:
    """Why a task that is done did not end well; None if it did, or was cancelled by someone."""
    if not task.cancelled():
        return task.exception()
    return None if task.cancelling() else BrokenOffError(task)
