"""The network between hosts and servers: ordered streams of bytes with a little delay, and what goes wrong with them.

Promised: a connection's bytes arrive whole and in order, or not at all, each way after a delay drawn from `rng`; both
ends are real asyncio transports to their protocols. What arrives at a frozen host waits (see loop.py). When a host
dies, what it had written still arrives, then its peers see a reset. Trouble is of a link, which is everything between
the hosts of one name and one address, and lasts until it is healed:

    refuse    new connections are refused
    silence   nothing passes either way, nothing ends; healed, what waited arrives (as TCP sends again)
    half_open what the client writes passes, answers do not
    delay     so much later, each way
    reset     once: all connections end on both sides, what was under way arrives or doesn't
    reset_after  once: after so many more bytes of answers a connection is reset, in the middle of an answer mostly

Not modelled: a full window (a sender never has to wait for a receiver that reads slowly), loss of bytes in a live
connection, TLS. Must not know what is said.
"""

import asyncio
import contextvars
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import takewhile
from random import Random
from typing import Any

from tests.coded import Coded
from tests.simulation.loop import HOST, Host, VirtualLoop

LEAST_S = 0.000_1  # each way
MOST_S = 0.002
MAX_UNDER_WAY = 64 << 20  # bytes of one direction

Address = tuple[str, int]


class Trouble(Coded):
    """What is counted: (code, sentence)."""

    sentence: str

    REFUSED = ("refused", "a connection was refused")
    KEPT_SILENT = ("kept_silent", "bytes or a connection waited in a silent link")
    ANSWER_KEPT = ("answer_kept", "an answer waited in a half-open link")
    DELAYED = ("delayed", "bytes came late")
    RESET = ("reset", "a connection was reset")
    CUT = ("cut", "a connection was reset in the middle of its answers")
    DIED = ("died", "a connection ended with its host")


class Link:
    """All between the hosts of one name and one address."""

    def __init__(self) -> None:
        self.refused = self.silent = self.half_open = False
        self.delay_s = 0.0
        self.cut_after: int | None = None
        self.healed = asyncio.Event()
        self.connections: dict[_Connection, None] = {}

    def holds(self, to_client: bool) -> bool:
        return self.silent or (self.half_open and to_client)


