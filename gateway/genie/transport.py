"""HTTP/1.1 to GeNiE: one pool of TLS connections, on which requests are posted.

Knows sockets, TLS, the framing of messages and their bounds. Must not know signatures or JSON. It follows no redirect,
reads no proxy or certificate from the environment, keeps no cookie, sends nothing twice and undoes no compression.

Why a client of our own: of what one request costs, general clients spend the greater part on what is ruled out here
(docs/performance.md has the figures). The parsing is not ours: httptools wraps the parser of Node.js. And the two ways
to fail that mean opposite things are never mixed up: NotConnected is raised only if surely no byte of the request left.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, cast
from urllib.parse import urlsplit

import aiohappyeyeballs
import httptools

CONNECT_TIMEOUT_S = 2.0
HANDSHAKE_TIMEOUT_S = 10.0
NEXT_ADDRESS_S = 0.25  # a host's next address is tried while the one before does not answer (RFC 8305)
KEEPALIVE_S = 60.0
HTTPS_PORT = 443
MAX_HEAD_BYTES = 64 * 1024
MAX_ANSWER_BYTES = 1024 * 1024
MAX_FRAMED_BYTES = 2 * MAX_ANSWER_BYTES  # head, content, and what chunks add to it

_INFORMATIONAL = range(100, 200)


class NotConnectedError(Exception):
    """No connection could be opened: surely no byte of the request left."""


class TlsRefusedError(NotConnectedError):
    """The TLS handshake failed before the request."""


class BrokenError(Exception):
    """The request may have arrived; no whole answer came."""


class TooLargeError(BrokenError):
    """The answer was larger than its bound."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where GeNiE is; `authority` as the Host field and signatures name it, in the one normal form."""

    host: str
    port: int
    authority: str

    @classmethod
    def of(cls, url: str) -> Origin:
        """The origin of https://host[:port]."""
        parts = urlsplit(url)
        host, port = (parts.hostname or "").encode("idna").decode("ascii"), parts.port or HTTPS_PORT
        named = f"[{host}]" if ":" in host else host
        return cls(host, port, named if port == HTTPS_PORT else f"{named}:{port}")

    def uri(self, path: str) -> str:
        """The URI of a path there."""
        return f"https://{self.authority}{path}"


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A whole answer; `headers` by lower-case name, several fields of one name joined by ", "."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class Transport(Protocol):
    """Whoever can post to GeNiE; the caller bounds the time."""

    async def post(self, path: str, headers: Mapping[str, str], content: bytes) -> HttpAnswer:
        """Make one attempt; raises NotConnectedError or BrokenError."""

    async def aclose(self) -> None:
        """Close all connections, those in use too."""


class GenieTransport:
    """Makes connections as needed, at most `connections`, and keeps all of them."""

    def __init__(self, base_url: str, tls: ssl.SSLContext, connections: int) -> None:
        self._origin = Origin.of(base_url)
        self._tls = tls
        self._free = asyncio.Semaphore(connections)
        self._open: set[_Connection] = set()
        self._idle: list[_Connection] = []  # the one used last is used next
        self._is_closed = False

    async def post(self, path: str, headers: Mapping[str, str], content: bytes) -> HttpAnswer:
        """Make one attempt; raises NotConnectedError or BrokenError."""
        fields = {"host": self._origin.authority, **headers, "content-length": len(content)}
        lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
        async with self._free:
            connection = self._kept() or await self._connect()
            answer = await connection.post("\r\n".join(lines).encode("ascii"), content)
            if connection.is_open:
                self._idle.append(connection)
            return answer

    async def aclose(self) -> None:
        """Close all connections, those in use too."""
        self._is_closed = True
        for connection in list(self._open):
            connection.close()
        self._idle.clear()

    def _kept(self) -> _Connection | None:
        """A connection that still stands, and is not so old that GeNiE may be closing it."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_fresh:
                return connection
            connection.close()
        return None

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                addresses = await loop.getaddrinfo(self._origin.host, self._origin.port, type=socket.SOCK_STREAM)
                sock = await aiohappyeyeballs.start_connection(addresses, happy_eyeballs_delay=NEXT_ADDRESS_S)
            _, connection = await loop.create_connection(
                lambda: _Connection(self._open),
                sock=sock,
                ssl=self._tls,
                server_hostname=self._origin.host,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT_S,
            )
        except ssl.SSLError:
            raise TlsRefusedError("TLS handshake failed") from None
        except OSError:  # time-outs are of these
            raise NotConnectedError("no connection") from None
        if self._is_closed:
            connection.close()
            raise NotConnectedError("closed meanwhile")
        return connection


class _Connection(asyncio.Protocol):
    """One connection: one request at a time; whatever is not exactly one whole answer ends it."""

    _transport: asyncio.Transport

    def __init__(self, among: set[_Connection]) -> None:
        self._among = among
        self._loop = asyncio.get_running_loop()
        self._answered: asyncio.Future[HttpAnswer] | None = None
        self._idle_since = 0.0

    @property
    def is_open(self) -> bool:
        """Whether another request may go here."""
        return not self._transport.is_closing()

    @property
    def is_fresh(self) -> bool:
        """Whether it is open, and was in use not long ago."""
        return self.is_open and self._loop.time() - self._idle_since < KEEPALIVE_S

    async def post(self, head: bytes, content: bytes) -> HttpAnswer:
        """Send a request; its answer."""
        self._parser = httptools.HttpResponseParser(self)
        self._answer: HttpAnswer | None = None
        self._received = self._size = 0
        self._in_head, self._keeps = True, True
        answered = self._answered = self._loop.create_future()
        self._transport.writelines((head, content))
        try:
            answer: HttpAnswer = await answered
        except BaseException:
            self._transport.abort()  # the answer to this request must not meet the next one
            raise
        finally:
            self._answered = None
        if not self._keeps:
            self._transport.abort()
        self._idle_since = self._loop.time()
        return answer

    def close(self) -> None:
        """End it; who waits for an answer gets none."""
        self._among.discard(self)
        if self._answered is None:
            self._transport.close()
        else:
            self._transport.abort()

    # --- what the event loop says -------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._among.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        self._among.discard(self)
        self._fail(BrokenError("the connection ended"))

    def data_received(self, data: bytes) -> None:
        if self._answered is None or self._answered.done():
            self._transport.abort()  # GeNiE speaks out of turn
            return
        self._received += len(data)
        broken = False
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            broken = True
            self._keeps = False
        if self._size > MAX_ANSWER_BYTES or self._received > MAX_FRAMED_BYTES:
            self._fail(TooLargeError("the answer is too large"))
        elif self._answer is not None:
            self._answered.set_result(self._answer)
        elif broken or (self._in_head and self._received > MAX_HEAD_BYTES):
            self._fail(BrokenError("no HTTP, or a head without end"))

    def _fail(self, error: BrokenError) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(error)

    # --- what the parser says -----------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._answer is not None:
            self._keeps = False  # more than was asked for
        self._headers: dict[str, str] = {}
        self._chunks: list[bytes] = []
        self._in_head = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # what follows the content is under no signature
            key, text = name.decode("ascii").lower(), value.strip().decode("utf-8", "replace")
            self._headers[key] = f"{self._headers[key]}, {text}" if key in self._headers else text

    def on_headers_complete(self) -> None:
        self._in_head = False

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        self._chunks.append(body)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status in _INFORMATIONAL:
            self._in_head = True  # the answer's is still to come
        elif self._answer is None:
            self._answer = HttpAnswer(status, self._headers, b"".join(self._chunks))
            self._keeps = self._parser.should_keep_alive()
