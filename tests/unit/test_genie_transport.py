"""The transport against a server that breaks off: what it raises, and which connection meets the next request."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from gateway.genie.transport import GenieTransport

WHOLE = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nwell"
CUT = b"HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\nwell"
NO_HTTP = b"good morning\r\n\r\n"
BOUND_S = 5


class Server:
    """Gives each request the same bytes, then hangs up if they are no whole answer."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self.connections = 0
        self.ended = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while (head := await reader.readuntil(b"\r\n\r\n")) and self._answer:
                assert head.startswith(b"POST")
                await reader.readexactly(2)
                writer.write(self._answer)
                await writer.drain()
                if self._answer is not WHOLE:
                    break
        except asyncio.IncompleteReadError:
            self.ended.set()
        writer.close()


@asynccontextmanager
async def serving(answer: bytes) -> AsyncIterator[tuple[Server, GenieTransport, httpx.Request]]:
    made = Server(answer)
    listening = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    transport = GenieTransport(ssl.create_default_context(), 4)
    async with listening, asyncio.timeout(BOUND_S):
        yield made, transport, httpx.Request("POST", f"http://127.0.0.1:{port}/", content=b"{}")
        await transport.aclose()


@pytest.mark.parametrize("answer", [b"", NO_HTTP])
async def test_a_request_without_an_answer_is_broken(answer: bytes) -> None:
    """It may have arrived: that is not the same as no connection."""
    async with serving(answer) as (_, transport, request):
        with pytest.raises(httpx.ReadError):
            await transport.handle_async_request(request)


async def test_an_answer_that_is_cut_is_broken() -> None:
    """What was read of it is no answer."""
    async with serving(CUT) as (_, transport, request):
        response = await transport.handle_async_request(request)
        with pytest.raises(httpx.ReadError):
            await response.aread()
        await response.aclose()


async def test_a_connection_is_used_again_once_its_answer_is_read() -> None:
    """And closed with the transport."""
    async with serving(WHOLE) as (server, transport, request):
        for _ in range(2):
            response = await transport.handle_async_request(request)
            assert await response.aread() == b"well"
            await response.aclose()
        assert server.connections == 1
        await transport.aclose()
        await server.ended.wait()
