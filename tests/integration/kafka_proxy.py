"""A TCP proxy before the one broker, which loses requests and answers, or answers in the broker's place.

Knows the frames of Kafka's protocol: a length, then for requests api key, version and correlation id. The broker's
address in its answers is replaced by the proxy's, so that clients stay behind it.
"""

import asyncio
import struct
from collections import Counter
from collections.abc import Mapping
from typing import Self

PRODUCE, FIND_COORDINATOR, HEARTBEAT, INIT_PRODUCER_ID = 0, 10, 12, 22
ADD_PARTITIONS, ADD_OFFSETS, END_TXN, TXN_OFFSET_COMMIT = 24, 25, 26, 28
_METADATA = 3
_LENGTH = struct.Struct(">i")
_REQUEST = struct.Struct(">hhi")  # api key, version, correlation id


class _LostError(Exception):
    """The connection ends here."""


class KafkaProxy:
    """`async with` opens it. What was lost or answered is counted by api key."""

    def __init__(self, broker: str) -> None:
        self._host, _, port = broker.partition(":")
        self._port = int(port)
        self._lose_requests: Counter[int] = Counter()
        self._lose_answers: Counter[int] = Counter()
        self._swallowed: set[int] = set()
        self._answers: dict[tuple[int, int], list[bytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.lost: Counter[int] = Counter()
        self.answered: Counter[int] = Counter()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, self._host, 0)
        port: int = self._server.sockets[0].getsockname()[1]
        self.address = f"{self._host}:{port}"
        host = self._host.encode()
        self._real, self._own = host + _LENGTH.pack(self._port), host + _LENGTH.pack(port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def lose_request(self, api: int) -> None:
        """The next request of this kind does not reach the broker: its connection ends."""
        self._lose_requests[api] += 1

    def lose_answer(self, api: int) -> None:
        """The broker carries the next request of this kind out, but its answer is lost with the connection."""
        self._lose_answers[api] += 1

    def swallow(self, api: int) -> None:
        """From now on no request of this kind arrives; its connection stays open."""
        self._swallowed.add(api)

    def answer(self, api: int, version: int, *contents: bytes) -> None:
        """The next requests of this kind and version are answered here, with what follows the correlation id."""
        self._answers[api, version] = list(contents)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        broker_reader, broker_writer = await asyncio.open_connection(self._host, self._port)
        asked: dict[int, int] = {}  # correlation id -> api key
        both = [
            asyncio.create_task(self._requests(reader, broker_writer, writer, asked)),
            asyncio.create_task(self._responses(broker_reader, writer, asked)),
        ]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            pass  # the test is over; asyncio's server would report the task as failed
        finally:
            for one in both:
                one.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            writer.close()
            broker_writer.close()

    async def _requests(
        self,
        client: asyncio.StreamReader,
        broker: asyncio.StreamWriter,
        back: asyncio.StreamWriter,
        asked: dict[int, int],
    ) -> None:
        while True:
            frame = await _frame(client)
            api, version, correlation = _REQUEST.unpack_from(frame)
            if self._lose_requests[api]:
                self._lose_requests[api] -= 1
                self.lost[api] += 1
                raise _LostError
            if api in self._swallowed:
                self.lost[api] += 1
                continue
            if waiting := self._answers.get((api, version)):
                self.answered[api] += 1
                _send(back, _LENGTH.pack(correlation) + waiting.pop(0))
                continue
            asked[correlation] = api
            _send(broker, frame)
            await broker.drain()

    async def _responses(
        self, broker: asyncio.StreamReader, client: asyncio.StreamWriter, asked: Mapping[int, int]
    ) -> None:
        while True:
            frame = await _frame(broker)
            api = asked[_LENGTH.unpack_from(frame)[0]]
            if self._lose_answers[api]:
                self._lose_answers[api] -= 1
                self.lost[api] += 1
                raise _LostError
            if api in (_METADATA, FIND_COORDINATOR):
                frame = frame.replace(self._real, self._own)
            _send(client, frame)
            await client.drain()


async def _frame(reader: asyncio.StreamReader) -> bytes:
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    return await reader.readexactly(length)


def _send(writer: asyncio.StreamWriter, frame: bytes) -> None:
    writer.write(_LENGTH.pack(len(frame)) + frame)