class Network:
    """One network; `loop.network` is set to it."""

    def __init__(self, loop: VirtualLoop, rng: Random, most_s: float = MOST_S) -> None:
        self.counts: Counter[Trouble] = Counter()
        self.loop = loop
        self._rng = rng
        self._most_s = most_s
        self._listening: dict[Address, tuple[Callable[[], asyncio.Protocol], contextvars.Context]] = {}
        self._links: dict[tuple[str, Address], Link] = {}
        self._of_hosts: dict[Host, dict[_Connection, None]] = {}
        loop.network = self

    # --- servers and clients ------------------------------------------------------------------------------

    def listen(self, host: str, port: int, protocol_factory: Callable[[], asyncio.Protocol]) -> None:
        """Serve an address; the factory may raise ConnectionRefusedError while nobody is there."""
        self._listening[host, port] = (protocol_factory, contextvars.copy_context())

    async def connect(self, protocol_factory: Callable[[], Any], host: str, port: int) -> tuple[Any, Any]:
        """As loop.create_connection: raises ConnectionRefusedError, or waits as long as the link is silent."""
        client = HOST.get()
        link = self.link(client, (host, port))
        await asyncio.sleep(self.latency() + link.delay_s)
        while link.silent or link.half_open:
            self.counts[Trouble.KEPT_SILENT] += 1
            await link.healed.wait()
            await asyncio.sleep(self.latency())
        server = None if link.refused else self._accepted(host, port)
        if server is None:
            self.counts[Trouble.REFUSED] += 1
            raise ConnectionRefusedError(f"nobody listens at {host}:{port}")
        protocol = protocol_factory()
        connection = _Connection(self, link, client, (host, port), protocol, *server)
        if client is not None:
            if client not in self._of_hosts:
                client.at_death(partial(self._died, client))
            self._of_hosts.setdefault(client, {})[connection] = None
        return connection.client.transport, protocol

    def _died(self, host: Host) -> None:
        for connection in list(self._of_hosts.pop(host, ())):
            connection.died()

    def ended(self, connection: "_Connection") -> None:
        """Both ends have lost it."""
        connection.link.connections.pop(connection, None)
        if connection.host is not None:
            self._of_hosts.get(connection.host, {}).pop(connection, None)

    def _accepted(self, host: str, port: int) -> tuple[Any, contextvars.Context] | None:
        factory, context = self._listening.get((host, port), (None, None))
        if factory is None or context is None:
            return None
        with suppress(ConnectionRefusedError):
            return context.copy().run(factory), context.copy()
        return None

    def latency(self) -> float:
        """Of one way."""
        return self._rng.uniform(LEAST_S, self._most_s)

    def either(self) -> bool:
        """One of two things that may both be."""
        return self._rng.random() < 0.5

    # --- trouble ------------------------------------------------------------------------------------------

    def link(self, host: Host | str | None, address: Address) -> Link:
        """Between a host (by name; None: the world itself) and an address."""
        name = host.name if isinstance(host, Host) else host or ""
        return self._links.setdefault((name, address), Link())

    def refuse(self, host: Host | str, address: Address) -> None:
        self.link(host, address).refused = True

    def silence(self, host: Host | str, address: Address) -> None:
        self.link(host, address).silent = True

    def half_open(self, host: Host | str, address: Address) -> None:
        self.link(host, address).half_open = True

    def delay(self, host: Host | str, address: Address, ms: float) -> None:
        self.link(host, address).delay_s = ms / 1000

    def reset(self, host: Host | str, address: Address) -> None:
        link = self.link(host, address)
        for connection in list(link.connections):
            self.counts[Trouble.RESET] += 1
            connection.reset()

    def reset_after(self, host: Host | str, address: Address, bytes_of_answers: int) -> None:
        self.link(host, address).cut_after = bytes_of_answers

    def heal(self, host: Host | str, address: Address) -> None:
        """All is well again between the two; what waited arrives."""
        link = self.link(host, address)
        link.refused = link.silent = link.half_open = False
        link.delay_s, link.cut_after = 0.0, None
        link.healed.set()
        link.healed = asyncio.Event()
        for connection in list(link.connections):
            connection.go_on()

    def heal_all(self) -> None:
        for name, address in list(self._links):
            self.heal(name, address)


class _End:
    """One end of a connection: its transport and protocol, and what is under way to it."""

    def __init__(self, connection: "_Connection", protocol: Any, context: contextvars.Context, peer: Address) -> None:
        self.connection, self.protocol, self.context = connection, protocol, context
        self.transport = _Transport(self, peer)
        self.other: _End = self  # until both are there
        self.is_client = False
        self.under_way: list[bytes | Exception | None] = []  # None: the other end writes no more
        self.due = False  # something of it is timed
        self.paused = self.closing = self.lost = False

    def send(self, data: bytes | Exception | None) -> None:
        """To the other end; a None says that no more comes, an error ends it there."""
        connection, to = self.connection, self.other
        if to.lost:
            if data is not None and not isinstance(data, Exception):  # as TCP: whoever writes to nobody is told so
                self.lose(ConnectionResetError("nobody there"))
            return
        to.under_way.append(data)
        connection.hurry(to)

    def arrive(self) -> None:
        """Hand over what has come, in the context of whoever owns this end."""
        self.due = False
        if self.lost or self.paused or not self.under_way:
            return
        if self.connection.held(self):
            return
        pieces, self.under_way = self.under_way, []
        data = list(takewhile(_is_bytes, pieces))
        if data and not self._read(b"".join(data)):
            return
        end = next(iter(pieces[len(data) :]), b"")
        if isinstance(end, Exception):
            self.lose(end)
        elif end is None and not self.lost and not self.protocol.eof_received():
            self.transport.close()

    def _read(self, data: bytes) -> bool:
        passing, cut = self.connection.cut(self, data)
        if passing:
            self.protocol.data_received(passing)
        if cut:
            self.connection.reset()
        return not cut

    def lose(self, error: Exception | None) -> None:
        """Nothing more comes here; the protocol hears of it once, in its own context."""
        if self.lost:
            return
        self.lost = self.closing = True
        self.under_way.clear()
        loop = self.connection.network.loop
        loop.arrive_at(loop.time(), self._tell_lost, error, context=self.context)
        if self.other.lost:
            self.connection.network.ended(self.connection)

    def _tell_lost(self, error: Exception | None) -> None:
        self.protocol.connection_lost(error)


