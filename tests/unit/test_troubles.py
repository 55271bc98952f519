"""What each error of Kafka means: the table is whole, and says the same as the client library where that has a view."""

import ssl
from collections.abc import Iterator

import pytest
from aiokafka import errors

from gateway.kafka.troubles import TROUBLES, PassingError, Trouble, raise_for, remedy, trouble_of


def classes(parent: type[Exception]) -> Iterator[type[Exception]]:
    """The class and all below it that aiokafka defines."""
    if parent.__module__ == errors.__name__:
        yield parent
    for child in parent.__subclasses__():
        yield from classes(child)


def test_every_error_has_a_meaning() -> None:
    """No error of aiokafka is left to a rule of thumb: a new release that adds one turns this red."""
    missing = {kind.__name__ for kind in classes(errors.KafkaError)} - {kind.__name__ for kind in TROUBLES}
    assert not missing


def test_what_aiokafka_asks_again_is_asked_again() -> None:
    """Nothing that the client library calls retriable ends a call here."""
    retriable = {kind for kind in classes(errors.KafkaError) if kind.retriable}
    assert {kind for kind in retriable if TROUBLES[kind] is not Trouble.PASSING} == set()


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (ConnectionResetError(), Trouble.PASSING),
        (ssl.SSLCertVerificationError(), Trouble.REFUSED),
        (errors.GroupCoordinatorNotAvailableError(), Trouble.PASSING),
        (errors.TopicAuthorizationFailedError(), Trouble.REFUSED),
        (errors.ProducerFenced(), Trouble.FENCED),
        (errors.OffsetOutOfRangeError({}), Trouble.OUT_OF_LOG),
        (errors.CorruptRecordException(), Trouble.UNEXPECTED),
        (AssertionError(), Trouble.UNEXPECTED),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value.name,
)
def test_meaning(error: Exception, trouble: Trouble) -> None:
    """The meaning is that of the nearest class in the table."""
    assert trouble_of(error) is trouble


@pytest.mark.parametrize("code", [74, 75, 78, 88])
def test_a_code_that_aiokafka_does_not_know(code: int) -> None:
    """A leader that moves, or offsets that are not final yet, are asked for again."""
    with pytest.raises(PassingError) as raised:
        raise_for(code)
    assert trouble_of(raised.value) is Trouble.PASSING


def test_codes() -> None:
    """A code is raised as its error, 0 is none, and what nobody knows is not asked again."""
    raise_for(0)
    with pytest.raises(errors.NotCoordinatorForGroupError):
        raise_for(16)
    with pytest.raises(errors.UnknownError) as raised:
        raise_for(9999)
    assert trouble_of(raised.value) is Trouble.UNEXPECTED


def test_every_refusal_has_a_remedy() -> None:
    """Whoever is refused is told what to look at."""
    assert all(remedy(kind()) for kind, trouble in TROUBLES.items() if trouble is Trouble.REFUSED)
