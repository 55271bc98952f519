"""The transport against a server that breaks off: what it raises, and which connection meets the next request."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from unittest.mock import Mock

import pytest
import trustme

from gateway.genie import transport as transport_module
from gateway.genie.transport import (
    BrokenError,
    GenieTransport,
    HttpAnswer,
    NotConnectedError,
    Origin,
    TlsRefusedError,
    TooLargeError,
    _Connection,
)

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n"
WHOLE = HEAD + b"\r\nwell"
BOUND_S = 5
AUTHORITY = trustme.CA()


class Server:
    """Gives the requests these answers in turn, the last to all that follow; None hangs up."""

    def __init__(self, answers: Sequence[bytes | None]) -> None:
        self._answers = list(answers)
        self.connections = 0
        self.heads: list[bytes] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.asked = asyncio.Event()
        self.ended = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.heads.append(head)
                self.asked.set()
                await reader.readexactly(2)
                answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            self.ended.set()
        writer.close()


@asynccontextmanager
async def serving(*answers: bytes | None) -> AsyncIterator[tuple[Server, GenieTransport]]:
    made = Server(answers)
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("localhost").configure_cert(theirs)
    ours = ssl.create_default_context()
    AUTHORITY.configure_trust(ours)
    listening = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=theirs)
    port = listening.sockets[0].getsockname()[1]
    transport = GenieTransport(f"https://localhost:{port}", ours, 4)
    async with listening, asyncio.timeout(BOUND_S):
        yield made, transport
        await transport.aclose()


async def until_gone(transport: GenieTransport) -> None:
    """No connection is open any more; `serving` bounds the wait."""
    while transport._open:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0)


async def post(transport: GenieTransport) -> HttpAnswer:
    return await transport.post("/", {"a": "b"}, b"{}")


@pytest.mark.parametrize(
    "answer",
    [
        None,
        b"good morning\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
        HEAD + b"transfer-encoding: chunked\r\n\r\n4\r\nwell\r\n0\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
    ],
)
async def test_a_request_without_a_whole_answer_is_broken(answer: bytes | None) -> None:
    """It may have arrived: that is not the same as no connection, and the next request has another connection."""
    async with serving(answer, WHOLE) as (server, transport):
        with pytest.raises(BrokenError):
            await post(transport)
        assert (await post(transport)).content == b"well"
        assert server.connections == 2


async def test_an_answer_that_is_cut_is_broken() -> None:
    """Neither one that is shorter than it says, nor one that does not say how long it is."""
    for cut in (b"HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\nwell", b"HTTP/1.1 200 OK\r\n\r\nwell"):
        async with serving(cut) as (server, transport):
            attempt = asyncio.create_task(post(transport))
            await server.asked.wait()
            await transport.aclose()
            with pytest.raises(BrokenError):
                await attempt


async def test_a_connection_is_used_again_once_its_answer_is_read() -> None:
    """And closed with the transport."""
    async with serving(WHOLE) as (server, transport):
        for _ in range(2):
            assert (await post(transport)).content == b"well"
        assert server.connections == 1
        await transport.aclose()
        await server.ended.wait()


async def test_an_answer_is_read_as_it_is_framed() -> None:
    """In pieces, behind others that only announce it; fields of one name are joined, and what trails is none."""
    early = b"HTTP/1.1 103 Early Hints\r\nx: early\r\n\r\n"
    chunked = (
        b"HTTP/1.1 422 No\r\nX: one \r\nx: two\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nwel\r\n1\r\nl\r\n0\r\nx: three\r\n\r\n"
    )
    async with serving(early + chunked) as (server, transport):
        for _ in range(2):
            answer = await post(transport)
            assert (answer.status, answer.headers["x"], answer.content) == (422, "one, two", b"well")
        assert server.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        WHOLE + WHOLE,
        WHOLE + b"good morning",
        HEAD + b"connection: close\r\n\r\nwell",
        b"HTTP/1.0 200 OK\r\ncontent-length: 4\r\n\r\nwell",
    ],
)
async def test_a_connection_with_more_on_it_than_was_asked_for_is_not_used_again(answer: bytes) -> None:
    """Nor one that GeNiE says it will close."""
    async with serving(answer) as (server, transport):
        for _ in range(2):
            assert (await post(transport)).content == b"well"
        assert server.connections == 2


async def test_a_connection_that_was_idle_for_long_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """GeNiE may be closing it at that very moment."""
    monkeypatch.setattr(transport_module, "KEEPALIVE_S", 0.0)
    async with serving(WHOLE) as (server, transport):
        for _ in range(2):
            await post(transport)
        assert server.connections == 2


async def test_answers_have_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the content, of the head, and of all together."""
    fields = b"x: " + b"y" * 1_000
    for name, bound, answer, raised in (
        ("MAX_ANSWER_BYTES", 3, WHOLE, TooLargeError),
        ("MAX_FRAMED_BYTES", len(WHOLE) - 1, WHOLE, TooLargeError),
        ("MAX_HEAD_BYTES", 500, HEAD + fields, BrokenError),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(transport_module, name, bound)
            async with serving(answer) as (_, transport):
                with pytest.raises(raised):
                    await post(transport)


async def test_a_transport_that_is_closed_opens_nothing() -> None:
    """Nor does it send what waits for a connection that is being opened."""
    async with serving(WHOLE) as (server, transport):
        attempt = asyncio.create_task(post(transport))
        await asyncio.sleep(0)
        await transport.aclose()
        with pytest.raises(NotConnectedError):
            await attempt
        assert server.heads == []


async def test_no_more_connections_than_allowed() -> None:
    """Who finds all of them in use waits for one."""
    async with serving(WHOLE) as (server, transport):
        answers = await asyncio.gather(*(post(transport) for _ in range(20)))
        assert all(answer.content == b"well" for answer in answers)
        assert server.connections <= 4


async def test_nothing_is_sent_without_a_trusted_connection() -> None:
    """Where nobody listens, or somebody else."""
    async with serving(WHOLE) as (server, transport):
        stranger = GenieTransport(transport._origin.uri(""), ssl.create_default_context(), 1)
        with pytest.raises(TlsRefusedError):
            await post(stranger)
        assert server.heads == []
    with pytest.raises(NotConnectedError) as raised:
        await post(transport)
    assert not isinstance(raised.value, TlsRefusedError)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://GeNiE.example", Origin("genie.example", 443, "genie.example")),
        ("https://genie.example:443", Origin("genie.example", 443, "genie.example")),
        ("https://genie.example:8443", Origin("genie.example", 8443, "genie.example:8443")),
        ("https://[::1]:8443", Origin("::1", 8443, "[::1]:8443")),
        ("https://見本.example", Origin("xn--8pvz87e.example", 443, "xn--8pvz87e.example")),
    ],
)
def test_an_origin_has_one_normal_form(url: str, expected: Origin) -> None:
    """GeNiE must see the URI that was signed."""
    assert Origin.of(url) == expected
    assert expected.uri("/v1") == f"https://{expected.authority}/v1"


