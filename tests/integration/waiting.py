"""Waits for a condition, with a bound: the tests' only way to wait."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar

POLL_SECONDS = 0.02
T = TypeVar("T")


async def until(predicate: Callable[[], T | Awaitable[T]], timeout: float, what: str) -> T:
    """Return the first true value of `predicate` (plain or async); fail, naming `what`, when time is up."""
    try:
        async with asyncio.timeout(timeout):
            while True:
                value = predicate()
                if inspect.isawaitable(value):
                    value = await value
                if value:
                    return value
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        raise AssertionError(f"not within {timeout:g} s: {what}") from None
