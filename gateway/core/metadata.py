"""The commit's metadata: what a lane's next owner must know beside the offset. (contract.md, "Commit metadata")

Knows its bytes. Must not know who writes or reads them. Layout, before base64 without padding:

    1 byte   format version (1; what a release must do to change it: docs/explanation/releases.md)
    varint   opens without progress
    varint   count of live intents, then for each: varint partition, signed varint offset minus the previous one's
    1 byte   0: the settled set is a bitmap; 1: it is runs
    rest     bitmap: bit i of byte i//8 is offset+i; runs: varint skip, varint length, repeated
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

FORMAT = 1
LAST_FORMAT = 15  # what begins with more was written by somebody else
MAX_METADATA_BYTES = 4_096  # the broker's offset.metadata.max.bytes by default
MAX_WINDOW = 16_384  # a bitmap of 2,048 bytes
MAX_LIVE_INTENTS = 160  # 6 bytes each fit beside a full bitmap: they lie in one partition, near each other
_BITMAP, _RUNS = 0, 1
_MAX_VARINT_BYTES = 10


class NotOurMetadataError(ValueError):
    """The committed metadata was not written by a lane: the offset is not ours."""


class NewerMetadataError(NotOurMetadataError):
    """A later release committed the metadata."""


@dataclass(frozen=True, slots=True, order=True)
class IntentRef:
    """Where a live intent lies in the intents topic."""

    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class CommitMetadata:
    """What is committed beside the watermark."""

    settled: tuple[int, ...] = ()  # offsets settled beyond the committed one, ascending
    intents: tuple[IntentRef, ...] = ()  # live intents: their entries may have been sent
    opens: int = 0  # how often the lane was opened since it last settled something

    def encode(self, offset: int) -> str:
        """The metadata committed with `offset`; raises ValueError when it would not fit."""
        settled = self._settled_bytes(offset)
        raw = bytes([FORMAT]) + _varint(self.opens) + self._intents_bytes() + settled
        text = base64.b64encode(raw).rstrip(b"=").decode()
        if len(text) > MAX_METADATA_BYTES:
            raise ValueError(f"commit metadata of {len(text)} bytes: at most {MAX_METADATA_BYTES} fit")
        return text

    @classmethod
    def decode(cls, text: str, offset: int) -> CommitMetadata:
        """Read what `encode` wrote for `offset`; raises NotOurMetadataError for anything else, NewerMetadataError for
        what a later release wrote."""
        try:
            raw = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), validate=True)
        except (binascii.Error, UnicodeEncodeError) as error:
            raise NotOurMetadataError("not base64") from error
        if not raw or raw[0] != FORMAT:
            whose = NewerMetadataError if raw and FORMAT < raw[0] <= LAST_FORMAT else NotOurMetadataError
            raise whose(f"format {raw[0] if raw else 'missing'}, this release reads {FORMAT}")
        try:
            return cls._read(raw, offset)
        except ValueError as error:
            raise NotOurMetadataError("cut short or not as laid out") from error

    @classmethod
    def _read(cls, raw: bytes, offset: int) -> CommitMetadata:
        numbers = iter(raw[1:])
        opens = _read_varint(numbers)
        refs = []
        last = 0
        for _ in range(_bounded(_read_varint(numbers), MAX_LIVE_INTENTS)):
            partition = _read_varint(numbers)
            last += _unzigzag(_read_varint(numbers))
            refs.append(IntentRef(partition, last))
        kind, rest = next(numbers, None), bytes(numbers)
        if kind == _BITMAP:
            settled = [offset + 8 * i + bit for i, byte in enumerate(rest) for bit in range(8) if byte >> bit & 1]
        elif kind == _RUNS:
            settled = list(_read_runs(rest, offset))
        else:
            raise ValueError("unknown kind of settled set")
        if settled and settled[-1] >= offset + MAX_WINDOW:
            raise ValueError("settled offsets beyond the window")
        return cls(tuple(settled), tuple(refs), opens)

    def _intents_bytes(self) -> bytes:
        out = bytearray(_varint(len(self.intents)))
        last = 0
        for ref in self.intents:
            out += _varint(ref.partition) + _varint(_zigzag(ref.offset - last))
            last = ref.offset
        return bytes(out)

    def _settled_bytes(self, offset: int) -> bytes:
        if not self.settled:
            return bytes([_BITMAP])
        if self.settled[0] < offset or self.settled[-1] >= offset + MAX_WINDOW:
            raise ValueError(f"settled offsets outside {offset}..{offset + MAX_WINDOW - 1}")
        bitmap = bytearray((self.settled[-1] - offset) // 8 + 1)
        for settled in self.settled:
            bitmap[(settled - offset) >> 3] |= 1 << ((settled - offset) & 7)
        runs = b"".join(_varint(skip) + _varint(length) for skip, length in _runs(self.settled, offset))
        return min(bytes([_BITMAP]) + bytes(bitmap), bytes([_RUNS]) + runs, key=len)


def _runs(settled: Iterable[int], offset: int) -> Iterator[tuple[int, int]]:
    at, start, length = offset, 0, 0
    for o in settled:
        if length and o == start + length:
            length += 1
            continue
        if length:
            yield start - at, length
            at = start + length
        start, length = o, 1
    if length:
        yield start - at, length


def _read_runs(raw: bytes, offset: int) -> Iterator[int]:
    numbers = iter(raw)
    at = offset
    for skip in _varints(numbers):
        length = _read_varint(numbers)
        at = _bounded(at + skip + length, offset + MAX_WINDOW)
        yield from range(at - length, at)


def _varints(numbers: Iterator[int]) -> Iterator[int]:
    """Varints until nothing is left."""
    for byte in numbers:
        yield _read_varint(chain((byte,), numbers))


def _bounded(number: int, most: int) -> int:
    if number > most:
        raise ValueError(f"{number} where at most {most} are allowed")
    return number


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _read_varint(numbers: Iterator[int]) -> int:
    value = 0
    for shift in range(0, 7 * _MAX_VARINT_BYTES, 7):
        byte = next(numbers, None)
        if byte is None:
            raise ValueError("a number is cut short")
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value
    raise ValueError("a number without end")


def _zigzag(number: int) -> int:
    return number << 1 if number >= 0 else (-number << 1) - 1


def _unzigzag(number: int) -> int:
    return number >> 1 if number & 1 == 0 else -((number + 1) >> 1)
