"""The check of the client library, the bounds of calls, and what a connection hands to clients."""

import asyncio

import pytest
from aiokafka import codec
from aiokafka.errors import GroupLoadInProgressError, TopicAuthorizationFailedError

from gateway.kafka import connection
from gateway.kafka.connection import ClientLibraryError, KafkaConnection, KafkaUnavailableError


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


async def test_a_call_is_retried_while_kafka_says_so() -> None:
    """Passing errors are asked again, and the answer is handed back."""
    answers = [GroupLoadInProgressError(), GroupLoadInProgressError(), 7]

    async def attempt() -> int:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert await connection.retried(5, "asking", attempt) == 7


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
