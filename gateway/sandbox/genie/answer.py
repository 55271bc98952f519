"""One answer on its way to the client, and the connection it goes through.

Knows how an answer becomes bytes on the wire and how a connection ends; must not know why.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

from aiohttp import web

from gateway.sandbox.genie.head import Head
from gateway.sandbox.genie.problems import Refusal

JSON = "application/json"
PROBLEM = "application/problem+json"
LOOKUPS = "/v1/provision-lookups"

_LOOK_EVERY_S = 0.05  # at whether a client that waits in vain has given up, or has read what was written
_MAX_UNREAD = 256 * 1024  # bytes written that the client has not taken yet
_MAX_UNREAD_S = 60.0  # for how long it may take none


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
    """One request as far as a fault may see it, and its connection as far as a fault may touch it."""

    def __init__(self, request: web.BaseRequest, head: Head) -> None:
        self._request = request
        self.head = head
        self.keys: Sequence[str] = ()  # of the entries of a provision, once they are read
        self.answer: Answer | None = None  # once it is known
        self.message = b""  # the whole answer, once it is signed
        self.ended = False

    @property
    def lookup(self) -> bool:
        """Whether it is a lookup."""
        return self.head.path == LOOKUPS

    @property
    def gone(self) -> bool:
        """Whether nobody is at the other end any more."""
        return self._request.transport is None or self._request.transport.is_closing()

    async def write(self, content: bytes) -> None:
        """Write bytes as they are, no faster than the client reads. Raises ConnectionCut when it has left."""
        transport = self._request.transport
        if transport is None or transport.is_closing():
            raise self.cut()
        transport.write(content)
        until = asyncio.get_running_loop().time() + _MAX_UNREAD_S
        while transport.get_write_buffer_size() > _MAX_UNREAD:
            if self.gone or asyncio.get_running_loop().time() > until:
                raise self.cut()
            await asyncio.sleep(_LOOK_EVERY_S)

    def close(self) -> ConnectionCut:
        """End the connection once the client has what was written (raise what this returns)."""
        self.ended = True
        if self._request.transport is not None:
            self._request.transport.close()
        return ConnectionCut()

    def cut(self) -> ConnectionCut:
        """End the connection without a word (raise what this returns)."""
        self.ended = True
        if self._request.transport is not None:
            self._request.transport.abort()
        return ConnectionCut()

    async def hang(self, seconds: float) -> ConnectionCut:
        """Stay silent until the client gives up, at most `seconds`, then end the connection."""
        until = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < until:
            if self.gone:
                break
            await asyncio.sleep(_LOOK_EVERY_S)
        return self.cut()


def message(status: int, headers: Mapping[str, str], content: bytes) -> bytes:
    """A whole answer as bytes."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    lines += [f"{name}: {value}" for name, value in {**headers, "Content-Length": str(len(content))}.items()]
    return "\r\n".join([*lines, "", ""]).encode() + content
