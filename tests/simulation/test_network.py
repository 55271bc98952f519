"""Connections between simulated hosts and servers, and what goes wrong with them."""

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

import pytest

from tests.simulation.loop import HOST, Host, VirtualLoop
from tests.simulation.network import Network, Trouble

SERVER = ("server", 9092)
FAR_S = 30.0


class Echo(asyncio.Protocol):
    """Answers each piece with itself."""

    def __init__(self, heard: list[bytes], ends: list[Exception | None]) -> None:
        self.heard, self.ends = heard, ends

    def connection_made(self, transport: Any) -> None:
        assert HOST.get() is None, "a server runs as nobody's process"
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.heard.append(data)
        self.transport.write(data)

    def connection_lost(self, error: Exception | None) -> None:
        self.ends.append(error)


class World:
    """One client host and an echoing server."""

    def __init__(self, loop: VirtualLoop, seed: int = 1) -> None:
        self.loop = loop
        self.network = Network(loop, Random(seed))
        self.heard: list[bytes] = []
        self.ends: list[Exception | None] = []
        self.network.listen(*SERVER, lambda: Echo(self.heard, self.ends))
        self.host = Host("one", loop)

    async def as_host(self, process: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        return await self.host.start(process)


def run(main: Callable[[World], Coroutine[Any, Any, Any]], seed: int = 1) -> Any:
    loop = VirtualLoop()
    return loop.run(main(World(loop, seed)))


async def opened() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(*SERVER)


async def asked(connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], text: bytes, bound: float = 5) -> bytes:
    reader, writer = connection
    writer.write(text)
    return await asyncio.wait_for(reader.readexactly(len(text)), bound)


def test_bytes_arrive_whole_and_in_order() -> None:
    """More than a stream reader takes at once, in many pieces."""

    async def main(world: World) -> bool:
        async def process() -> bool:
            reader, writer = await opened()
            sent = [bytes([number % 251]) * 1_000 for number in range(500)]
            for piece in sent:
                writer.write(piece)
                await asyncio.sleep(0.000_3)
            return await reader.readexactly(500_000) == b"".join(sent)

        return await world.as_host(process)

    assert run(main)


def test_closing_ends_both_sides() -> None:
    """The client's close is the server's end, and whoever then writes to nobody is told."""

    async def main(world: World) -> list[Exception | None]:
        async def process() -> None:
            connection = await opened()
            await asked(connection, b"hello")
            connection[1].close()
            await connection[1].wait_closed()

        await world.as_host(process)
        await asyncio.sleep(1)
        assert not world.network.link("one", SERVER).connections
        return world.ends

    assert run(main) == [None]


def test_nobody_listens_or_the_link_refuses() -> None:
    """Both are ConnectionRefusedError; healed, it connects."""

    async def main(world: World) -> bytes:
        async def process() -> bytes:
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("nowhere", 1)
            world.network.refuse("one", SERVER)
            with pytest.raises(ConnectionRefusedError):
                await opened()
            world.network.heal("one", SERVER)
            return await asked(await opened(), b"back")

        return await world.as_host(process)

    assert run(main) == b"back"


def test_a_silent_link_keeps_what_is_said() -> None:
    """Nothing passes and nothing ends; healed, it arrives."""

    async def main(world: World) -> bytes:
        async def process() -> bytes:
            connection = await opened()
            world.network.silence("one", SERVER)
            world.loop.call_later(FAR_S, world.network.heal, "one", SERVER)
            with pytest.raises(TimeoutError):
                await asked(connection, b"first")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(opened(), 5)
            assert not world.heard
            await connection[0].readexactly(5)
            return await asked(connection, b"second")

        return await world.as_host(process)

    assert run(main) == b"second"


def test_a_half_open_link_lets_requests_pass() -> None:
    """The server hears and answers, the client hears nothing until it is healed."""

    async def main(world: World) -> tuple[list[bytes], bytes]:
        async def process() -> bytes:
            connection = await opened()
            world.network.half_open("one", SERVER)
            with pytest.raises(TimeoutError):
                await asked(connection, b"hello")
            world.network.heal("one", SERVER)
            return await connection[0].readexactly(5)

        return world.heard, await world.as_host(process)

    assert run(main) == ([b"hello"], b"hello")


def test_delay_is_counted_each_way() -> None:
    """A slow link answers late, and well."""

    async def main(world: World) -> float:
        async def process() -> float:
            connection = await opened()
            world.network.delay("one", SERVER, 2_000)
            began = world.loop.time()
            await asked(connection, b"hello")
            return world.loop.time() - began

        return await world.as_host(process)

    assert run(main) == pytest.approx(4, abs=0.01)


def test_a_reset_ends_both_sides() -> None:
    """At once for what is quiet; what was under way arrives before, or never."""

    async def main(world: World) -> tuple[int, int]:
        async def process() -> None:
            connection = await opened()
            connection[1].write(b"under way")
            world.network.reset("one", SERVER)
            with pytest.raises(ConnectionError):
                await connection[0].readexactly(9)

        await world.as_host(process)
        await asyncio.sleep(1)
        (end,) = world.ends
        assert isinstance(end, ConnectionResetError)
        return len(world.heard), world.network.counts[Trouble.RESET]

    told = {run(main, seed) for seed in range(20)}
    assert told == {(0, 1), (1, 1)}


def test_a_connection_is_cut_in_the_middle_of_an_answer() -> None:
    """After so many bytes of answers, once."""

    async def main(world: World) -> bytes:
        async def process() -> bytes:
            connection = await opened()
            world.network.reset_after("one", SERVER, 7)
            await asked(connection, b"hello")
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await asked(connection, b"hello")
            return await asked(await opened(), b"hello again")

        return await world.as_host(process)

    assert run(main) == b"hello again"


def test_a_dead_host_is_a_reset_to_its_peer() -> None:
    """What it had written still arrives; what it writes afterwards does not."""

    async def main(world: World) -> tuple[list[bytes], list[str], int]:
        async def process() -> None:
            _, writer = await opened()
            writer.write(b"last words")
            world.host.kill()
            writer.write(b"of a ghost")
            await asyncio.sleep(0)

        world.host.start(process)
        await asyncio.sleep(1)
        return world.heard, [type(end).__name__ for end in world.ends], world.network.counts[Trouble.DIED]

    assert run(main) == ([b"last words"], ["ConnectionResetError"], 1)


def test_a_frozen_host_hears_later() -> None:
    """Its connections stand, and what arrived is there when it thaws."""

    async def main(world: World) -> tuple[bytes, float]:
        async def process() -> tuple[bytes, float]:
            reader, writer = await opened()
            writer.write(b"hello")
            world.host.freeze()
            return await reader.readexactly(5), world.loop.time()

        task = world.host.start(process)
        await asyncio.sleep(FAR_S)
        assert world.heard == [b"hello"]
        assert not task.done()
        world.host.thaw()
        return await task

    assert run(main) == (b"hello", FAR_S)


def test_the_same_seed_is_the_same_story() -> None:
    """Every arrival at the same moment."""

    async def main(world: World) -> list[float]:
        async def process() -> list[float]:
            connections = [await opened() for _ in range(5)]
            times = []
            for connection in connections * 5:
                await asked(connection, b"hello")
                times.append(world.loop.time())
            return times

        return await world.as_host(process)

    assert run(main, 3) == run(main, 3) != run(main, 4)
