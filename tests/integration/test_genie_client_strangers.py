"""The client against everything that is no GeNiE: each attempt ends in an Answer, and nothing is believed."""

import asyncio
import gzip
import socket
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from gateway.core.outcome import (
    Loss,
    Lost,
    Meaning,
    NotSent,
    Reply,
    Unsent,
    classify,
)
from gateway.genie.client import wall_ms
from gateway.genie.transport import MAX_ANSWER_BYTES
from gateway.sandbox import pki as pkis
from gateway.tls import TlsFileError, tls_context
from tests.contract.genie_client import payment
from tests.integration.genie_side import (
    CONNECTIONS,
    RawServer,
    Script,
    answering,
    genie_client,
    hanging_up_after,
    outgoing,
    sent,
    server_tls,
    silence,
    soon,
    without_end,
)

ONE = outgoing("one", payment("subject-1"))
BOUND_S = 30  # far more than any attempt may take: only a client that hangs meets it


def head(status: str, *lines: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", "content-type: application/json", *lines, "", ""]).encode()


BOMB = gzip.compress(b"\0" * 10_000_000)
LENGTH_2 = "content-length: 2"

SCRIPTS: dict[str, tuple[Script, Any]] = {
    "silence": (silence, Lost(Loss.TIMEOUT)),
    "hangs up": (hanging_up_after(), Lost(Loss.BROKEN)),
    "garbage": (hanging_up_after(b"\x00\xff garbage\r\n\r\n"), Lost(Loss.BROKEN)),
    "another protocol": (hanging_up_after(b"SSH-2.0-OpenSSH_9.2\r\n"), Lost(Loss.BROKEN)),
    "half a head": (hanging_up_after(head("200 OK")[:20]), Lost(Loss.BROKEN)),
    "half a head, then silence": (answering(head("200 OK")[:20]), Lost(Loss.TIMEOUT)),
    "half an answer": (hanging_up_after(head("200 OK", "content-length: 9"), b"{}"), Lost(Loss.BROKEN)),
    "half an answer, then silence": (
        answering(head("200 OK", "content-length: 9"), b"{}"),
        Lost(Loss.TIMEOUT),
    ),
    "half a chunk": (
        hanging_up_after(head("200 OK", "transfer-encoding: chunked"), b"5\r\n{"),
        Lost(Loss.BROKEN),
    ),
    "a nonsense chunk": (
        answering(head("200 OK", "transfer-encoding: chunked"), b"zz\r\n{}\r\n"),
        Lost(Loss.BROKEN),
    ),
    "an endless body": (
        without_end(head("200 OK", "transfer-encoding: chunked"), b"4000\r\n" + b" " * 0x4000 + b"\r\n"),
        Lost(Loss.TOO_LARGE),
    ),
    "a body that is too large": (
        without_end(head("200 OK", f"content-length: {MAX_ANSWER_BYTES + 1}"), b" " * 0x4000),
        Lost(Loss.TOO_LARGE),
    ),
    "an endless head": (without_end(head("200 OK")[:-2], b"x: " + b"y" * 100 + b"\r\n"), Lost(Loss.BROKEN)),
    "an endless line": (without_end(head("200 OK")[:-2] + b"x: ", b"y" * 0x4000), Lost(Loss.BROKEN)),
    "endless 1xx": (without_end(b"", b"HTTP/1.1 102 Processing\r\n\r\n" * 1_000), Lost(Loss.BROKEN)),
    "a compressed bomb": (
        answering(head("200 OK", "content-encoding: gzip", f"content-length: {len(BOMB)}"), BOMB),
        Lost(Loss.ENCODED),
    ),
    "two lengths": (
        answering(head("200 OK", LENGTH_2, "content-length: 3"), b"{}{}"),
        Lost(Loss.BROKEN),
    ),
    "a redirect": (answering(head("307 Temporary Redirect", "location: /elsewhere", LENGTH_2), b"{}"), 307),
    "an unsigned 200": (answering(head("200 OK", LENGTH_2), b"{}"), 200),
    "an unsigned 429": (answering(head("429 Later", LENGTH_2, "retry-after: 1"), b"{}"), 429),
    "a signature of nonsense": (
        answering(
            head("200 OK", LENGTH_2, "signature: genie=:é:", 'signature-input: genie=("@status")'),
            b"{}",
        ),
        200,
    ),
    "a control character in a field": (answering(head("200 OK", LENGTH_2, "x: \x01"), b"{}"), Lost(Loss.BROKEN)),
    "an unheard-of status": (answering(head("799 What", LENGTH_2), b"{}"), 799),
    "cookies and more than was asked for": (
        answering(head("200 OK", LENGTH_2, "set-cookie: a=b"), b"{}", head("200 OK", LENGTH_2), b"{}"),
        200,
    ),
}


@pytest.mark.parametrize("what", SCRIPTS)
async def test_every_attempt_ends_in_an_answer(pki: pkis.Pki, what: str) -> None:
    """Whatever comes back, there is an answer within the bound, nothing is believed, and nothing is sent twice."""
    script, expected = SCRIPTS[what]
    start = wall_ms() // 1000 * 1000  # a clock that stands still on a whole second: `expires` is 1 s away
    async with RawServer(script, server_tls(pki)) as server:
        async with (
            genie_client(server.url, pki, now_ms=lambda: start) as client,
            asyncio.timeout(BOUND_S),
        ):
            answer = await client.send([ONE], start + 1_000)
        assert server.requests == 1
    if isinstance(expected, int):
        assert isinstance(answer, Reply)
        assert (answer.status, answer.verified, answer.results) == (expected, False, None)
        assert answer.retry_after_ms is None
    else:
        assert answer == expected
    assert classify(answer, [sent(ONE)]).entries[0].meaning is Meaning.UNKNOWN


async def test_a_body_that_comes_drop_by_drop_is_cut_at_the_deadline(pki: pkis.Pki) -> None:
    """A byte now and then does not stretch the time that an attempt may take."""
    start = wall_ms() // 1000 * 1000

    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head("200 OK", "content-length: 100000"))
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.01)  # the script's own pace: nothing waits for it

    async with (
        RawServer(drip, server_tls(pki)) as server,
        genie_client(server.url, pki, now_ms=lambda: start) as client,
        asyncio.timeout(BOUND_S),
    ):
        assert await client.send([ONE], start + 1_000) == Lost(Loss.TIMEOUT)


