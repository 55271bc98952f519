"""How this process reaches Kafka: address, credentials, the client library, the bound of each call, and refusals.

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
from aiokafka import AIOKafkaConsumer, codec
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import create_conn
from aiokafka.errors import KafkaConnectionError, KafkaError
from aiokafka.record import default_records, memory_records

from gateway.kafka.endings import failure_of
from gateway.kafka.troubles import Trouble, remedy, trouble_of

KAFKA_START_TIMEOUT_S = 15.0  # to connect a client
KAFKA_CALL_TIMEOUT_S = 10.0  # one call, with its retries
KAFKA_CLOSE_TIMEOUT_S = 2.0
REQUEST_TIMEOUT_MS = 8_000  # one request on the wire; below the bound of the call that it is part of
METADATA_MAX_AGE_MS = 60_000
RETRY_BACKOFF_S = 0.1

# strict_producer.py, closed_transport.py and others of this room use the insides of exactly this series.
SUPPORTED_AIOKAFKA = "0.14."

_NOT_OF_A_CONNECTION = ("bootstrap_servers", "metadata_max_age_ms")

T = TypeVar("T")


class KafkaUnavailableError(Exception):
    """Kafka gave no usable answer within the bound of the call."""

    def __init__(self, what: str, last: str) -> None:
        super().__init__(f"Kafka: {what}: {last}. Check that the brokers are up and reachable.")
        self.what = what


class KafkaRefusedError(KafkaUnavailableError):
    """Kafka knows us and says no, or we do not know it: waiting does not help."""

    def __init__(self, what: str, refusal: str) -> None:
        Exception.__init__(self, f"Kafka: {what}: {refusal}.")
        self.what = what


_HUNG_UP = (
    "it closes the connection, as a broker does that is starting or that wants TLS or a client certificate: check "
    "kafka.security_protocol, kafka.client_cert_file and the port"
)


class ClientLibraryError(Exception):
    """The installed aiokafka can't be used; the text says what to install."""


class RenewableContext(ssl.SSLContext):
    """A TLS context that clients may keep for ever, although what it trusts and proves changes."""

    _newer: ssl.SSLContext | None = None

    def renew(self, newer: ssl.SSLContext) -> None:
        """New connections use this one from now on."""
        self._newer = newer

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """Begin a connection, as asyncio does."""
        newer = self._newer
        return super().wrap_bio(*args, **kwargs) if newer is None else newer.wrap_bio(*args, **kwargs)


@dataclass(frozen=True, slots=True)
class KafkaConnection:
    """Where Kafka is and how to log in there."""

    bootstrap: str
    client_id: str
    security_protocol: str = "PLAINTEXT"
    ssl_context: RenewableContext | None = None
    sasl_mechanism: str | None = None
    sasl_username: str | None = None
    sasl_password: str | None = field(default=None, repr=False)

    def renew(self, newer: KafkaConnection) -> None:
        """Let new connections of all clients trust and prove what those of the newer one do."""
        if self.ssl_context is not None and newer.ssl_context is not None:
            self.ssl_context.renew(newer.ssl_context)

    def kwargs(self) -> dict[str, Any]:
        """What every aiokafka client takes."""
        return {
            "bootstrap_servers": self.bootstrap,
            "client_id": self.client_id,
            "security_protocol": self.security_protocol,
            "request_timeout_ms": REQUEST_TIMEOUT_MS,
            "metadata_max_age_ms": METADATA_MAX_AGE_MS,
            "ssl_context": self.ssl_context,
            "sasl_mechanism": self.sasl_mechanism,
            "sasl_plain_username": self.sasl_username,
            "sasl_plain_password": self.sasl_password,
        }

    @asynccontextmanager
    async def client(self) -> AsyncIterator[AIOKafkaClient]:
        """A bare client, without long polls: its requests never wait behind a fetch."""
        client = AIOKafkaClient(**self.kwargs())
        try:
            await self.start(client.bootstrap())
            yield client
        finally:
            await close_quietly(client.close())

    async def start(self, starting: Awaitable[object]) -> None:
        """Start a client; raises KafkaRefusedError or KafkaUnavailableError.

        aiokafka says the same of brokers that are down and of a refused login, so a refusal is looked for.
        """
        what = f"connecting to {self.bootstrap}"
        try:
            await within(KAFKA_START_TIMEOUT_S, what, starting)
        except KafkaRefusedError:
            raise
        except KafkaUnavailableError:
            for broker in self.bootstrap.split(","):
                await within(KAFKA_CALL_TIMEOUT_S, f"connecting to {broker}", self._knock(broker))
            raise

    async def _knock(self, broker: str) -> None:
        """Connect to one broker as aiokafka's clients do, and let go."""
        host, _, port = broker.rpartition(":")
        login = {name: value for name, value in self.kwargs().items() if name not in _NOT_OF_A_CONNECTION}
        try:
            connection = await create_conn(host.strip("[]"), int(port), **login)
        except (TimeoutError, ConnectionRefusedError):
            return  # away: nothing to add
        except KafkaConnectionError:
            raise KafkaUnavailableError(f"connecting to {broker}", _HUNG_UP) from None
        connection.close()


