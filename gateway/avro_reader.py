"""Strict reading of Avro's bytes, by a function compiled for one writer's schema.

Knows the one canonical form of every type: numbers in no more bytes than they need, an array or map as one
counted block, each map key once. Must not know which records exist or why a refusal matters.
Whatever the bytes, the function returns a record, or raises TrailingBytesError or one of REFUSALS; what it
makes is bounded by the bytes that are there, never by a number that they claim.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from gateway import avro
from gateway.code import Code

Read: TypeAlias = Callable[[bytes], dict[str, Any]]


class MalformedError(ValueError):
    """The bytes are not a record in canonical form."""


class TrailingBytesError(ValueError):
    """The bytes start with a record in canonical form, and go on."""


# Reading beyond the end is an IndexError, an unknown symbol a KeyError: checks that cost nothing.
REFUSALS = (MalformedError, IndexError, KeyError, UnicodeDecodeError, struct.error)

_MORE = 0x80  # the bit of a number's byte that says that more follow
_MAX_NUMBER_BYTES = 10
# For each byte after the first: how far it is shifted, and the sum of the bits _MORE of all before it.
_SHIFTS = tuple((7 * n, sum(_MORE << 7 * m for m in range(n))) for n in range(1, _MAX_NUMBER_BYTES))
_LIMITS = {"int": 1 << 32, "long": 1 << 64}  # of the bits on the wire, where the lowest one is the sign
_STRAIGHT = {"int": 3, "long": 6}  # so many bytes are read without a call: a day, a moment
_SHORT_SYMBOLS = 64  # indexes below it take one byte


def compile_reader(written: avro.Record, ours: avro.Record, head: int = 0) -> Read:
    """Reads what was written by one schema behind `head` bytes, with the defaults of the fields that only ours has."""
    code = Code(_CONSTANTS)
    code.line(f"at = {head}")
    record = code.local()
    _Generator(code).value(written, ours, record)
    with code.block("if at != len(data)"):
        code.line("raise Trailing if at < len(data) else Malformed")
    code.line(f"return {record}")
    return code.function("data")


@dataclass(frozen=True, slots=True)
class _Generator:
    """Writes the lines that read a value at `at` into a local, and move `at` behind it.

    A slice beyond the end is shorter than it should be, and leaves `at` beyond the end: the next byte that is
    read, or the last check, refuses it.
    """

    code: Code

    def value(self, node: avro.Node, ours: avro.Node | None, into: str) -> None:
        if isinstance(ours, avro.Nullable):
            ours = ours.type
        match node:
            case avro.Scalar(kind):
                self._scalar(kind, into)
            case avro.EnumType(_, symbols):
                self._symbol(symbols, into)
            case avro.Fixed(_, size):
                self._slice(str(size), into)
            case avro.Nullable(inner, null_first):
                self._nullable(inner, ours, null_first, into)
            case avro.Array(items):
                self._array(items, ours.items if isinstance(ours, avro.Array) else None, into)
            case avro.Map(values):
                self._map(values, ours.values if isinstance(ours, avro.Map) else None, into)
            case avro.Record(_, fields):
                self._record(fields, ours.fields if isinstance(ours, avro.Record) else (), into)

    def _scalar(self, kind: str, into: str) -> None:
        code = self.code
        match kind:
            case "null":
                code.line(f"{into} = None")
            case "boolean":
                self._byte(f"{into} = BOOLEANS[data[at]]")
            case "int" | "long":
                self._byte(f"{into} = data[at]")
                with code.block(f"if {into} < {_MORE}"):
                    code.line(f"{into} = LONGS[{into}]")
                with code.block("else"):
                    self._number(kind, 1, into)
            case "bytes":
                self._size("size")
                self._slice("size", into)
            case "string":
                self._size("size")
                self._slice("size", into)
                code.line(f"{into} = {into}.decode()")
            case "float" | "double":
                size = struct.calcsize(_FORMATS[kind])
                self._slice(str(size), into)
                code.line(f"{into} = {kind}_value({into})")

    def _number(self, kind: str, known: int, into: str) -> None:
        """Read on where so many bytes of a number all say that more follow; `into` holds the sum of their bits."""
        code = self.code
        if known == _STRAIGHT[kind]:
            code.line(f"{into}, at = number(data, at - {known - 1}, {_LIMITS[kind]})")
            return
        shift, following = _SHIFTS[known - 1]
        self._byte("byte = data[at]")
        code.line(f"{into} += byte << {shift}")
        with code.block(f"if byte < {_MORE}"):
            code.line("if not byte: raise Malformed")
            code.line(f"{into} = {into} - {following} >> 1 if not {into} & 1 else ~({into} - {following} >> 1)")
        with code.block("else"):
            self._number(kind, known + 1, into)

    def _byte(self, text: str) -> None:
        self.code.line(text)
        self.code.line("at += 1")

    def _size(self, into: str) -> None:
        self._byte(f"{into} = SIZES[data[at]]")
        with self.code.block(f"if {into} is None"):
            self.code.line(f"{into}, at = size_of_bytes(data, at)")

    def _slice(self, size: str, into: str) -> None:
        self.code.line(f"end = at + {size}")
        self.code.line(f"{into} = data[at:end]")
        self.code.line("at = end")

    def _symbol(self, symbols: tuple[str, ...], into: str) -> None:
        code = self.code
        if len(symbols) <= _SHORT_SYMBOLS:
            by_byte = {2 * index: symbol for index, symbol in enumerate(symbols)}
            self._byte(f"{into} = {code.constant(by_byte)}[data[at]]")
        else:
            self._scalar("int", into)
            code.line(f"{into} = {code.constant(dict(enumerate(symbols)))}[{into}]")

    def _nullable(self, inner: avro.Node, ours: avro.Node | None, null_first: bool, into: str) -> None:
        code = self.code
        null, other = (0, 2) if null_first else (2, 0)
        self._byte(f"{into} = data[at]")
        with code.block(f"if {into} == {other}"):
            self.value(inner, ours, into)
        with code.block(f"elif {into} == {null}"):
            code.line(f"{into} = None")
        with code.block("else"):
            code.line("raise Malformed")

    def _array(self, items: avro.Node, ours: avro.Node | None, into: str) -> None:
        code, item = self.code, self.code.local()
        code.line(f"{into} = []")
        self._size("size")
        with code.block("if size"):
            self._enough(avro.min_bytes(items))
            with code.block("for _ in range(size)"):
                self.value(items, ours, item)
                code.line(f"{into}.append({item})")
            self._no_more_blocks()

    def _map(self, values: avro.Node, ours: avro.Node | None, into: str) -> None:
        code, key, value = self.code, self.code.local(), self.code.local()
        code.line(f"{into} = {{}}")
        self._size("size")
        with code.block("if size"):
            self._enough(1 + avro.min_bytes(values))
            with code.block("for _ in range(size)"):
                self._scalar("string", key)
                with code.block(f"if {key} in {into}"):
                    code.line("raise Malformed")
                self.value(values, ours, value)
                code.line(f"{into}[{key}] = {value}")
            self._no_more_blocks()

    def _enough(self, bytes_each: int) -> None:
        with self.code.block(f"if size * {bytes_each} > len(data) - at"):
            self.code.line("raise Malformed")

    def _no_more_blocks(self) -> None:
        with self.code.block("if data[at]"):
            self.code.line("raise Malformed")
        self.code.line("at += 1")

    def _record(self, fields: tuple[avro.Field, ...], ours: tuple[avro.Field, ...], into: str) -> None:
        known = {part.name: part.type for part in ours}
        parts = []
        for part in fields:
            value = self.code.local()
            self.value(part.type, known.pop(part.name, None), value)
            parts.append(f"{part.name!r}: {value}")
        parts.extend(f"{part.name!r}: {self._default(part)}" for part in ours if part.name in known)
        self.code.line(f"{into} = {{{', '.join(parts)}}}")

    def _default(self, part: avro.Field) -> str:
        if part.default in ([], {}):
            return str(part.default)  # a new one each time: a record belongs to whoever reads it
        return self.code.constant(part.default)


def _number(data: bytes, at: int, limit: int) -> tuple[int, int]:
    """The number whose first byte, before `at`, says that more follow; and where it ends.

    The bits that say so are summed up with the rest, and taken off in the end: half the work of masking each byte.
    """
    bits = data[at - 1]
    for shift, following in _SHIFTS:
        byte = data[at]
        at += 1
        bits += byte << shift
        if byte < _MORE:
            bits -= following
            if byte == 0 or bits >= limit:
                raise MalformedError
            return ~(bits >> 1) if bits & 1 else bits >> 1, at
    raise MalformedError


def _size(data: bytes, at: int) -> tuple[int, int]:
    """The size whose first byte, before `at`, is not all of it."""
    size, at = _number(data, at, _LIMITS["long"])
    if size < 0:
        raise MalformedError
    return size, at


def _double(data: bytes) -> float:
    number: float = struct.unpack("<d", data)[0]
    return number


def _float(data: bytes) -> float:
    number: float = struct.unpack("<f", data)[0]
    if struct.pack("<f", number) != data:
        raise MalformedError  # a signalling NaN does not survive in a double
    return number


_FORMATS = {"float": "<f", "double": "<d"}
_CONSTANTS = {
    # by the first byte; None if more follow or if it is no size
    "LONGS": tuple(byte >> 1 ^ -(byte & 1) for byte in range(_MORE)),
    "SIZES": tuple(byte >> 1 if byte < _MORE and not byte & 1 else None for byte in range(256)),
    "BOOLEANS": {0: False, 1: True},
    "number": _number,
    "size_of_bytes": _size,
    "double_value": _double,
    "float_value": _float,
    "Malformed": MalformedError,
    "Trailing": TrailingBytesError,
}
