"""The wire between a gateway and one address: a TCP proxy that knows no protocol, and trouble for all its connections.

The broker tells a gateway the proxy's own address (see stage.py), so that bytes can pass as they are. Must not know who
talks, or what about.
"""

import asyncio
import socket
import struct
from typing import Self

from tests.chaos.plan import LinkTrouble

HOST = "127.0.0.1"
CHUNK = 65_536
DELAY_S = 0.15
BYTES_BEFORE_RESET = 40  # in the middle of a frame of Kafka, or of a record of TLS
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class _Connection:
    """Both halves of one connection."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client, self.server = client, server
        self.torn = False  # bytes of it were lost: it can't go on
        self.left: int | None = None  # bytes of answers until it is reset

    def reset(self) -> None:
        """End it as a crash or a firewall does."""
        for writer in (self.client, self.server):
            peer = writer.get_extra_info("socket")
            if peer is not None and peer.fileno() >= 0:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            writer.transport.abort()


class Wire:
    """`async with` opens it; `port` leads to `target_port`."""

    def __init__(self, target_port: int, port: int = 0) -> None:
        self._target = target_port
        self.port = port
        self.in_use = asyncio.Lock()  # one trouble at a time
        self.struck = 0  # connections or pieces of them that met trouble
        self._trouble: LinkTrouble | None = None
        self._healed = asyncio.Event()
        self._connections: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._healed.set()
        self._server = await asyncio.start_server(self._accept, HOST, self.port, limit=CHUNK)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def connected(self) -> int:
        """Connections that stand."""
        return len(self._connections)

    def trouble(self, trouble: LinkTrouble) -> None:
        """From now on, until it is healed."""
        self._trouble = trouble
        self._healed.clear()
        for connection in list(self._connections):
            if trouble is LinkTrouble.CUT:
                self._reset(connection)
            elif trouble is LinkTrouble.RESET_AFTER:
                connection.left = BYTES_BEFORE_RESET

    def heal(self) -> None:
        """All is well; connections that lost bytes end."""
        self._trouble = None
        for connection in list(self._connections):
            connection.left = None
            if connection.torn:
                connection.reset()
        self._healed.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            await self._connect(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # an end of its own, or of the run; asyncio's server would report either
        finally:
            writer.transport.abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(HOST, self._target, limit=CHUNK)
        connection = _Connection(writer, far_writer)
        if self._trouble is LinkTrouble.CUT:
            self._reset(connection)
            return
        if self._trouble is LinkTrouble.RESET_AFTER:
            connection.left = BYTES_BEFORE_RESET
        self._connections.add(connection)
        both = [
            asyncio.create_task(self._ask(reader, connection)),
            asyncio.create_task(self._answer(far_reader, connection)),
        ]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._connections.discard(connection)
            for one in both:
                one.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            far_writer.transport.abort()

    async def _ask(self, reader: asyncio.StreamReader, connection: _Connection) -> None:
        while chunk := await reader.read(CHUNK):
            await self._hold()
            connection.server.write(chunk)
            await connection.server.drain()

    async def _answer(self, reader: asyncio.StreamReader, connection: _Connection) -> None:
        while chunk := await reader.read(CHUNK):
            await self._hold()
            if self._trouble is LinkTrouble.HALF_OPEN:
                self.struck += 1
                connection.torn = True
                continue
            if connection.left is not None and len(chunk) >= connection.left:
                connection.client.write(chunk[: connection.left])
                await connection.client.drain()
                self._reset(connection)
                return
            if connection.left is not None:
                connection.left -= len(chunk)
            connection.client.write(chunk)
            await connection.client.drain()

    async def _hold(self) -> None:
        """What passes while there is trouble is late, or waits for its end."""
        if self._trouble is LinkTrouble.DELAY:
            self.struck += 1
            await asyncio.sleep(DELAY_S)
        while self._trouble is LinkTrouble.SILENT:
            self.struck += 1
            await self._healed.wait()

    def _reset(self, connection: _Connection) -> None:
        self.struck += 1
        connection.reset()
