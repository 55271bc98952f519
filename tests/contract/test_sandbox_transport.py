"""TLS, keys on disk, hostile bytes, and the command that runs the sandbox."""

import asyncio
import json
import socket
import ssl
import stat
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import pytest
import trustme
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from gateway.sandbox import pki
from gateway.sandbox.genie import Sandbox
from tests.contract.genie_client import BATCHES, PATIENCE_S, Client, client_of, entry, provision, tls


async def post(sandbox: Sandbox, context: ssl.SSLContext) -> int:
    connector = aiohttp.TCPConnector(ssl=context)
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.post(sandbox.url + BATCHES, data=b"{}") as response,
    ):
        return response.status


async def test_a_client_certificate_is_required(sandbox: Sandbox) -> None:
    """Without a certificate there is no HTTP; with one there is."""
    with pytest.raises(aiohttp.ClientError):
        await post(sandbox, tls(sandbox, certificate=False))
    assert await post(sandbox, tls(sandbox)) == 415


async def test_a_strangers_certificate_is_refused(sandbox: Sandbox) -> None:
    """A certificate of another authority is as good as none."""
    context = tls(sandbox, certificate=False)
    trustme.CA().issue_cert("gateway.norel.invalid").configure_cert(context)
    with pytest.raises(aiohttp.ClientError):
        await post(sandbox, context)


async def raw(sandbox: Sandbox, request: bytes, *, leave: bool = False) -> bytes:
    """Write bytes and read until GeNiE closes, or leave at once."""
    port = int(sandbox.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("localhost", port, ssl=tls(sandbox))
    writer.write(request)
    await writer.drain()
    try:
        if leave:
            return b""
        async with asyncio.timeout(PATIENCE_S):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


HEAD = f"POST {BATCHES} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n".encode()
HOSTILE = [
    pytest.param(b"\x00\x01\x02 nonsense\r\n\r\n", id="not HTTP"),
    pytest.param(HEAD + b"Content-Length: -1\r\n\r\n", id="negative length"),
    pytest.param(HEAD + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n", id="bad chunk"),
    pytest.param(HEAD + b"Connection: close\r\nX: " + b"a" * 100_000 + b"\r\n\r\n", id="long header"),
]


@pytest.mark.parametrize("request_bytes", HOSTILE)
async def test_hostile_bytes_stop_nobody(genie: Client, request_bytes: bytes) -> None:
    """Whatever one connection sends, the next request is served."""
    assert b" 200 " not in await raw(genie.sandbox, request_bytes)
    assert (await genie.provide(entry("a"))).statuses == ["accepted"]
    assert "internal-error" not in (await genie.stats())["refusals"]


async def test_half_a_request_takes_nothing(genie: Client) -> None:
    """A client that leaves in the middle of its content is forgotten."""
    message = genie.request(BATCHES, provision(entry("a")))
    head = "".join(f"{name}: {value}\r\n" for name, value in message.headers.items())
    length = f"Host: localhost\r\nContent-Length: {len(message.content)}\r\n\r\n"
    begin = f"POST {BATCHES} HTTP/1.1\r\n{head}{length}".encode()
    await raw(genie.sandbox, begin + message.content[:-1], leave=True)
    await genie.stats_until(lambda stats: stats["connections_cut"] == 1 and stats["in_flight"] == 0)
    assert (await genie.look_up("a")).statuses == ["not_received"]


def test_keys_are_made_once(tmp_path: Path) -> None:
    """A second call changes nothing; a file that was deleted is made again."""
    made = pki.make(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert pki.make(tmp_path) == made
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    made.pseudonym_key.unlink()
    pki.make(tmp_path)
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert {name for name in before if before[name] != after[name]} == {"pseudonym.key"}


def test_keys_have_the_agreed_names_and_forms(tmp_path: Path) -> None:
    """Every file is there, PEM or base64, and only its owner reads what is secret."""
    made = pki.make(tmp_path)
    signing = (made.norel_ed25519, made.norel_p256, made.genie_ed25519)
    for path in signing:
        private = load_pem_private_key(path.read_bytes(), None)
        assert load_pem_public_key(pki.public_half(path).read_bytes()) == private.public_key()
    servers = (made.server, made.server_expired, made.server_elsewhere, made.server_of_stranger)
    for path in (*signing, *servers, made.client_key, made.idempotency_key, made.pseudonym_key):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {
        *("ca.pem", "server.pem", "server-expired.pem", "server-elsewhere.pem", "server-of-stranger.pem"),
        *("client.pem", "client.key", "idempotency.key", "pseudonym.key"),
        *("norel-ed25519.key", "norel-ed25519.pub", "norel-p256.key", "norel-p256.pub"),
        *("genie-ed25519.key", "genie-ed25519.pub"),
    }


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "gateway", "dev", "genie", "--json", *arguments]


class Started(Sandbox):
    """What a sandbox in another process says of itself, in the form that the client wants."""

    def __init__(self, told: dict[str, str]) -> None:
        self.url, self.admin_url = told["url"], told["admin"]
        self.pki, self.receipts = pki.Pki(Path(told["pki"])), Path(told["receipts"])


async def test_the_command_serves_until_it_is_told_to_end() -> None:
    """It prints where it listens, takes a provision, and on SIGTERM ends with 0 and leaves nothing behind."""
    process = await asyncio.create_subprocess_exec(*command("--fault", "entry_retry=1"), stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(PATIENCE_S):
            assert process.stdout is not None
            sandbox = Started(json.loads(await process.stdout.readline()))
            async with client_of(sandbox, _wall_clock) as genie:  # type: ignore[arg-type]
                assert (await genie.provide(entry("a"))).statuses == ["retry"]
                assert (await genie.stats())["faults"] == {"latency": 1, "entry_retry": 1}
            process.terminate()
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
    assert not sandbox.receipts.parent.exists()


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("nonsense=1", "there is no fault 'nonsense'"),
        ("unavailable=often", "fault unavailable=often: write NAME=SHARE"),
    ],
)
def test_the_command_refuses_wrong_faults(fault: str, message: str) -> None:
    """A wrong fault ends it with status 2 and what is right."""
    ended = subprocess.run(command("--fault", fault), capture_output=True, check=False, timeout=PATIENCE_S)
    assert ended.returncode == 2
    assert json.loads(ended.stdout)["error"]["message"].startswith(message)


def test_the_command_says_that_its_port_is_taken(tmp_path: Path) -> None:
    """A port in use is one message and status 1."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = subprocess.run(
            command("--port", port, "--data", str(tmp_path)),
            capture_output=True,
            check=False,
            timeout=PATIENCE_S,
        )
    assert ended.returncode == 1
    assert "GeNiE cannot run" in json.loads(ended.stdout)["error"]["message"]


def _wall_clock() -> int:
    return time.time_ns() // 1_000_000
