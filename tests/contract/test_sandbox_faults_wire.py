"""Faults of time, connection and TLS, as a client sees them that looks at bytes."""

import asyncio
import gzip
import random
import ssl
from dataclasses import dataclass

import aiohttp
import orjson
import pytest

from gateway.sandbox.genie.faults import timing
from gateway.sandbox.genie.faults.timing import Latency, Spread
from tests.contract.genie_client import BATCHES, PATIENCE_S, Client, entry, provision, tls

GIVE_UP_S = 0.3  # how long a client waits for what never comes


@dataclass
class Seen:
    """What came back, and whether the connection was ended."""

    content: bytes
    ended: bool


async def raw(genie: Client, *, upto: int = -1, wait: float = PATIENCE_S) -> Seen:
    """Provide entry `a` and read bytes until the connection ends, `upto` are there, or the wait is over."""
    message = genie.request(BATCHES, provision(entry("a")))
    port = int(genie.sandbox.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("localhost", port, ssl=tls(genie.sandbox))
    fields = message.headers | {"Host": f"localhost:{port}", "Content-Length": str(len(message.content))}
    head = f"POST {BATCHES} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    content = b""
    try:
        writer.write(head.encode() + b"\r\n" + message.content)
        async with asyncio.timeout(wait):
            while upto < 0 or len(content) < upto:
                part = await reader.read(65536)
                if not part:
                    return Seen(content, ended=True)
                content += part
    except ConnectionError:
        return Seen(content, ended=True)
    except TimeoutError:
        pass
    finally:
        writer.transport.abort()
    return Seen(content, ended=False)


async def state(genie: Client) -> str:
    """What GeNiE says of entry `a` when nothing is wrong."""
    await genie.set_faults()
    return (await genie.look_up("a")).statuses[0]


# --- time -------------------------------------------------------------------------------------------------


async def test_latency_waits_before_judging(monkeypatch: pytest.MonkeyPatch) -> None:
    """Latency sleeps for the time that its spread draws, and lets the request go on."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(timing.asyncio, "sleep", sleep)
    fault = Latency(share=1, ms=250)
    assert await fault.act(None, random.Random(1)) is None  # type: ignore[arg-type]  # it does not touch the wire
    assert slept == [0.25]


@pytest.mark.parametrize("spread", [spread for spread in Spread if spread is not Spread.LOGNORMAL])
def test_spreads_have_their_mean(spread: Spread) -> None:
    """These spreads draw around the mean that was asked for, and cope with none."""
    chance = random.Random(1)
    fault = Latency(share=1, ms=20, spread=spread)
    drawn = [fault.draw(chance) for _ in range(10_000)]
    assert min(drawn) >= 0
    assert 19 < sum(drawn) / len(drawn) < 21
    assert Latency(share=1, ms=0, spread=spread).draw(chance) == 0


def test_lognormal_has_its_median_and_its_p99() -> None:
    """Half of the latencies are below the median that was asked for, and 99 of 100 below the 99th percentile."""
    chance = random.Random(1)
    fault = Latency(share=1, ms=20, spread=Spread.LOGNORMAL, p99_ms=500)
    drawn = [fault.draw(chance) for _ in range(20_000)]
    assert 0.48 < sum(ms < 20 for ms in drawn) / len(drawn) < 0.52
    assert 0.985 < sum(ms < 500 for ms in drawn) / len(drawn) < 0.995


@pytest.mark.parametrize(
    ("fault", "found"), [("hang_before_accepting", "not_received"), ("timeout_after_accepting", "received")]
)
async def test_a_silent_genie(genie: Client, fault: str, found: str) -> None:
    """No byte comes back, whether the entry was taken or not."""
    await genie.set_faults(**{fault: {"share": 1}})
    assert await raw(genie, wait=GIVE_UP_S) == Seen(b"", ended=False)
    await genie.stats_until(lambda stats: stats["in_flight"] == 0)
    assert await state(genie) == found


@pytest.mark.parametrize("fault", ["hang_before_accepting", "timeout_after_accepting"])
async def test_silence_ends(genie: Client, fault: str) -> None:
    """No connection hangs for ever: past its seconds the fault ends it."""
    await genie.set_faults(**{fault: {"share": 1, "seconds": 0}})
    assert await raw(genie) == Seen(b"", ended=True)


async def test_late_acceptance_comes_after_all_seemed_lost(genie: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection ends, a lookup finds nothing, and then the entry is durable all the same."""
    later = asyncio.Event()
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        await (later.wait() if seconds == 7 else real(seconds))

    monkeypatch.setattr(timing.asyncio, "sleep", sleep)
    await genie.set_faults(late_acceptance={"share": 1, "seconds": 7})
    assert await raw(genie) == Seen(b"", ended=True)
    assert (await genie.look_up("a")).statuses == ["not_received"]
    later.set()
    await genie.stats_until(lambda stats: stats["distinct_keys"] == 1)
    assert await state(genie) == "received"
    assert (await genie.stats())["connections_cut"] == 1


async def test_late_acceptance_respects_expires(genie: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has expired meanwhile is not taken."""

    async def sleep(_: float) -> None:
        genie.clock.ms += 31_000

    monkeypatch.setattr(timing.asyncio, "sleep", sleep)
    await genie.set_faults(late_acceptance={"share": 1})
    await raw(genie)
    monkeypatch.undo()
    assert (await genie.stats_until(lambda stats: stats["refusals"]))["refusals"] == {"signature-expired": 1}
    assert await state(genie) == "not_received"


# --- the connection ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "found"), [("reset_before_accepting", "not_received"), ("reset_after_accepting", "received")]
)
async def test_a_reset_says_nothing(genie: Client, fault: str, found: str) -> None:
    """The connection ends without an answer, before or after GeNiE has taken the entry."""
    await genie.set_faults(**{fault: {"share": 1}})
    assert await raw(genie) == Seen(b"", ended=True)
    assert await state(genie) == found
    assert (await genie.stats())["connections_cut"] == 1


@pytest.mark.parametrize("count", [0, 1, 40, 700])
async def test_a_reset_after_so_many_bytes(genie: Client, count: int) -> None:
    """So many bytes of the answer come, no more, and the connection ends."""
    await genie.set_faults(reset_after_bytes={"share": 1, "bytes": count})
    seen = await raw(genie)
    assert seen.ended
    assert len(seen.content) == count
    assert b"HTTP/1.1 200 OK\r\n".startswith(seen.content[:17])
    assert await state(genie) == "received"


async def test_an_answer_that_stalls(genie: Client) -> None:
    """So many bytes of the answer come, and then nothing, on a connection that stays."""
    await genie.set_faults(stall_after_bytes={"share": 1, "bytes": 40})
    seen = await raw(genie, wait=GIVE_UP_S)
    assert (len(seen.content), seen.ended) == (40, False)


async def test_slow_bytes_are_the_whole_answer(genie: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Byte by byte, each after its pause, comes what would have come at once."""
    pauses: list[float] = []
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        if seconds == 0.007:
            pauses.append(seconds)
        await real(0 if seconds == 0.007 else seconds)

    monkeypatch.setattr("gateway.sandbox.genie.faults.wire.asyncio.sleep", sleep)
    await genie.set_faults(slow_bytes={"share": 1, "ms": 7})
    seen = await raw(genie)
    head, _, content = seen.content.partition(b"\r\n\r\n")
    assert seen.ended
    assert len(pauses) == len(seen.content)
    assert f"Content-Length: {len(content)}".encode() in head
    assert b"Signature: genie=:" in head
    assert orjson.loads(content)["results"][0]["status"] == "accepted"


async def test_garbage_is_no_http(genie: Client) -> None:
    """Bytes come back that no HTTP parser takes."""
    await genie.set_faults(garbage_bytes={"share": 1, "bytes": 100})
    seen = await raw(genie)
    assert (len(seen.content), seen.ended) == (101, True)
    assert not seen.content.startswith(b"HTTP")
    with pytest.raises(aiohttp.ClientError):
        await genie.provide(entry("a"))


async def test_an_endless_body_ends_with_its_reader(genie: Client) -> None:
    """Megabytes come and no end, and GeNiE stops when the client leaves."""
    await genie.set_faults(endless_body={"share": 1})
    seen = await raw(genie, upto=4_000_000)
    assert seen.content.startswith(b"HTTP/1.1 200 OK\r\n")
    assert not seen.ended
    await genie.stats_until(lambda stats: stats["in_flight"] == 0)


async def test_a_bomb_is_small_and_becomes_large(genie: Client) -> None:
    """A few kilobytes say that they are gzip, and become as many megabytes as was asked for."""
    await genie.set_faults(compressed_bomb={"share": 1, "megabytes": 3})
    head, _, content = (await raw(genie)).content.partition(b"\r\n\r\n")
    assert b"Content-Encoding: gzip" in head
    assert len(content) < 10_000
    assert len(gzip.decompress(content)) == 3 * 1024 * 1024


# --- TLS --------------------------------------------------------------------------------------------------

CERTIFICATES = {
    "wrong_authority": "unable to get local issuer|self-signed",
    "expired_certificate": "certificate has expired",
    "wrong_host": "Hostname mismatch",
}


@pytest.mark.parametrize("fault", CERTIFICATES)
async def test_a_certificate_nobody_should_trust(genie: Client, fault: str) -> None:
    """A careful client refuses the certificate for the reason of the fault, on connections that it had kept too."""
    assert (await genie.provide(entry("a"))).status_code == 200
    await genie.set_faults(**{fault: {"share": 1}})
    with pytest.raises(ssl.SSLCertVerificationError, match=CERTIFICATES[fault]):
        await raw(genie)
    with pytest.raises(aiohttp.ClientConnectorCertificateError):
        await genie.provide(entry("b"))
    await genie.set_faults()
    assert (await genie.provide(entry("a"))).statuses == ["duplicate"]


async def test_the_expired_certificate_has_no_other_flaw(genie: Client) -> None:
    """A client that looks at everything but the time takes the expired certificate: its authority is the right one."""
    await genie.set_faults(expired_certificate={"share": 1})
    context = tls(genie.sandbox)
    context.verify_flags |= ssl.VerifyFlags(0x200000)  # X509_V_FLAG_NO_CHECK_TIME, which Python does not name
    port = int(genie.sandbox.url.rpartition(":")[2])
    _, writer = await asyncio.open_connection("localhost", port, ssl=context)
    writer.transport.abort()


async def test_a_handshake_that_is_refused(genie: Client) -> None:
    """No connection stands, so that no byte of a request leaves; once it is over all is well."""
    await genie.set_faults(handshake_refused={"share": 1})
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await raw(genie)
    with pytest.raises(aiohttp.ClientConnectorError):
        await genie.provide(entry("a"))
    assert (await genie.stats())["faults"]["handshake_refused"] == 2
    assert await state(genie) == "not_received"
