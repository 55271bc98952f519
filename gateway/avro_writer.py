"""Writing records as Avro's bytes, by a function compiled for one schema.

Knows the canonical form of every type, and that a record must be exactly of its schema: every field and no
other, each of its own Python type. Must not know which records exist or where the bytes go.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NoReturn, TypeAlias, TypeVar

from gateway import avro
from gateway.code import Code

Write: TypeAlias = Callable[[Mapping[str, Any]], bytes]

T = TypeVar("T")


class UnfitRecordError(ValueError):
    """A record that is not of its schema; the text names fields and types, never a value."""


_TYPES = {
    "boolean": "bool",
    "int": "int",
    "long": "int",
    "float": "float",
    "double": "float",
    "bytes": "bytes",
    "string": "str",
}
TEXTS_KEPT = 1024  # tuples remembered, for each array of texts in a schema
RECORDS_KEPT = 64  # records that nobody can change, remembered for each place of one in a schema
_LIMITS = {"int": 1 << 32, "long": 1 << 64}  # of the bits on the wire, where the lowest one is the sign

# A number goes out two bytes at a time, 14 bits: with more to follow, or as its end.
_PAIR = 0x3FFF
_MORE = tuple(bytes((bits & 0x7F | 0x80, bits >> 7 | 0x80)) for bits in range(_PAIR + 1))
_LAST = tuple(bytes((bits,) if bits < 0x80 else (bits & 0x7F | 0x80, bits >> 7)) for bits in range(_PAIR + 1))


def compile_writer(record: avro.Record, head: bytes = b"") -> Write:
    """Writes what is exactly of this schema, behind `head`; raises UnfitRecordError for anything else."""
    code = Code(_CONSTANTS)
    name = record.name.rpartition(".")[2]
    with code.block("try"):
        parts = _Generator(code).record(record.fields, "record", name)
        code.line(f"return {_joined([repr(head), *parts])}")
    with code.block("except (UnicodeEncodeError, OverflowError)"):
        code.line(f"too_much({name!r})")
    return code.function("record")


@dataclass(frozen=True, slots=True)
class _Generator:
    """Writes the lines that check a value; gives the expressions whose bytes, one after another, are the value."""

    code: Code

    def value(self, node: avro.Node, value: str, path: str) -> list[str]:
        match node:
            case avro.Scalar("null"):
                self._check(f"{value} is None", value, "null", path)
                parts = []
            case avro.Scalar(kind):
                self._check(f"type({value}) is {_TYPES[kind]}", value, kind, path)
                parts = self._scalar(kind, value, path)
            case avro.EnumType(_, symbols):
                parts = self._symbol(symbols, value, path)
            case avro.Fixed(_, size):
                self._check(f"type({value}) is bytes and len({value}) == {size}", value, f"{size} bytes", path)
                parts = [value]
            case avro.Nullable(inner, null_first):
                parts = self._nullable(inner, null_first, value, path)
            case avro.Array(avro.Scalar("string")):
                parts = [self._texts(node, value, path)]
            case avro.Array(items):
                parts = self._array(items, value, path)
            case avro.Map(values):
                key, item = self.code.local(), self.code.local()
                self._check(f"type({value}) is dict", value, "map", path)
                entry = {key: avro.Scalar("string"), item: values}
                parts = self._block(value, f"for {key}, {item} in {value}.items()", entry, f"{path}{{}}")
            case avro.Record(_, fields):
                parts = [self._part(fields, value, path)]
        return parts

    def record(self, fields: tuple[avro.Field, ...], value: str, path: str) -> list[str]:
        """As `value`, for what is of a record's type."""
        code = self.code
        self._check(f"type({value}) is dict or isinstance({value}, Mapping)", value, "record", path)
        names = code.constant(tuple(part.name for part in fields))
        locals_ = [code.local() for _ in fields]
        with code.block("try"):
            code.line(f"if len({value}) != {len(fields)}: raise KeyError")
            for part, local in zip(fields, locals_, strict=True):
                code.line(f"{local} = {value}[{part.name!r}]")
        with code.block("except KeyError"):
            code.line(f"misfit({path!r}, {names}, {value})")
        parts = []
        for part, local in zip(fields, locals_, strict=True):
            parts += self.value(part.type, local, f"{path}.{part.name}")
        return parts

    def _check(self, fits: str, value: str, wanted: str, path: str) -> None:
        with self.code.block(f"if not ({fits})"):
            self.code.line(f"unfit({path!r}, {wanted!r}, {value})")

    def _scalar(self, kind: str, value: str, path: str) -> list[str]:
        match kind:
            case "boolean":
                return [f"(b'\\1' if {value} else b'\\0')"]
            case "int":
                many = f"number({value}, {_LIMITS[kind]}, {path!r})"
                return [f"(LAST[{value} + {value}] if 0 <= {value} <= {_PAIR >> 1} else {many})"]
            case "long":
                return [self._long(value, path)]
            case "string":
                self.code.line(f"{value} = {value}.encode()")
                return [self._size(value), value]
            case "bytes":
                return [self._size(value), value]
            case _:
                return [f"{kind}_bytes({value})"]

    def _long(self, value: str, path: str) -> str:
        """The number written last is remembered with its bytes: records written together share their times."""
        code, last, out = self.code, self.code.local(), self.code.local()
        memory = code.constant([(0, _LAST[0])])
        code.line(f"{last}, {out} = {memory}[0]")
        with code.block(f"if {value} != {last}"):
            code.line(f"{out} = number({value}, {_LIMITS['long']}, {path!r})")
            code.line(f"{memory}[0] = {value}, {out}")
        return out

    def _size(self, value: str) -> str:
        many = f"number(size, {_LIMITS['long']})"
        return f"(LAST[size + size] if (size := len({value})) <= {_PAIR >> 1} else {many})"

    def _symbol(self, symbols: tuple[str, ...], value: str, path: str) -> list[str]:
        indexes = {symbol: _number(index, _LIMITS["int"]) for index, symbol in enumerate(symbols)}
        known, index = self.code.constant(indexes), self.code.local()
        self._check(f"type({value}) is str", value, "enum", path)
        self.code.line(f"{index} = {known}.get({value})")
        self._check(f"{index} is not None", value, "one of its symbols", path)
        return [index]

    def _nullable(self, inner: avro.Node, null_first: bool, value: str, path: str) -> list[str]:
        code, out = self.code, self.code.local()
        null, other = ("b'\\0'", "b'\\2'") if null_first else ("b'\\2'", "b'\\0'")
        with code.block(f"if {value} is None"):
            code.line(f"{out} = {null}")
        with code.block("else"):
            parts = self.value(inner, value, path)
            code.line(f"{out} = {_joined([other, *parts])}")
        return [out]

    def _texts(self, node: avro.Array, value: str, path: str) -> str:
        """A tuple of texts is written once and remembered: the same few come again and again."""
        code, out, known = self.code, self.code.local(), self.code.constant({})
        write = code.constant(_alone(lambda alone: alone._array(node.items, "value", path)))
        with code.block("try"):
            code.line(f"{out} = {known}.get({value}) or keep({known}, {value}, {write}({value}), {TEXTS_KEPT})")
        with code.block("except TypeError"):  # a list; or what is no text at all, and is refused with its path
            code.line(f"{out} = {write}({value})")
        return out

    def _part(self, fields: tuple[avro.Field, ...], value: str, path: str) -> str:
        """A record inside another has its own function; one that nobody can change is written once."""
        write = _alone(lambda alone: alone.record(fields, "value", path))
        once, each = self.code.constant(_once(write)), self.code.constant(write)
        return f"({once} if type({value}) is Unchanging else {each})({value})"

    def _array(self, items: avro.Node, value: str, path: str) -> list[str]:
        item = self.code.local()
        self._check(f"isinstance({value}, (list, tuple))", value, "array", path)
        return self._block(value, f"for {item} in {value}", {item: items}, f"{path}[]")

    def _block(self, value: str, loop: str, entry: Mapping[str, avro.Node], path: str) -> list[str]:
        code, out = self.code, self.code.local()
        code.line(f"{out} = b'\\0'")
        with code.block(f"if {value}"):
            code.line(f"{out} = [{self._size(value)}]")
            with code.block(loop):
                parts = [part for local, node in entry.items() for part in self.value(node, local, path)]
                code.line(f"{out} += ({''.join(f'{part}, ' for part in parts)})")
            code.line(f"{out} = b''.join({out}) + b'\\0'")
        return [out]


