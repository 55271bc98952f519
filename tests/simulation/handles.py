"""What the virtual loop runs and hands out: handles that are light, tasks and futures that are hashed by a number.

Knows asyncio's base classes. Must not know when anything runs.
"""

import asyncio
import contextvars
from typing import Any


class Handle(asyncio.Handle):
    """Ready; the base class would look for debug mode each time."""

    __slots__ = ()
    rank = 0

    def __init__(self, callback: Any, args: Any, loop: Any, context: Any) -> None:
        self._context = contextvars.copy_context() if context is None else context
        self._callback = callback
        self._args = args
        self._loop = loop
        self._cancelled = False
        self._source_traceback = self._repr = None

    def cancel(self) -> None:
        self._cancelled = True
        self._callback = self._args = None


class Arrival(Handle):
    """What the network brings."""

    __slots__ = ()
    rank = 1


class Timer(Handle):
    """Due at a time."""

    __slots__ = ("_when",)
    rank = 2

    def when(self) -> float:
        return self._when


class Task(asyncio.Task):
    """A task that is hashed by its number, and knows its host."""

    __slots__ = ("host", "number")

    def __init__(self, number: int, host: Any, coro: Any, **named: Any) -> None:
        self.number, self.host = number, host  # first: the base class puts it into a set
        super().__init__(coro, **named)

    def __hash__(self) -> int:
        return self.number


class Future(asyncio.Future):
    """A future that is hashed by its number."""

    __slots__ = ("number",)

    def __init__(self, number: int, loop: Any) -> None:
        self.number = number
        super().__init__(loop=loop)

    def __hash__(self) -> int:
        return self.number
