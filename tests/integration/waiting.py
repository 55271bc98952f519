"""Waits for a condition, with a bound: the tests' only way to wait."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

POLL_SECONDS = 0.02
MARKER_S = 10
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


async def log_ends_at(kafka: str, topic: str, partition: int, offset: int) -> None:
    """Wait for the marker of a transaction: the broker writes it after it has answered, and others may write first."""
    place = TopicPartition(topic, partition)
    async with AIOKafkaConsumer(bootstrap_servers=kafka) as consumer:

        async def reached() -> bool:
            return (await consumer.end_offsets([place]))[place] == offset

        await until(reached, MARKER_S, f"the end of {topic}:{partition} at {offset}")
