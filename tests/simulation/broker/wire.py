"""Readers and writers of Kafka's wire, each compiled to one function from a schema of aiokafka.

aiokafka's own are a tree of small calls, too slow for thousands of simulated runs. Knows the types of Kafka's
protocol. Must not know what any request is for.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

from aiokafka.protocol.types import (
    Array,
    Boolean,
    Bytes,
    CompactArray,
    CompactString,
    Int8,
    Int16,
    Int32,
    Int64,
    Schema,
    String,
    TaggedFields,
    UnsignedVarInt32,
)

Reader = Callable[[bytes, int], tuple[Any, int]]
Writer = Callable[[Sequence[Any], Callable[[bytes], None]], None]

_FIXED = {Int8: "b", Int16: "h", Int32: "i", Int64: "q", Boolean: "?"}
_ONE_BYTE = 0x80
_SIZES = [bytes([size]) for size in range(_ONE_BYTE)]


def reader(schema: Schema) -> Reader:
    """Reads the fields of a schema from bytes at a position: a tuple and the position behind it."""
    source = _Source("def made(data, at):")
    fields = _read_fields(source, schema)
    source.add(f"return ({''.join(f'{name}, ' for name in fields)}), at")
    return source.compiled()


def writer(schema: Schema) -> Writer:
    """Writes a sequence of values as the fields of a schema."""
    source = _Source("def made(values, put):")
    _write_fields(source, schema, "values")
    source.add("return None")
    return source.compiled()


class _Source:
    """A function that grows line by line, and what it calls."""

    def __init__(self, head: str) -> None:
        self._lines = [head]
        self._depth = 1
        self._names = 0
        self._calls: dict[str, Any] = {}

    def add(self, line: str) -> None:
        self._lines.append("    " * self._depth + line)

    def within(self, line: str) -> _Source:
        """What is added in the `with` that takes this belongs to the line."""
        self.add(line)
        return self

    def __enter__(self) -> None:
        self._depth += 1

    def __exit__(self, *_: object) -> None:
        self._depth -= 1

    def name(self) -> str:
        """A name that is free."""
        self._names += 1
        return f"v{self._names}"

    def call(self, function: Any) -> str:
        """A name for something that is called."""
        name = f"f{len(self._calls)}"
        self._calls[name] = function
        return name

    def compiled(self) -> Any:
        exec("\n".join(self._lines), self._calls)  # noqa: S102 - made of schemas alone
        return self._calls["made"]


def _runs(schema: Schema) -> list[tuple[str, Any]]:
    """Fields of fixed size that follow each other, as one format; each other field alone, with its type."""
    runs: list[tuple[str, Any]] = []
    for kind in schema.fields:
        letter = _letter(kind)
        if not letter:
            runs.append(("", kind))
        elif runs and runs[-1][0]:
            runs[-1] = (runs[-1][0] + letter, None)
        else:
            runs.append((letter, None))
    return runs


def _letter(kind: Any) -> str:
    return _FIXED.get(kind, "") if isinstance(kind, type) else ""


def _read_fields(source: _Source, schema: Schema) -> list[str]:
    """Adds what reads the fields; the names that then hold them."""
    fields: list[str] = []
    for run, kind in _runs(schema):
        if run:
            fixed = struct.Struct(f">{run}")
            names = [source.name() for _ in run]
            source.add(f"{', '.join(names)}, = {source.call(fixed.unpack_from)}(data, at); at += {fixed.size}")
            fields += names
        else:
            fields.append(_read_one(source, kind))
    return fields


def _read_one(source: _Source, kind: Any) -> str:
    name = source.name()
    if isinstance(kind, Array):
        _read_array(source, kind, name)
    elif isinstance(kind, String) or kind is Bytes:
        compact = isinstance(kind, CompactString)
        size = _read_size(source, compact=compact, format_="i" if kind is Bytes else "h")
        text = "" if kind is Bytes else ".decode()"
        with source.within(f"if {size} < 0:"):
            source.add(f"{name} = None")
        with source.within("else:"):
            source.add(f"{name} = data[at:at + {size}]{text}; at += {size}")
    else:
        source.add(f"{name}, at = {source.call(_reads_any(kind))}(data, at)")
    return name


def _read_size(source: _Source, *, compact: bool, format_: str) -> str:
    size = source.name()
    if compact:
        source.add(f"{size}, at = {source.call(_read_compact_size)}(data, at)")
    else:
        fixed = struct.Struct(f">{format_}")
        source.add(f"{size}, = {source.call(fixed.unpack_from)}(data, at); at += {fixed.size}")
    return size


def _read_array(source: _Source, kind: Array, name: str) -> None:
    size = _read_size(source, compact=isinstance(kind, CompactArray), format_="i")
    with source.within(f"if {size} < 0:"):
        source.add(f"{name} = None")
    with source.within("else:"):
        source.add(f"{name} = []")
        with source.within(f"for _ in range({size}):"):
            if isinstance(kind.array_of, Schema):
                fields = _read_fields(source, kind.array_of)
                source.add(f"{name}.append(({''.join(f'{field}, ' for field in fields)}))")
            else:
                (field,) = _read_fields(source, Schema(("item", kind.array_of)))
                source.add(f"{name}.append({field})")


def _write_fields(source: _Source, schema: Schema, values: str) -> None:
    """Adds what writes a sequence of values."""
    names = [source.name() for _ in schema.fields]
    if names:
        source.add(f"{', '.join(names)}, = {values}")
    left = iter(names)
    for run, kind in _runs(schema):
        if run:
            packed = ", ".join(next(left) for _ in run)
            source.add(f"put({source.call(struct.Struct(f'>{run}').pack)}({packed}))")
        else:
            _write_one(source, kind, next(left))


def _write_one(source: _Source, kind: Any, name: str) -> None:
    if isinstance(kind, Array):
        _write_array(source, kind, name)
    elif isinstance(kind, String) or kind is Bytes:
        if kind is not Bytes:
            source.add(f"{name} = None if {name} is None else {name}.encode()")
        compact = isinstance(kind, CompactString)
        size = source.call(_compact_size if compact else struct.Struct(">i" if kind is Bytes else ">h").pack)
        with source.within(f"if {name} is None:"):
            source.add(f"put({size}(-1))")
        with source.within("else:"):
            source.add(f"put({size}(len({name}))); put({name})")
    elif kind is TaggedFields:
        source.add(f"put({source.call(TaggedFields.encode)}({name}) if {name} else b'\\0')")
    else:
        source.add(f"put({source.call(kind.encode)}({name}))")


def _write_array(source: _Source, kind: Array, name: str) -> None:
    size = source.call(_compact_size if isinstance(kind, CompactArray) else struct.Struct(">i").pack)
    with source.within(f"if {name} is None:"):
        source.add(f"put({size}(-1))")
    with source.within("else:"):
        source.add(f"put({size}(len({name})))")
        item = source.name()
        with source.within(f"for {item} in {name}:"):
            inner = kind.array_of if isinstance(kind.array_of, Schema) else Schema(("item", kind.array_of))
            _write_fields(source, inner, item if inner is kind.array_of else f"({item},)")


def _reads_any(kind: Any) -> Reader:
    """For types so rare that aiokafka's own decoder will do."""

    def read(data: bytes, at: int) -> tuple[Any, int]:
        stream = BytesIO(data)
        stream.seek(at)
        return kind.decode(stream), stream.tell()

    def read_tags(data: bytes, at: int) -> tuple[Any, int]:
        return read(data, at) if data[at] else ({}, at + 1)

    return read_tags if kind is TaggedFields else read


_read_varint = _reads_any(UnsignedVarInt32)


def _read_compact_size(data: bytes, at: int) -> tuple[int, int]:
    """A size that is written one too large; -1 is null."""
    if data[at] < _ONE_BYTE:
        return data[at] - 1, at + 1
    size, at = _read_varint(data, at)
    return size - 1, at


def _compact_size(size: int) -> bytes:
    return _SIZES[size + 1] if size + 1 < _ONE_BYTE else UnsignedVarInt32.encode(size + 1)
