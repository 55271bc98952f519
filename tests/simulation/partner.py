"""GeNiE without a network: the sandbox's own server, books, signatures and faults behind an in-memory transport.

Knows how a request gets from a gateway to GeNiE and back, and what may befall it on that wire. Must not know what is
in it. GeNiE's side runs outside of every simulated host: a gateway that is killed or frozen ends nothing at GeNiE.
"""

from __future__ import annotations

import asyncio
import contextvars
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

import orjson
from aiohttp import web
from multidict import CIMultiDict

from gateway.genie.transport import (
    CONNECT_TIMEOUT_S,
    BrokenError,
    HttpAnswer,
    NotConnectedError,
    Origin,
    TlsRefusedError,
    Transport,
)
from gateway.sandbox import pki as pkis
from gateway.sandbox.genie.books import Books
from gateway.sandbox.genie.faults import Faults
from gateway.sandbox.genie.server import Counts, Genie
from gateway.sandbox.genie.signatures import AnswerSigner, RequestVerifier
from gateway.sandbox.pki import Pki
from tests.chaos.plan import LinkTrouble
from tests.simulation.loop import HOST

LATENCY_S = (0.001, 0.004)  # one way
LATE_S = (0.2, 2.0)  # one way, while a wire delays
_CLIENT_LEFT = 499  # what the server says to nobody


@dataclass(slots=True)
class Asked:
    """One request, and what came of it, for those who tell the story."""

    at_s: float
    client: str
    path: str
    content: bytes
    receipts: list[int] = field(default_factory=list)  # their numbers, from 1
    judged_s: float | None = None
    status: int | None = None
    answer: bytes = b""
    reached: bool = False  # whether the client got the answer


_ASKED: contextvars.ContextVar[Asked] = contextvars.ContextVar("asked")


