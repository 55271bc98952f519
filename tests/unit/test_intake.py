"""What is taken from a raw record beside its event."""

from types import SimpleNamespace

import pytest

from gateway.kafka.intake import producer_of


@pytest.mark.parametrize(
    ("header", "producer"),
    [
        (b"billing", "billing"),
        (b"billing-eu.2", "billing-eu.2"),
        (b"09012345678", None),
        (b"090-1234-5678", None),
        (b"taro@example.jp", None),
        ("\u5c71\u7530".encode(), None),
        (b"x" * 65, None),
        (b"", None),
        (None, None),
    ],
)
def test_a_producer_is_named_only_by_a_name(header: bytes | None, producer: str | None) -> None:
    """What could be a person's telephone number, address or name is not passed on to labels and parked records."""
    raw = SimpleNamespace(headers=(("trace", b"1"), ("producer", header)))
    assert producer_of(raw) == producer