def check_client_library() -> None:
    """Raise ClientLibraryError unless aiokafka is the series whose insides we use, compiled, with all its codecs."""
    if not aiokafka.__version__.startswith(SUPPORTED_AIOKAFKA):
        raise ClientLibraryError(
            f"aiokafka {aiokafka.__version__} is installed, {SUPPORTED_AIOKAFKA}x is needed: "
            "gateway/kafka/strict_producer.py uses its insides. Install from requirements.lock."
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
        raise unavailable(what, error) from error


def unavailable(what: str, error: Exception) -> KafkaUnavailableError:
    """What an error that ends a call is for whoever called."""
    name = type(error).__name__
    if trouble_of(error) is Trouble.REFUSED:
        about = f" ({error.args[0]})" if isinstance(error, KafkaError) and error.args else ""
        return KafkaRefusedError(what, f"{name}{about}: {remedy(error)}")
    return KafkaUnavailableError(what, name)


async def retried(seconds: float, what: str, attempt: Callable[[], Awaitable[T]]) -> T:
    """The first result of `attempt`, again while its trouble may pass, or KafkaUnavailableError."""
    last = f"no answer within {seconds:g} s"
    try:
        async with asyncio.timeout(seconds):
            while True:
                try:
                    return await attempt()
                except (KafkaError, OSError) as error:
                    last = type(error).__name__
                    if trouble_of(error) is not Trouble.PASSING:
                        raise unavailable(what, error) from error
                await asyncio.sleep(RETRY_BACKOFF_S)
    except TimeoutError:
        raise KafkaUnavailableError(what, last) from None


def check_reading(consumer: AIOKafkaConsumer) -> None:
    """Raise KafkaUnavailableError if the consumer reads no more: aiokafka only logs what ended its fetcher, and gives
    no records from then on, as if there were none."""
    fetcher: Any = consumer._fetcher
    fetching: asyncio.Task[None] = fetcher.error_future
    if fetching.done():
        failure = failure_of(fetching)
        raise KafkaUnavailableError(
            "reading", f"the client stopped: {type(failure).__name__ if failure else 'its end'}"
        )


async def close_quietly(closing: Awaitable[object]) -> bool:
    """Close within a bound; whether it is closed. What is left open ends with the process."""
    try:
        async with asyncio.timeout(KAFKA_CLOSE_TIMEOUT_S):
            await closing
    except (TimeoutError, KafkaError, OSError):
        return False
    except asyncio.CancelledError:
        # aiokafka's consumer ends its stop() so, half-way, when a fetch of it has just failed: nobody cancelled us.
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        return False
    return True


async def stop_consumer(consumer: AIOKafkaConsumer) -> None:
    """Stop it, and close its connections even if its own stop() ends half-way."""
    if not await close_quietly(consumer.stop()):
        await close_quietly(consumer._client.close())
