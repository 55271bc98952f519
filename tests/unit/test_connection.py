"""The check of the client library, the bounds of calls, and what a connection hands to clients."""

import asyncio
import ssl
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import codec
from aiokafka.errors import (
    AuthenticationFailedError,
    GroupLoadInProgressError,
    KafkaConnectionError,
    KafkaError,
    TopicAuthorizationFailedError,
)

from gateway.kafka import connection
from gateway.kafka.connection import (
    RETRY_BACKOFF_S,
    ClientLibraryError,
    KafkaConnection,
    KafkaRefusedError,
    KafkaUnavailableError,
    RenewableContext,
)

REAL_SLEEP = asyncio.sleep


def test_the_installed_library_passes() -> None:
    """What the lock file pins is the compiled series with all codecs."""
    connection.check_client_library()


def test_another_series_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another aiokafka would make our overrides a guess."""
    monkeypatch.setattr(connection.aiokafka, "__version__", "0.15.0")
    with pytest.raises(ClientLibraryError, match=r"0\.15\.0"):
        connection.check_client_library()


def test_the_slow_parser_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its compiled extension the library is refused with the remedy."""
    monkeypatch.setattr(connection.memory_records, "MemoryRecords", connection.memory_records._MemoryRecordsPy)
    with pytest.raises(ClientLibraryError, match="binary wheel"):
        connection.check_client_library()


def test_a_missing_codec_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A codec that is missing is named."""
    monkeypatch.setattr(codec, "has_zstd", lambda: False)
    with pytest.raises(ClientLibraryError, match="zstd"):
        connection.check_client_library()


def test_the_password_stays_out_of_the_repr() -> None:
    """Printing a connection does not print its secret."""
    made = KafkaConnection("b:1", "c", "SASL_PLAINTEXT", None, "SCRAM-SHA-512", "user", "hidden")
    assert "hidden" not in repr(made)
    assert made.kwargs()["sasl_plain_password"] == "hidden"


async def test_a_call_is_retried_while_kafka_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passing errors are asked again after a pause, and the answer is handed back."""
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        await REAL_SLEEP(0)

    monkeypatch.setattr(connection.asyncio, "sleep", pause)
    answers = [GroupLoadInProgressError(), GroupLoadInProgressError(), 7]

    async def attempt() -> int:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert await connection.retried(5, "asking", attempt) == 7
    assert pauses == [RETRY_BACKOFF_S] * 2


async def test_a_lasting_error_ends_the_retries() -> None:
    """What will not pass is raised at once."""

    async def attempt() -> int:
        raise TopicAuthorizationFailedError

    with pytest.raises(KafkaUnavailableError, match="TopicAuthorizationFailedError"):
        await connection.retried(60, "asking", attempt)


async def test_a_silent_broker_ends_the_call() -> None:
    """No answer within the bound is an error that says what was asked."""
    with pytest.raises(KafkaUnavailableError, match="asking"):
        await connection.retried(0.01, "asking", asyncio.Event().wait)


# --- one call ---------------------------------------------------------------------------------------------


async def fails(error: BaseException) -> None:
    raise error


async def test_a_call_without_an_answer_is_unavailable() -> None:
    """Within its bound, and it says what was asked."""
    with pytest.raises(KafkaUnavailableError, match="asking: no answer within"):
        await connection.within(0.01, "asking", asyncio.Event().wait())


@pytest.mark.parametrize(
    ("error", "is_refused", "text"),
    [
        (AuthenticationFailedError("bad password"), True, "AuthenticationFailedError (bad password): "),
        (KafkaError("what a broker said"), False, "asking: KafkaError. Check"),
        (ConnectionResetError(), False, "asking: ConnectionResetError. Check"),
        (ssl.SSLError("what a stranger's certificate says"), True, "asking: SSLError: "),
        (AuthenticationFailedError(), True, "asking: AuthenticationFailedError: "),
    ],
)
async def test_a_call_that_fails_says_whether_waiting_helps(error: Exception, is_refused: bool, text: str) -> None:
    """Who is refused must change something."""
    with pytest.raises(KafkaUnavailableError) as failed:
        await connection.within(5, "asking", fails(error))
    assert isinstance(failed.value, KafkaRefusedError) is is_refused
    assert text in str(failed.value)


@pytest.mark.parametrize("closing", [KafkaError(), OSError(), TimeoutError()])
async def test_closing_hinders_nobody(closing: Exception) -> None:
    """What is left open ends with the process."""
    await connection.close_quietly(fails(closing))