async def test_a_refused_connection_is_surely_not_sent(pki: pkis.Pki) -> None:
    """Where nobody listens, no byte left."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with genie_client(f"https://localhost:{port}", pki) as client:
        assert await client.send([ONE], soon()) == NotSent(Unsent.REFUSED)


async def test_a_server_without_tls_is_surely_not_sent(pki: pkis.Pki) -> None:
    """Nothing of the request is said to somebody who does not speak TLS."""
    async with (
        RawServer(answering(head("200 OK")), None) as server,
        genie_client(server.url, pki) as client,
    ):
        assert await client.send([ONE], soon()) == NotSent(Unsent.REFUSED)
        assert server.requests == 0


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Certificates that a GeNiE must not have."""
    directory = tmp_path_factory.mktemp("foreign")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(directory / "ca.pem"))
    yesterday = datetime.now(UTC) - timedelta(days=1)
    certificates = {
        "good": authority.issue_cert("localhost"),
        "expired": authority.issue_cert("localhost", not_after=yesterday),
        "elsewhere": authority.issue_cert("elsewhere.example"),
    }
    for name, certificate in certificates.items():
        certificate.private_key_and_cert_chain_pem.write_to_path(str(directory / f"{name}.pem"))
    return {name: directory / f"{name}.pem" for name in ("ca", *certificates)}


