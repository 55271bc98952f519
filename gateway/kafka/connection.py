"""How this process reaches Kafka: address, credentials, the client library, and the bound of each call.

Knows aiokafka's clients. Must not know topics, lanes or records.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import aiokafka
from aiokafka import codec
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from aiokafka.record import default_records, memory_records

KAFKA_START_TIMEOUT_S = 15.0  # to connect a client
KAFKA_CALL_TIMEOUT_S = 10.0  # one call, with its retries
KAFKA_CLOSE_TIMEOUT_S = 2.0
REQUEST_TIMEOUT_MS = 8_000  # one request on the wire; below the bound of the call that it is part of
METADATA_MAX_AGE_MS = 60_000
RETRY_BACKOFF_S = 0.1

# kafka/strict_producer.py overrides internals of exactly this series.
SUPPORTED_AIOKAFKA = "0.14."

T = TypeVar("T")


class KafkaUnavailableError(Exception):
    """Kafka gave no usable answer within the bound of the call."""

    def __init__(self, what: str, last: str) -> None:
        super().__init__(f"Kafka: {what}: {last}. Check that the brokers are up and reachable.")
        self.what = what


class ClientLibraryError(Exception):
    """The installed aiokafka can't be used; the text says what to install."""


@dataclass(frozen=True, slots=True)
class KafkaConnection:
    """Where Kafka is and how to log in there."""

    bootstrap: str
    client_id: str
    security_protocol: str = "PLAINTEXT"
    ssl_context: ssl.SSLContext | None = None
    sasl_mechanism: str | None = None
    sasl_username: str | None = None
    sasl_password: str | None = field(default=None, repr=False)

    def kwargs(self) -> dict[str, Any]:
        """What every aiokafka client takes."""
        given: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap,
            "client_id": self.client_id,
            "security_protocol": self.security_protocol,
            "request_timeout_ms": REQUEST_TIMEOUT_MS,
            "metadata_max_age_ms": METADATA_MAX_AGE_MS,
        }
        if self.ssl_context is not None:
            given["ssl_context"] = self.ssl_context
        if self.sasl_mechanism is not None:
            given["sasl_mechanism"] = self.sasl_mechanism
            given["sasl_plain_username"] = self.sasl_username
            given["sasl_plain_password"] = self.sasl_password
        return given

    @asynccontextmanager
    async def client(self) -> AsyncIterator[AIOKafkaClient]:
        """A bare client, without long polls: its requests never wait behind a fetch."""
        client = AIOKafkaClient(**self.kwargs())
        try:
            await within(KAFKA_START_TIMEOUT_S, f"connecting to {self.bootstrap}", client.bootstrap())
            yield client
        finally:
            await close_quietly(client.close())


def check_client_library() -> None:
    """Raise ClientLibraryError unless aiokafka is the series we override, compiled, with all its codecs."""
    if not aiokafka.__version__.startswith(SUPPORTED_AIOKAFKA):
        raise ClientLibraryError(
            f"aiokafka {aiokafka.__version__} is installed, {SUPPORTED_AIOKAFKA}x is needed: "
            "gateway/kafka/strict_producer.py overrides its internals. Install from requirements.lock."
        )
    compiled = (memory_records.MemoryRecords, default_records.DefaultRecordBatchBuilder)
    if not all("_crecords" in part.__module__ for part in compiled):
        raise ClientLibraryError(
            "aiokafka runs without its compiled extension, which is 30 times slower: install a binary wheel "
            "of aiokafka and unset AIOKAFKA_NO_EXTENSIONS."
        )
    missing = [name for name in ("gzip", "snappy", "lz4", "zstd") if not getattr(codec, f"has_{name}")()]
    if missing:
        raise ClientLibraryError(
            f"aiokafka lacks the codecs {', '.join(missing)}, so one record could stop a partition: "
            "install aiokafka[lz4,snappy,zstd]."
        )


async def within(seconds: float, what: str, call: Awaitable[T]) -> T:
    """The call's result, or KafkaUnavailableError when it fails or takes longer."""
    try:
        async with asyncio.timeout(seconds):
            return await call
    except TimeoutError:
        raise KafkaUnavailableError(what, f"no answer within {seconds:g} s") from None
    except (KafkaError, OSError) as error:
        raise KafkaUnavailableError(what, type(error).__name__) from error


async def retried(seconds: float, what: str, attempt: Callable[[], Awaitable[T]]) -> T:
    """The first result of `attempt`, again while Kafka says to retry, or KafkaUnavailableError."""
    last = f"no answer within {seconds:g} s"
    try:
        async with asyncio.timeout(seconds):
            while True:
                try:
                    return await attempt()
                except (KafkaError, OSError) as error:
                    last = type(error).__name__
                    if isinstance(error, KafkaError) and not error.retriable:
                        raise KafkaUnavailableError(what, last) from error
                await asyncio.sleep(RETRY_BACKOFF_S)
    except TimeoutError:
        raise KafkaUnavailableError(what, last) from None


async def close_quietly(closing: Awaitable[object]) -> None:
    """Close within a bound; what is left open ends with the process."""
    try:
        async with asyncio.timeout(KAFKA_CLOSE_TIMEOUT_S):
            await closing
    except (TimeoutError, KafkaError, OSError):
        return
