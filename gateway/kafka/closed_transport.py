"""A write to a connection that is already closed is a lost connection, on every event loop.

aiokafka expects an OSError there; uvloop raises RuntimeError instead (aiokafka issue 1038). It would pass through
every retry and kill aiokafka's background tasks: clients then hang, and a broker's restart ends the process.
Knows aiokafka's connection. Must not know who uses it.
"""

# aiokafka's connection is untyped:
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError

_send = AIOKafkaConnection.send


def _send_or_lost(self: AIOKafkaConnection, request: Any, expect_response: bool = True) -> Awaitable[Any]:
    try:
        sending: Awaitable[Any] = _send(self, request, expect_response)
    except RuntimeError as error:
        self.close(reason=CloseReason.CONNECTION_BROKEN)
        raise KafkaConnectionError("the connection is closed") from error
    return sending


def install() -> None:
    """Make it so for every connection of this process; once is enough, more does no harm."""
    AIOKafkaConnection.send = _send_or_lost  # type: ignore[method-assign]  # the library has no hook for it