async def test_who_gives_up_leaves_no_connection_behind() -> None:
    """The late answer to that request must not meet another one."""
    async with serving(b"") as (server, transport):
        attempt = asyncio.create_task(post(transport))
        await server.asked.wait()
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        await server.ended.wait()


async def test_an_address_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Surely nothing left."""

    async def hang(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(transport_module, "CONNECT_TIMEOUT_S", 0.01)
    monkeypatch.setattr(transport_module.aiohappyeyeballs, "start_connection", hang)
    async with serving(WHOLE) as (_, transport):
        with pytest.raises(NotConnectedError):
            await post(transport)


@pytest.mark.parametrize("afterwards", [b"HTTP/1.1 408 Too Late\r\n\r\n", b""])
async def test_what_comes_between_requests_ends_the_connection(afterwards: bytes) -> None:
    """Whether GeNiE speaks out of turn or hangs up: quietly, and the next request has another connection."""
    mishaps: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: mishaps.append(context))
    async with serving(WHOLE) as (server, transport):
        await post(transport)
        (writer,) = server.writers
        writer.write(afterwards)
        if not afterwards:
            writer.close()
        await server.ended.wait()
        await until_gone(transport)
        await post(transport)
        assert server.connections == 2
    assert mishaps == []


async def test_an_answer_for_somebody_who_has_just_left_is_dropped() -> None:
    """The request was cancelled, and its task has not heard of it yet."""
    async with serving(b"") as (server, transport):
        attempt = asyncio.create_task(post(transport))
        await server.asked.wait()
        (connection,) = transport._open
        attempt.cancel()
        connection.data_received(WHOLE)
        connection.connection_lost(None)
        with pytest.raises(asyncio.CancelledError):
            await attempt


async def test_a_word_before_the_first_request_ends_the_connection() -> None:
    """GeNiE never speaks first."""
    wire = Mock(asyncio.Transport)
    connection = _Connection(set())
    connection.connection_made(wire)
    connection.data_received(WHOLE)
    wire.abort.assert_called_once_with()
    connection.connection_lost(None)
