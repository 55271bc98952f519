"""Faults of the connection: what was right arrives broken, late, without end, or not at all.

Knows bytes and connections; must not know what the bytes say.
"""

import asyncio
import random
import zlib
from dataclasses import dataclass
from functools import cache

from gateway.sandbox.genie.answer import Answer, Wire
from gateway.sandbox.genie.faults.fault import MAX_SECONDS, Point, RequestFault

_CHUNK = 16 * 1024
_MEGABYTE = 1024 * 1024
_MAX_MEGABYTES = 1024  # that an endless body sends, and a bomb becomes
_CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
_COMPRESSED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
)


@dataclass(frozen=True, kw_only=True)
class ResetBeforeAccepting(RequestFault):
    point = Point.BEFORE_JUDGING
    sentence = "the connection ends before GeNiE takes anything"

    async def act(self, wire: Wire, chance: random.Random) -> Answer | None:
        raise wire.cut()


@dataclass(frozen=True, kw_only=True)
class ResetAfterAccepting(RequestFault):
    point = Point.AFTER_ACCEPTING
    sentence = "GeNiE takes the entries, then the connection ends"

    async def act(self, wire: Wire, chance: random.Random) -> Answer | None:
        raise wire.cut()


@dataclass(frozen=True, kw_only=True)
class ResetAfterBytes(RequestFault):
    point = Point.ON_SENDING
    sentence = "the connection ends after so many bytes of the answer"
    bytes: int = 100

    async def act(self, wire: Wire, chance: random.Random) -> Answer | None:
        await wire.write(wire.message[: self.bytes])
        raise wire.cut()


@dataclass(frozen=True, kw_only=True)
class StallAfterBytes(RequestFault):
    point = Point.ON_SENDING
    sentence = "after so many bytes of the answer nothing more comes"
    bytes: int = 100
    seconds: float = 60

    async def act(self, wire: Wire, chance: random.Random) -> Answer | None:
        await wire.write(wire.message[: self.bytes])
        raise await wire.hang(min(self.seconds, MAX_SECONDS))


@dataclass(frozen=True, kw_only=True)
class SlowBytes(RequestFault):
    point = Point.ON_SENDING
    sentence = "the answer comes byte by byte, one in so many ms"
    ms: float = 100

    async def act(self, wire: Wire, chance: random.Random) -> Answer | None:
        until = asyncio.get_running_loop().time() + MAX_SECONDS
        for byte in wire.message:
            if asyncio.get_running_loop().time() > until:
                break
            await wire.write(bytes([byte]))
            await asyncio.sleep(self.ms / 1000)
        raise wire.close()


@dataclass(frozen=True, kw_only=True)
class GarbageBytes(RequestFault):
    point = Point.ON_SENDING
    sentence = "what comes back is no HTTP"
    bytes: int = 256

    async def act(self, wire: Wire, chance: random.Random) -> Answer | None:
        await wire.write(b"\x00" + chance.randbytes(min(self.bytes, _MEGABYTE)))
        raise wire.close()


@dataclass(frozen=True, kw_only=True)
class EndlessBody(RequestFault):
    point = Point.ON_SENDING
    sentence = "the content of the answer does not end"

    async def act(self, wire: Wire, chance: random.Random) -> Answer | None:
        await wire.write(_CHUNKED)
        chunk = b"%x\r\n%b\r\n" % (_CHUNK, b" " * _CHUNK)
        for _ in range(_MAX_MEGABYTES * _MEGABYTE // _CHUNK):
            await wire.write(chunk)
            await asyncio.sleep(0)  # others have their turn
        raise wire.cut()


@dataclass(frozen=True, kw_only=True)
class CompressedBomb(RequestFault):
    point = Point.ON_SENDING
    sentence = "a small compressed content that becomes so many megabytes"
    megabytes: int = 100

    async def act(self, wire: Wire, chance: random.Random) -> Answer | None:
        bomb = await asyncio.to_thread(_bomb, min(self.megabytes, _MAX_MEGABYTES))
        await wire.write(_COMPRESSED % len(bomb) + bomb)
        raise wire.close()


@cache  # it takes a second
def _bomb(megabytes: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)  # + 16: in the format of gzip
    return b"".join([packer.compress(b"\0" * _MEGABYTE) for _ in range(megabytes)]) + packer.flush()