def _alone(parts: Callable[[_Generator], list[str]]) -> Callable[[Any], bytes]:
    code = Code(_CONSTANTS)
    code.line(f"return {_joined(parts(_Generator(code)))}")
    return code.function("value")


def _once(write: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    known: dict[int, tuple[Any, bytes]] = {}  # with the record itself: as long as it is here, no other has its id

    def once(value: Any) -> bytes:
        kept = known.get(id(value))
        if kept is None:
            kept = _keep(known, id(value), (value, write(value)), RECORDS_KEPT)
        return kept[1]

    return once


def _keep(known: dict[Any, T], key: Any, written: T, limit: int) -> T:
    if len(known) >= limit:
        known.clear()
    known[key] = written
    return written


def _joined(parts: list[str]) -> str:
    """For up to three, adding is faster."""
    return " + ".join(parts) if 0 < len(parts) <= 3 else f"b''.join(({''.join(f'{part}, ' for part in parts)}))"


def _number(number: int, limit: int, path: str = "") -> bytes:
    bits = number << 1 if number >= 0 else ~(number << 1)
    if bits >= limit:
        _too_much(path)
    out = b""
    while bits > _PAIR:
        out += _MORE[bits & _PAIR]
        bits >>= 14
    return out + _LAST[bits]


def _too_much(path: str) -> NoReturn:
    raise UnfitRecordError(f"{path}: a text or a number that its type cannot hold") from None


def _unfit(path: str, wanted: str, value: object) -> NoReturn:
    raise UnfitRecordError(f"{path}: wanted {wanted}, got {type(value).__name__}")


def _misfit(path: str, names: tuple[str, ...], record: Mapping[str, Any]) -> NoReturn:
    missing = [name for name in names if name not in record]
    unknown = len(record) + len(missing) - len(names)
    what = f"fields missing: {', '.join(missing) or 'none'}; fields that the schema does not know: {unknown}"
    raise UnfitRecordError(f"{path}: {what}") from None


_CONSTANTS = {
    "Mapping": Mapping,
    "LAST": _LAST,
    "Unchanging": MappingProxyType,
    "keep": _keep,
    "number": _number,
    "float_bytes": struct.Struct("<f").pack,
    "double_bytes": struct.Struct("<d").pack,
    "too_much": _too_much,
    "unfit": _unfit,
    "misfit": _misfit,
}
