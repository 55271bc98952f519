"""The httpx transport: one TLS connection pool to GeNiE, on aiohttp.

Knows sockets, TLS and bounds. Must not know signatures or JSON. It follows no redirect, reads no proxy or
certificate from the environment, keeps no cookie, sends nothing twice and undoes no compression.

Why aiohttp, behind a transport of our own: httpx's own transport stalls above some 16 requests in flight.
pyreqwest (a little faster) trusts the system's authorities besides ours, which would let any of them read what is
sent; httpx-aiohttp reports a refused connection and one cut in mid-answer alike, and the two mean opposite things:
httpx.ConnectError and httpx.ConnectTimeout are raised here only if surely no byte of the request left.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import suppress

import aiohttp
import httpx

CONNECT_TIMEOUT_S = 2.0
KEEPALIVE_S = 60.0
MAX_HEADER_BYTES = 16 * 1024  # one line of an answer's head

_OUR_HEADERS_ONLY = ("User-Agent", "Accept", "Accept-Encoding")
# What aiohttp raises while it reads; one of its names for a broken connection is a plain OSError, and a head that
# is no HTTP may surface as a ValueError.
_BROKEN = (aiohttp.ClientError, OSError, ValueError, TimeoutError)


class TlsRefused(httpx.ConnectError):
    """The TLS handshake failed before the request."""


class GenieTransport(httpx.AsyncBaseTransport):
    """Makes connections as needed, at most `connections`, and keeps all of them."""

    def __init__(self, tls: ssl.SSLContext, connections: int) -> None:
        """To be made inside the running event loop."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=tls, limit=connections, keepalive_timeout=KEEPALIVE_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
            skip_auto_headers=_OUR_HEADERS_ONLY,
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request; the caller bounds the time and must close the response's stream."""
        try:
            answer = await self._session.request(
                request.method,
                str(request.url),
                headers=request.headers.multi_items(),
                data=request.content,
                allow_redirects=False,
            )
        except aiohttp.ClientSSLError:
            raise TlsRefused("TLS handshake failed") from None
        except aiohttp.ClientConnectorError:
            raise httpx.ConnectError("no connection") from None
        except aiohttp.ConnectionTimeoutError:
            raise httpx.ConnectTimeout("no connection in time") from None
        except _BROKEN:
            raise httpx.ReadError("connection broken") from None
        return httpx.Response(answer.status, headers=answer.raw_headers, stream=_Content(answer), request=request)

    async def aclose(self) -> None:
        """Close all connections."""
        # If GeNiE spoke out of turn on an idle connection, aiohttp has closed it already and stumbles over it
        # here (asyncio's TLS transport forgets itself on a second close). The rest ends with the process.
        with suppress(AttributeError):
            await self._session.close()


class _Content(httpx.AsyncByteStream):
    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            while chunk := await self._answer.content.readany():
                yield chunk
        except _BROKEN:
            raise httpx.ReadError("connection broken") from None

    async def aclose(self) -> None:
        if self._answer.content.at_eof():
            self._answer.release()
        else:
            self._answer.close()  # what is left of it must not meet the next request
