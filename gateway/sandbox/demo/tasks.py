"""Waits, and runs things beside each other. Knows asyncio only."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

POLL_SECONDS = 0.02

T = TypeVar("T")


async def alongside(work: Coroutine[Any, Any, T], *beside: Coroutine[Any, Any, Any]) -> T:
    """The result of `work`; what runs beside it ends with it, and ends it by failing."""
    main = asyncio.create_task(work)
    others = [asyncio.create_task(other) for other in beside]
    running: set[asyncio.Task[Any]] = {main, *others}
    try:
        while not main.done():
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {main}:
                task.result()
        return main.result()
    finally:
        for task in (main, *others):
            task.cancel()
        await asyncio.gather(main, *others, return_exceptions=True)


async def until(condition: Callable[[], bool], seconds: float | None = None) -> bool:
    """Wait for a condition of another process, which can only be polled; False when `seconds` are over first.
    Without `seconds` somebody else bounds the wait."""
    give_up_at = None if seconds is None else time.monotonic() + seconds
    while not condition():
        if give_up_at is not None and time.monotonic() > give_up_at:
            return False
        await asyncio.sleep(POLL_SECONDS)
    return True
