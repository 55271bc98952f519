"""One answer on its way to the client, and the connection it goes through.

Knows how an answer becomes bytes on the wire and how a connection ends; must not know why.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import web

from gateway.sandbox.genie.problems import Refusal

JSON = "application/json"
PROBLEM = "application/problem+json"

_LOOK_EVERY_S = 0.1  # at whether a client that waits in vain has given up


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent: signed by GeNiE, or as a stranger on the way would answer."""

    status: int
    content: bytes
    media_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    signed: bool = True

    @classmethod
    def refusing(cls, refusal: Refusal, headers: Mapping[str, str] | None = None) -> "Answer":
        rule = refusal.rule
        return cls(rule.status, rule.content(refusal.detail), PROBLEM, headers or {})


class ConnectionCut(Exception):  # noqa: N818 - what happened, not what went wrong
    """The connection is gone; there is nobody to answer."""


class Wire:
    """The connection of one request, as far as a fault may touch it."""

    def __init__(self, request: web.BaseRequest) -> None:
        self._request = request

    def cut(self) -> ConnectionCut:
        """End the connection without a word (raise what this returns)."""
        if self._request.transport is not None:
            self._request.transport.abort()
        return ConnectionCut()

    async def hang(self, seconds: float) -> ConnectionCut:
        """Stay silent until the client gives up, at most `seconds`, then end the connection."""
        until = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < until:
            if self._request.transport is None or self._request.transport.is_closing():
                break
            await asyncio.sleep(_LOOK_EVERY_S)
        return self.cut()