class MemoryReceipts:
    """What GeNiE took, line by line; it outlives a GeNiE that is killed."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def append(self, lines: Iterable[Mapping[str, Any]]) -> None:
        before = len(self.lines)
        self.lines.extend([orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in lines])
        asked = _ASKED.get(None)
        if asked is not None:
            asked.receipts.extend(range(before + 1, len(self.lines) + 1))
            asked.judged_s = asyncio.get_running_loop().time()

    def read(self) -> Iterator[dict[str, Any]]:
        return map(orjson.loads, self.lines)


class Wire:
    """What lies between one gateway and GeNiE."""

    def __init__(self, rng: Random, client: str) -> None:
        self.client = client
        self.trouble: LinkTrouble | None = None
        self.struck: Counter[LinkTrouble] = Counter()
        self._rng = rng
        self._healed = asyncio.Event()
        self._healed.set()
        self._open = 0  # connections that stand
        self._under_way: dict[int, Exchange] = {}
        self._count = 0

    def hurt(self, trouble: LinkTrouble) -> None:
        """From now on; a cut ends what is under way."""
        self.trouble = trouble
        self._healed.clear()
        if trouble is LinkTrouble.CUT:
            self.end_all()

    def heal(self) -> None:
        """Whatever waits goes on; connections that were half open end."""
        half_open = self.trouble is LinkTrouble.HALF_OPEN
        self.trouble = None
        self._healed.set()
        if half_open:
            self.end_all()

    def end_all(self) -> None:
        """Reset every connection."""
        self._open = 0
        for exchange in list(self._under_way.values()):
            exchange.abort()

    def begin(self, exchange: Exchange) -> int:
        self._count += 1
        self._under_way[self._count] = exchange
        return self._count

    def end(self, number: int) -> None:
        del self._under_way[number]

    async def to_genie(self) -> bool:
        """Carry a request; False if it never arrives. Raises NotConnectedError where no connection can be opened."""
        await self._pass()
        if self.trouble is LinkTrouble.CUT:
            self._strike()
            raise NotConnectedError("no connection")
        if self.trouble is LinkTrouble.SILENT:
            self._strike()
            if len(self._under_way) > self._open:
                await asyncio.sleep(CONNECT_TIMEOUT_S)
                raise NotConnectedError("no connection in time")
            await self._healed.wait()
            return self._rng.random() < 0.5  # what lay in buffers may arrive although its sender has given up
        self._open = max(self._open, len(self._under_way))
        return True

    async def from_genie(self) -> bool:
        """Carry an answer; False if it never arrives whole."""
        await self._pass()
        if self.trouble is LinkTrouble.RESET_AFTER:
            self._strike()
            return False
        if self.trouble in (LinkTrouble.SILENT, LinkTrouble.HALF_OPEN):
            self._strike()
            half_open = self.trouble is LinkTrouble.HALF_OPEN
            await self._healed.wait()
            return not half_open
        return True

    async def _pass(self) -> None:
        late = self.trouble is LinkTrouble.DELAY
        if late:
            self._strike()
        await asyncio.sleep(self._rng.uniform(*(LATE_S if late else LATENCY_S)))

    def _strike(self) -> None:
        if self.trouble is not None:
            self.struck[self.trouble] += 1


class Exchange:
    """One request as aiohttp would hand it to the server, its connection, and the future of its answer."""

    method = "POST"

    def __init__(self, host: str, path: str, headers: Mapping[str, str], content: bytes, client: str) -> None:
        self.answered: asyncio.Future[web.Response] = asyncio.get_running_loop().create_future()
        self.host = host
        self.raw_path = path
        self.headers = CIMultiDict({"host": host, **headers, "content-length": str(len(content))})
        self.transport = self
        self.content = self
        self._content = content
        self._client = HOST.get()
        self._closed = False
        self.asked = Asked(self.answered.get_loop().time(), client, self.raw_path, self._content)

    # --- what the server reads and writes -----------------------------------------------------------------

    async def iter_any(self) -> AsyncIterator[bytes]:
        yield self._content

    def is_closing(self) -> bool:
        return self._closed

    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, content: bytes) -> None:
        """Part of an answer, or no answer at all: the client waits for the rest of it."""

    def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        """The connection ends."""
        self.fail(BrokenError("connection broken"))

    # --- what the client gets -----------------------------------------------------------------------------

    def fail(self, error: BrokenError | NotConnectedError) -> None:
        self._closed = True
        if not self.answered.done():
            self.answered.set_exception(error)
            self.answered.exception()  # looked at: its client may have left

    def leave(self) -> None:
        """The client waits no longer."""
        self._closed = True
        self.answered.cancel()

    def say(self, response: web.Response) -> None:
        """What GeNiE answers, whether or not that arrives."""
        self.asked.status = response.status
        self.asked.answer = response.body if isinstance(response.body, bytes) else b""

    def answer(self, response: web.Response) -> None:
        if response.status == _CLIENT_LEFT:
            self.abort()
        elif not self.answered.done():
            self.answered.set_result(response)
            self.asked.reached = self._client is None or self._client.alive


class Partner:
    """The one GeNiE of a world; what it took stands in `receipts`. To be made inside the running loop."""

    def __init__(self, keys: Pki, seed: int) -> None:
        self.receipts = MemoryReceipts()
        self.asked: list[Asked] = []  # in turn
        self.faults = Faults(seed, asyncio.get_running_loop().time)
        self.skew_ms = 0
        self.is_up = True
        self.counts = Counts()
        self.crashes = 0
        self._keys = keys
        self._usual: Mapping[str, object] = {}
        self._on: dict[str, object] = {}
        self._rng = Random(f"{seed}/partner")
        self._wires: dict[str, Wire] = {}
        self._carrying: dict[asyncio.Task[None], None] = {}  # in order
        self._genie = self._made()

    def now_ms(self) -> int:
        """GeNiE's clock."""
        return time.time_ns() // 1_000_000 + self.skew_ms

    def wire(self, client: str) -> Wire:
        """What lies between this gateway and GeNiE."""
        if client not in self._wires:
            self._wires[client] = Wire(Random(f"{self._rng.random()}/{client}"), client)
        return self._wires[client]

    def transport(self, client: str) -> Callable[[str, ssl.SSLContext, int], Transport]:
        """Stands where the gateway's GenieTransport would."""
        return lambda base_url, _tls, _connections: _Transport(self, self.wire(client), Origin.of(base_url))

    def fail_as_usual(self, usual: Mapping[str, object]) -> None:
        """These of the sandbox's faults are on all along."""
        self._usual = usual
        self.faults.replace({**usual, **self._on})

    def fail(self, wanted: Mapping[str, object]) -> None:
        """Switch these on."""
        self._on |= wanted
        self.faults.replace({**self._usual, **self._on})

    def mend(self, name: str) -> None:
        """Switch this one off."""
        self._on.pop(name, None)
        self.faults.replace({**self._usual, **self._on})

    def be_well(self) -> None:
        """No faults, no wire in trouble, up, on time."""
        self._on.clear()
        self.fail_as_usual({})
        self.skew_ms = 0
        if not self.is_up:
            self.start_again()
        for wire in self._wires.values():
            wire.heal()

    def crash(self) -> None:
        """Killed with -9: what is under way ends, what was taken stays."""
        self.is_up = False
        self.crashes += 1
        for task in list(self._carrying):
            task.cancel()
        for wire in self._wires.values():
            wire.end_all()

    def start_again(self) -> None:
        """On its receipts; nonces are forgotten."""
        self._genie = self._made()
        self.is_up = True

    def carry(self, exchange: Exchange, wire: Wire) -> None:
        """Take a request on its way, outside of every host."""
        number = wire.begin(exchange)
        self.asked.append(exchange.asked)
        task = asyncio.get_running_loop().create_task(self._carry(exchange, wire), context=contextvars.Context())
        self._carrying[task] = None

        def over(_: asyncio.Task[None]) -> None:
            wire.end(number)
            del self._carrying[task]
            exchange.abort()

        task.add_done_callback(over, context=contextvars.Context())

    async def _carry(self, exchange: Exchange, wire: Wire) -> None:
        _ASKED.set(exchange.asked)
        try:
            if not await wire.to_genie():
                return
            if not self.is_up:
                exchange.fail(NotConnectedError("no connection"))
                return
            if self.faults.handshake() is not None:
                exchange.fail(TlsRefusedError("TLS handshake failed"))
                return
            response = await self._genie.handle(exchange)  # type: ignore[arg-type]  # it has all that is asked of one
            if isinstance(response, web.Response):
                exchange.say(response)
                if await wire.from_genie():
                    exchange.answer(response)
        except (BrokenError, NotConnectedError) as error:
            exchange.fail(error)

    def _made(self) -> Genie:
        keys, clock = self._keys, self.now_ms
        public = {
            pkis.NOREL_ED25519_ID: pkis.public_half(keys.norel_ed25519),
            pkis.NOREL_P256_ID: pkis.public_half(keys.norel_p256),
        }
        return Genie(
            verifier=RequestVerifier(public, clock),
            signer=AnswerSigner.load(keys.genie_ed25519, pkis.GENIE_ED25519_ID, clock),
            books=Books(self.receipts),  # type: ignore[arg-type]  # lines in memory
            faults=self.faults,
            clock=clock,
            counts=self.counts,
        )


class _Transport:
    def __init__(self, partner: Partner, wire: Wire, origin: Origin) -> None:
        self._partner = partner
        self._wire = wire
        self._origin = origin

    async def post(self, path: str, headers: Mapping[str, str], content: bytes) -> HttpAnswer:
        exchange = Exchange(self._origin.authority, path, headers, content, self._wire.client)
        self._partner.carry(exchange, self._wire)
        try:
            response = await exchange.answered
        except asyncio.CancelledError:
            exchange.leave()
            raise
        body = response.body if isinstance(response.body, bytes) else b""
        return HttpAnswer(response.status, {name.lower(): text for name, text in response.headers.items()}, body)

    async def aclose(self) -> None:
        """Nothing stands open."""
