"""The gateway's GenieClient wired for tests, and a TLS server that answers whatever a test wants, byte by byte."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

from gateway.core.canonical import canonical_json
from gateway.core.facts import OutgoingEntry
from gateway.core.identity import b64url
from gateway.core.outcome import SentEntry
from gateway.genie.client import Credentials, GenieClient, wall_ms
from gateway.genie.contract import Provider, RequestWriter
from gateway.genie.keys import load_answer_keys, load_signing_key
from gateway.genie.transport import GenieTransport
from gateway.sandbox import pki as pkis
from gateway.tls import tls_context

CONNECTIONS = 16
SKEW_MS = 1_000


def soon(ms: int = 20_000) -> int:
    """By when an entry that is sent now may be accepted."""
    return wall_ms() + ms


def outgoing(name: str, body: Mapping[str, Any], *, origin: str = "") -> OutgoingEntry:
    """An entry whose key, origin and source follow from names."""
    return OutgoingEntry(
        b64url(sha256(name.encode()).digest()),
        b64url(sha256((origin or f"origin of {name}").encode()).digest()),
        sha256(f"source of {name}".encode()).digest(),
        canonical_json(body),
    )


def sent(entry: OutgoingEntry) -> SentEntry:
    return SentEntry(entry.idempotency_key, entry.origin, entry.source_digest, sha256(entry.body).digest())


def credentials(
    pki: pkis.Pki,
    *,
    signing: Path | None = None,
    key_id: str = pkis.NOREL_ED25519_ID,
    ca: Path | None = None,
    answering: Path | None = None,
) -> Credentials:
    """The development keys unless a test wants others."""
    return Credentials(
        tls_context(ca or pki.ca, pki.client, pki.client_key),
        load_signing_key(signing or pki.norel_ed25519, key_id),
        load_answer_keys({pkis.GENIE_ED25519_ID: pkis.public_half(answering or pki.genie_ed25519)}),
    )


@asynccontextmanager
async def genie_client(
    url: str,
    pki: pkis.Pki,
    *,
    now_ms: Callable[[], int] = wall_ms,
    signing: Path | None = None,
    key_id: str = pkis.NOREL_ED25519_ID,
    ca: Path | None = None,
) -> AsyncIterator[GenieClient]:
    """Our client, started, with the development keys unless a test wants others."""
    client = GenieClient(
        base_url=url,
        transport=lambda tls: GenieTransport(url, tls, CONNECTIONS),
        writer=RequestWriter(Provider("見本", "見本市", "見本 花子"), "見本", "genie"),
        credentials=credentials(pki, signing=signing, key_id=key_id, ca=ca),
        skew_ms=SKEW_MS,
        now_ms=now_ms,
    )
    await client.start()
    try:
        yield client
    finally:
        await client.close()


Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class RawServer:
    """Accepts connections and plays a script for each request that it has read whole; counts both."""

    def __init__(self, script: Script, tls: ssl.SSLContext | None) -> None:
        self._script = script
        self._tls = tls
        self._tasks: set[asyncio.Task[None]] = set()
        self.connections = 0
        self.requests = 0
        self.heads: list[bytes] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        self.port: int = self._server.sockets[0].getsockname()[1]
        self.url = f"https://localhost:{self.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
                self.requests += 1
                self.heads.append(head)
                await self._script(reader, writer)
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # the client went away, or the test is over
        finally:
            writer.close()


def server_tls(pki: pkis.Pki, certificate: Path | None = None) -> ssl.SSLContext:
    """GeNiE's side of mutual TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate or pki.server)
    context.load_verify_locations(pki.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def answering(*chunks: bytes) -> Script:
    """Write these bytes and keep the connection open."""

    async def script(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for chunk in chunks:
            writer.write(chunk)
            await writer.drain()

    return script


def hanging_up_after(*chunks: bytes) -> Script:
    """Write these bytes and end the connection."""

    async def script(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.writelines(chunks)
        await writer.drain()
        writer.close()

    return script


def without_end(start: bytes, more: bytes) -> Script:
    """Write `start`, then `more` again and again until the client goes away."""

    async def script(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        while True:
            writer.write(more)
            await writer.drain()
            await asyncio.sleep(0)

    return script


async def silence(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    """Never answer."""
    await asyncio.Event().wait()