async def test_only_our_authority_is_trusted(
    pki: pkis.Pki, foreign: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An authority that the environment trusts is not trusted by us, and the request never leaves."""
    monkeypatch.setenv("SSL_CERT_FILE", str(foreign["ca"]))
    tls = server_tls(pki, foreign["good"])
    async with RawServer(silence, tls) as server, genie_client(server.url, pki) as client:
        assert await client.send([ONE], soon()) == NotSent(Unsent.TLS_FAILED)
        assert server.requests == 0


@pytest.mark.parametrize("what", ["expired", "elsewhere"])
async def test_a_certificate_must_be_valid_and_for_this_host(
    pki: pkis.Pki, foreign: dict[str, Path], what: str
) -> None:
    """A certificate of a trusted authority that is out of date or names another host is refused."""
    tls = server_tls(pki, foreign[what])
    async with RawServer(silence, tls) as server, genie_client(server.url, pki, ca=foreign["ca"]) as client:
        assert await client.send([ONE], soon()) == NotSent(Unsent.TLS_FAILED)
        assert server.requests == 0


async def test_a_client_certificate_that_genie_refuses_is_never_sure(pki: pkis.Pki, foreign: dict[str, Path]) -> None:
    """TLS 1.3 tells us of the refusal only after the request has left: that is unknown, not `not sent`."""
    other = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    other.load_cert_chain(pki.server)
    other.load_verify_locations(foreign["ca"])  # does not know our certificate's authority
    other.verify_mode = ssl.CERT_REQUIRED
    async with RawServer(silence, other) as server, genie_client(server.url, pki) as client:
        assert await client.send([ONE], soon()) == Lost(Loss.BROKEN)
        assert server.requests == 0


async def test_a_cancelled_attempt_leaves_nothing_behind(pki: pkis.Pki) -> None:
    """Cancelling ends the attempt at once, drops its connection, and all connections are there for others."""
    arrived = asyncio.Semaphore(0)

    async def hang(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        arrived.release()
        await asyncio.Event().wait()

    async with RawServer(hang, server_tls(pki)) as server, genie_client(server.url, pki) as client:
        for _ in range(2):
            attempts = [asyncio.create_task(client.send([ONE], soon())) for _ in range(CONNECTIONS)]
            async with asyncio.timeout(BOUND_S):
                for _ in attempts:
                    await arrived.acquire()
                for attempt in attempts:
                    attempt.cancel()
                await asyncio.wait(attempts)
            assert all(attempt.cancelled() for attempt in attempts)
        assert server.connections == 2 * CONNECTIONS


async def test_connections_are_kept(pki: pkis.Pki) -> None:
    """After a burst every connection is used again, and none is opened anew."""
    together = asyncio.Barrier(CONNECTIONS)

    async def answer_together(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await together.wait()
        writer.write(head("200 OK", LENGTH_2) + b"{}")
        await writer.drain()

    async with (
        RawServer(answer_together, server_tls(pki)) as server,
        genie_client(server.url, pki) as client,
        asyncio.timeout(BOUND_S),
    ):
        for _ in range(3):
            answers = await asyncio.gather(*(client.send([ONE], soon()) for _ in range(CONNECTIONS)))
            assert all(isinstance(answer, Reply) for answer in answers)
        assert (server.connections, server.requests) == (CONNECTIONS, 3 * CONNECTIONS)


async def test_each_attempt_is_signed_anew(pki: pkis.Pki) -> None:
    """Two attempts of one batch differ in nonce and signature, agree in the digest, and say no more than agreed."""
    async with (
        RawServer(answering(head("200 OK", LENGTH_2), b"{}"), server_tls(pki)) as server,
        genie_client(server.url, pki) as client,
    ):
        expires_at = soon()
        for _ in range(2):
            await client.send([ONE], expires_at)
        first, second = ({k.lower(): v for k, v in fields(each)} for each in server.heads)
    assert first["signature"] != second["signature"]
    assert nonce(first) != nonce(second)
    assert first["content-digest"] == second["content-digest"]
    assert f"expires={expires_at // 1000};" in first["signature-input"]
    assert first["accept-encoding"] == "identity"
    assert set(first) == {
        "host",
        "content-type",
        "content-length",
        "content-digest",
        "idempotency-key",
        "signature-input",
        "signature",
        "accept-encoding",
    }


def fields(request_head: bytes) -> list[tuple[str, str]]:
    lines = request_head.decode().split("\r\n")[1:-2]
    return [(name, value) for name, _, value in (line.partition(": ") for line in lines)]


def nonce(headers: dict[str, str]) -> str:
    return headers["signature-input"].split('nonce="')[1].split('"')[0]


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda pki, tmp: (tmp / "absent.pem", pki.client, pki.client_key), "absent.pem"),
        (lambda pki, tmp: (pki.ca, pki.ca, pki.client_key), "ca.pem"),
        (lambda pki, tmp: (pki.ca, pki.client, pki.norel_p256), "norel-p256.key"),
    ],
)
def test_unusable_certificates_are_named(
    pki: pkis.Pki, tmp_path: Path, spoil: Callable[[pkis.Pki, Path], tuple[Path, Path, Path]], named: str
) -> None:
    """A certificate that is missing or does not fit its key is named with the remedy."""
    with pytest.raises(TlsFileError, match=named):
        tls_context(*spoil(pki, tmp_path))
