"""One broker: its connections, on each of which requests are answered one after the other, as Kafka does.

Knows framing and order. Must not know what any request does: that is in the answers. A request that is being worked
on takes its effect even if its connection is lost; one that still waits behind it does not.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from tests.simulation.broker.api import Header, Layout, answer_frame, read_request
from tests.simulation.broker.errors import Error
from tests.simulation.broker.faults import Effect, Faults
from tests.simulation.broker.surroundings import Surroundings

_SIZE = struct.Struct(">i")

Answer = Callable[[Sequence[Any]], None]
Serve = Callable[["Node", Header, Any, Answer], None]
Refuse = Callable[["Node", Header, Any, Error], Sequence[Any]]


class Node:
    """One broker of the cluster."""

    def __init__(self, node_id: int, host: str, port: int, surroundings: Surroundings, faults: Faults) -> None:
        self.node_id = node_id
        self.host = host
        self.port = port
        self.alive = True
        self.life = 0  # what a former life had begun is lost
        self.surroundings = surroundings
        self.faults = faults
        self.connections: dict[int, Connection] = {}
        self._accepted = 0

    def accepted(self, connection: Connection) -> int:
        """A client has connected; the number of the connection."""
        self._accepted += 1
        self.connections[self._accepted] = connection
        return self._accepted

    def stop(self) -> None:
        """The process ends: every connection is reset."""
        self.alive = False
        self.life += 1
        for connection in list(self.connections.values()):
            connection.reset()

    def start(self) -> None:
        """The process is back."""
        self.alive = True


class Connection(asyncio.Protocol):
    """One client's connection to a node."""

    def __init__(self, node: Node, serve: Serve, refuse: Refuse) -> None:
        self._node = node
        self._serve = serve
        self._refuse = refuse
        self._transport: Any = None
        self._number = 0
        self._life = node.life
        self._received = bytearray()
        self._frames: deque[bytes] = deque()
        self._busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        self._transport = transport
        self._number = self._node.accepted(self)
        if not self._node.alive:
            self.reset()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone; what it had sent and nobody had begun is not done."""
        self._node.connections.pop(self._number, None)
        self._transport = None
        self._frames.clear()

    def data_received(self, data: bytes) -> None:
        """Cut the stream into requests."""
        if self._life != self._node.life:
            return
        self._received += data
        at, total = 0, len(self._received)
        while total - at >= _SIZE.size:
            (size,) = _SIZE.unpack_from(self._received, at)
            if total - at - _SIZE.size < size:
                break
            at += _SIZE.size
            self._frames.append(bytes(self._received[at : at + size]))
            at += size
        del self._received[:at]
        self._go_on()

    def reset(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()

    def _go_on(self) -> None:
        while self._frames and not self._busy:
            self._busy = True
            self._begin(self._frames.popleft())

    def _begin(self, frame: bytes) -> None:
        try:
            header, layout, request = read_request(frame)
        except KeyError:  # as a real broker does with a version that it does not speak
            self.reset()
            return
        node = self._node
        fault = node.faults.meets(header.api, node.node_id, header.client_id)
        node.surroundings.counts[header.api.name] += 1
        life = node.life

        def work() -> None:
            if life == node.life:
                self._serve(node, header, request, self._answer(header, layout, life, fault))

        if fault is not None and fault.effect is Effect.REFUSE:
            self._answer(header, layout, life, None)(self._refuse(node, header, request, fault.error))
        elif fault is not None and fault.effect is Effect.DELAY_REQUEST:
            node.surroundings.later(fault.delay_ms, work)
        else:
            work()

    def _answer(self, header: Header, layout: Layout, life: int, fault: Any) -> Answer:
        """What the answer of a request is given to, once."""

        def send(answer: Sequence[Any]) -> None:
            if life != self._node.life:
                return
            if fault is not None and fault.effect is Effect.LOSE_ANSWER:
                self.reset()
                return
            if self._transport is not None and not self._transport.is_closing():
                self._transport.write(answer_frame(header, layout, answer))
            self._busy = False
            self._go_on()

        if fault is not None and fault.effect is Effect.DELAY_ANSWER:
            return lambda answer: self._node.surroundings.later(fault.delay_ms, lambda: send(answer)) and None
        return send