class _Connection:
    def __init__(
        self,
        network: Network,
        link: Link,
        host: Host | None,
        address: Address,
        client_protocol: Any,
        server_protocol: Any,
        server_context: contextvars.Context,
    ) -> None:
        self.network, self.link, self.host = network, link, host
        name = host.name if host is not None else "world"
        self.client = _End(self, client_protocol, contextvars.copy_context(), address)
        self.server = _End(self, server_protocol, server_context, (name, 0))
        self.client.other, self.server.other = self.server, self.client
        self.client.is_client = True
        link.connections[self] = None
        for end in (self.server, self.client):  # the server first: it must not hear bytes before of the connection
            end.context.copy().run(end.protocol.connection_made, end.transport)

    @property
    def host_is_dead(self) -> bool:
        return self.host is not None and not self.host.alive

    def hurry(self, to: _End) -> None:
        """See to it that what is under way arrives."""
        if to.due or to.lost or self.held(to):
            return
        to.due = True
        delay = self.network.latency() + self.link.delay_s
        if self.link.delay_s:
            self.network.counts[Trouble.DELAYED] += 1
        loop = self.network.loop
        loop.arrive_at(loop.time() + delay, to.arrive, context=to.context)

    def held(self, to: _End) -> bool:
        if not self.link.holds(to.is_client):
            return False
        self.network.counts[Trouble.KEPT_SILENT if self.link.silent else Trouble.ANSWER_KEPT] += 1
        return True

    def go_on(self) -> None:
        for end in (self.client, self.server):
            if end.under_way:
                self.hurry(end)

    def cut(self, to: _End, data: bytes) -> tuple[bytes, bool]:
        """What of an answer passes, and whether the connection ends in its middle."""
        left = self.link.cut_after
        if left is None or not to.is_client:
            return data, False
        if len(data) < left:
            self.link.cut_after = left - len(data)
            return data, False
        self.link.cut_after = None
        self.network.counts[Trouble.CUT] += 1
        return data[:left], True

    def reset(self) -> None:
        """Both ends lose it; what was under way arrives before that, or never."""
        for end in (self.server, self.client):
            arrives = self.network.either()
            if arrives and end.due:
                end.under_way.append(ConnectionResetError("reset"))
            else:
                end.lose(ConnectionResetError("reset"))

    def died(self) -> None:
        """Its system still sends what was written, then a reset."""
        if self.client.lost:
            return
        self.network.counts[Trouble.DIED] += 1
        self.client.send(ConnectionResetError("the host died"))
        self.client.lose(None)


def _is_bytes(piece: bytes | Exception | None) -> bool:
    return isinstance(piece, bytes)


class _Transport(asyncio.Transport):
    def __init__(self, end: _End, peer: Address) -> None:
        super().__init__({"peername": peer, "sockname": ("simulated", 0)})
        self._end = end

    def write(self, data: Any) -> None:
        end = self._end
        if end.closing or not data or end.connection.host_is_dead:
            return
        if len(data) + sum(map(len, filter(_is_bytes, end.other.under_way))) > MAX_UNDER_WAY:
            raise AssertionError("more is under way than any reader can be behind")
        end.send(bytes(data))

    def write_eof(self) -> None:
        if not self._end.closing:
            self._end.send(None)

    def can_write_eof(self) -> bool:
        return True

    def close(self) -> None:
        end = self._end
        if not end.closing and not end.connection.host_is_dead:
            end.send(None)
            end.lose(None)

    def abort(self) -> None:
        end = self._end
        if not end.closing and not end.connection.host_is_dead:
            end.send(ConnectionResetError("aborted by its peer"))
            end.lose(None)

    def is_closing(self) -> bool:
        return self._end.closing

    def pause_reading(self) -> None:
        self._end.paused = True

    def resume_reading(self) -> None:
        end = self._end
        if end.paused:
            end.paused = False
            if end.under_way:
                end.connection.hurry(end)

    def is_reading(self) -> bool:
        return not self._end.paused

    def set_protocol(self, protocol: Any) -> None:
        self._end.protocol = protocol

    def get_protocol(self) -> Any:
        return self._end.protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """A sender never has to wait."""

    def get_write_buffer_size(self) -> int:
        return 0