async def test_a_close_that_ends_as_if_cancelled_cancels_nobody() -> None:
    """Only who was cancelled is; aiokafka's consumer ends so when a fetch has just failed."""

    async def as_if_cancelled() -> None:
        raise asyncio.CancelledError

    assert not await connection.close_quietly(as_if_cancelled())
    closing = asyncio.create_task(connection.close_quietly(asyncio.Event().wait()))
    await REAL_SLEEP(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing


async def test_closing_is_waited_for_within_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has its time, and no more."""
    monkeypatch.setattr(connection, "KAFKA_CLOSE_TIMEOUT_S", 0.01)
    closed: list[bool] = []

    async def close() -> None:
        await REAL_SLEEP(0)
        closed.append(True)

    await connection.close_quietly(close())
    assert closed == [True]
    async with asyncio.timeout(2):
        await connection.close_quietly(asyncio.Event().wait())


# --- a client ---------------------------------------------------------------------------------------------


class Brokers:
    """Two brokers, each with what a client that knocks there meets; and a client that can't start."""

    def __init__(self) -> None:
        self.knocked: list[tuple[str, int]] = []
        self.meets: dict[str, Exception | None] = {"one": None, "two": None}
        self.start: Exception | None = None
        self.closed = 0

    async def create_conn(self, host: str, port: int, **login: Any) -> Any:
        assert "bootstrap_servers" not in login
        self.knocked.append((host, port))
        if (met := self.meets[host]) is not None:
            raise met
        return SimpleNamespace(close=lambda: self.knocked.append((host, 0)))

    async def bootstrap(self) -> None:
        if self.start is not None:
            raise self.start

    async def close(self) -> None:
        await REAL_SLEEP(0)
        self.closed += 1


@pytest.fixture
def brokers(monkeypatch: pytest.MonkeyPatch) -> Brokers:
    made = Brokers()
    monkeypatch.setattr(connection, "create_conn", made.create_conn)
    monkeypatch.setattr(connection, "AIOKafkaClient", lambda **_: made)
    return made


TWO = KafkaConnection("one:1,[two]:2", "test")


async def test_a_client_is_closed_whatever_happens(brokers: Brokers) -> None:
    """Also if what it was made for fails."""
    with pytest.raises(ZeroDivisionError):
        async with TWO.client():
            raise ZeroDivisionError
    assert (brokers.closed, brokers.knocked) == (1, [])


@pytest.mark.parametrize(
    ("meets", "is_refused", "text"),
    [
        ([None, ConnectionRefusedError()], False, "connecting to one:1,[two]:2: KafkaConnectionError"),
        ([TimeoutError(), AuthenticationFailedError("no")], True, "connecting to [two]:2: AuthenticationFailedError"),
        ([KafkaConnectionError()], False, "connecting to one:1: it closes the connection"),
    ],
)
async def test_why_a_client_does_not_start_is_looked_for(
    brokers: Brokers, meets: list[Exception | None], is_refused: bool, text: str
) -> None:
    """aiokafka says the same of brokers that are down, of a refused login, and of one that hangs up."""
    brokers.start = KafkaConnectionError()
    brokers.meets = dict(zip(("one", "two"), meets, strict=False))
    with pytest.raises(KafkaUnavailableError) as failed:
        async with TWO.client():
            pytest.fail("it did not start")
    assert text in str(failed.value)
    assert isinstance(failed.value, KafkaRefusedError) is is_refused
    assert brokers.closed == 1


async def test_a_refusal_is_told_without_looking(brokers: Brokers) -> None:
    """There is nothing more to find out."""
    brokers.start = AuthenticationFailedError("no")
    with pytest.raises(KafkaRefusedError):
        async with TWO.client():
            pytest.fail("it did not start")
    assert brokers.knocked == []


def test_only_tls_is_renewed() -> None:
    """A connection without has nothing to renew, whichever of the two it is."""
    plain = KafkaConnection("one:1", "test")
    secure = KafkaConnection("one:1", "test", "SSL", RenewableContext(ssl.PROTOCOL_TLS_CLIENT))
    newer = KafkaConnection("one:1", "test", "SSL", RenewableContext(ssl.PROTOCOL_TLS_CLIENT))
    plain.renew(newer)
    secure.renew(newer)
    secure.renew(plain)
    assert secure.ssl_context is not None
    assert secure.ssl_context._newer is newer.ssl_context


@pytest.mark.parametrize("error", [None, KafkaError(), asyncio.CancelledError()])
async def test_a_consumer_whose_stop_ends_half_way_leaves_no_connection_open(error: BaseException | None) -> None:
    """One that stopped in order has closed them itself."""
    closed: list[bool] = []

    async def stop() -> None:
        if error is not None:
            raise error

    async def close() -> None:
        closed.append(True)

    consumer: Any = SimpleNamespace(stop=stop, _client=SimpleNamespace(close=close))
    await connection.stop_consumer(consumer)
    assert closed == ([] if error is None else [True])
