"""The wire between a gateway and an address, and each trouble on it."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.chaos.links import BYTES_BEFORE_RESET, HOST, Wire
from tests.chaos.plan import LinkTrouble
from tests.integration.waiting import until

LONG = b"x" * (4 * BYTES_BEFORE_RESET)
BOUND_S = 10.0


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    """It leads to a server that says again whatever it hears."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(1_000):
                writer.write(chunk)
        except OSError:
            pass  # reset, as it is meant to be
        finally:
            writer.close()

    server = await asyncio.start_server(echo, HOST, 0)
    async with server, Wire(server.sockets[0].getsockname()[1]) as made:
        yield made


async def test_it_passes_what_comes(wire: Wire) -> None:
    """Without trouble every byte arrives, both ways."""
    assert await said(wire, LONG) == LONG
    assert wire.struck == 0


async def test_cut(wire: Wire) -> None:
    """A cut wire resets the connections that there are, and every new one."""
    reader, _ = await asyncio.open_connection(HOST, wire.port)
    await until(lambda: wire.connected == 1, BOUND_S, "the connection")
    wire.trouble(LinkTrouble.CUT)
    with pytest.raises(ConnectionResetError):
        await reader.read(1)
    with pytest.raises(ConnectionResetError):
        await said(wire, LONG)
    wire.heal()
    assert await said(wire, LONG) == LONG
    assert wire.struck == 2


async def test_reset_after_bytes(wire: Wire) -> None:
    """The beginning of an answer arrives, the rest never."""
    wire.trouble(LinkTrouble.RESET_AFTER)
    reader, writer = await asyncio.open_connection(HOST, wire.port)
    writer.write(LONG)
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)) as ended:
        await reader.readexactly(len(LONG))
    if isinstance(ended.value, asyncio.IncompleteReadError):
        assert len(ended.value.partial) == BYTES_BEFORE_RESET


async def test_silent(wire: Wire) -> None:
    """Nothing passes a silent wire, and nothing of it is lost once it is healed."""
    wire.trouble(LinkTrouble.SILENT)
    saying = asyncio.create_task(said(wire, LONG))
    await until(lambda: wire.struck, BOUND_S, "a piece that waits")
    assert not saying.done()
    wire.heal()
    assert await saying == LONG


async def test_half_open(wire: Wire) -> None:
    """Answers vanish while the connection stays open, which ends with the trouble."""
    wire.trouble(LinkTrouble.HALF_OPEN)
    saying = asyncio.create_task(said(wire, LONG))
    await until(lambda: wire.struck, BOUND_S, "an answer that vanished")
    assert not saying.done()
    wire.heal()
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await saying


async def test_delay(wire: Wire) -> None:
    """What is late arrives whole."""
    wire.trouble(LinkTrouble.DELAY)
    assert await said(wire, LONG) == LONG
    assert wire.struck >= 2


async def said(wire: Wire, words: bytes) -> bytes:
    """What comes back of these words."""
    reader, writer = await asyncio.open_connection(HOST, wire.port)
    try:
        writer.write(words)
        async with asyncio.timeout(BOUND_S):
            return await reader.readexactly(len(words))
    finally:
        writer.close()
