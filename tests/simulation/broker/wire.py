"""Readers and writers compiled once from aiokafka's schemas: its own are too slow for thousands of simulated runs.

Knows the types of Kafka's protocol. Must not know what any request is for.
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
Writer = Callable[[Any, Callable[[bytes], None]], None]

_FIXED = {Int8: "b", Int16: "h", Int32: "i", Int64: "q", Boolean: "?"}
_INT16 = struct.Struct(">h")
_INT32 = struct.Struct(">i")
_ONE_BYTE = 0x80
_SIZES = [bytes([size]) for size in range(_ONE_BYTE)]


def reader(schema: Schema) -> Reader:
    """Reads the fields of a schema from bytes at a position: a tuple and the position behind it."""
    steps = [(_packed(run), None) if run else (None, _reader_of(kind)) for run, kind in _runs(schema)]
    if len(steps) == 1 and steps[0][0] is not None:
        only = steps[0][0]
        return lambda data, at: (only.unpack_from(data, at), at + only.size)

    def read(data: bytes, at: int) -> tuple[Any, int]:
        values: list[Any] = []
        for fixed, read_one in steps:
            if fixed is not None:
                values += fixed.unpack_from(data, at)
                at += fixed.size
            else:
                value, at = read_one(data, at)
                values.append(value)
        return tuple(values), at

    return read


def writer(schema: Schema) -> Writer:
    """Writes a sequence of values as the fields of a schema."""
    steps: list[tuple[Any, int, int, Any]] = []
    at = 0
    for run, kind in _runs(schema):
        steps.append((_packed(run), at, at + len(run), None) if run else (None, at, at + 1, _writer_of(kind)))
        at += len(run) or 1
    if len(steps) == 1 and steps[0][0] is not None:
        pack = steps[0][0].pack
        return lambda values, put: put(pack(*values))

    def write(values: Sequence[Any], put: Callable[[bytes], None]) -> None:
        for fixed, begin, end, write_one in steps:
            if fixed is not None:
                put(fixed.pack(*values[begin:end]))
            else:
                write_one(values[begin], put)

    return write


def _runs(schema: Schema) -> list[tuple[str, Any]]:
    """Fields of fixed size that follow each other, as one format; each other field alone, with its type."""
    runs: list[tuple[str, Any]] = []
    for kind in schema.fields:
        letter = _FIXED.get(kind) if isinstance(kind, type) else None
        if letter is None:
            runs.append(("", kind))
        elif runs and runs[-1][0]:
            runs[-1] = (runs[-1][0] + letter, None)
        else:
            runs.append((letter, None))
    return runs


def _packed(run: str) -> struct.Struct:
    return struct.Struct(f">{run}")


def _reader_of(kind: Any) -> Reader:
    if isinstance(kind, Schema):
        return reader(kind)
    if isinstance(kind, Array):
        return _array_reader(kind)
    if isinstance(kind, String):
        return _read_compact_string if isinstance(kind, CompactString) else _read_string
    if kind is Bytes:
        return _read_bytes
    if kind is TaggedFields:
        return _read_tags
    return lambda data, at: _read_any(kind, data, at)


def _writer_of(kind: Any) -> Writer:
    if isinstance(kind, Schema):
        return writer(kind)
    if isinstance(kind, Array):
        return _array_writer(kind)
    if isinstance(kind, String):
        return _write_compact_string if isinstance(kind, CompactString) else _write_string
    if kind is Bytes:
        return _write_bytes
    if kind is TaggedFields:
        return _write_tags
    return lambda value, put: put(kind.encode(value))


def _array_reader(kind: Array) -> Reader:
    compact = isinstance(kind, CompactArray)
    letter = _FIXED.get(kind.array_of) if isinstance(kind.array_of, type) else None
    read_one = None if letter else _reader_of(kind.array_of)

    def read(data: bytes, at: int) -> tuple[Any, int]:
        if compact:
            count, at = _read_size(data, at)
        else:
            count, at = _INT32.unpack_from(data, at)[0], at + 4
        if count < 0:
            return None, at
        if read_one is None:
            fixed = struct.Struct(f">{count}{letter}")
            return list(fixed.unpack_from(data, at)), at + fixed.size
        items = []
        for _ in range(count):
            item, at = read_one(data, at)
            items.append(item)
        return items, at

    return read


def _array_writer(kind: Array) -> Writer:
    compact = isinstance(kind, CompactArray)
    letter = _FIXED.get(kind.array_of) if isinstance(kind.array_of, type) else None
    write_one = None if letter else _writer_of(kind.array_of)

    def write(items: Sequence[Any] | None, put: Callable[[bytes], None]) -> None:
        count = -1 if items is None else len(items)
        put(_compact_size(count) if compact else _INT32.pack(count))
        if write_one is None:
            put(struct.pack(f">{max(count, 0)}{letter}", *items or ()))
            return
        for item in items or ():
            write_one(item, put)

    return write


def _read_string(data: bytes, at: int) -> tuple[str | None, int]:
    size = _INT16.unpack_from(data, at)[0]
    at += 2
    if size < 0:
        return None, at
    return data[at : at + size].decode(), at + size


def _write_string(value: str | None, put: Callable[[bytes], None]) -> None:
    if value is None:
        put(b"\xff\xff")
        return
    text = value.encode()
    put(_INT16.pack(len(text)) + text)


def _read_bytes(data: bytes, at: int) -> tuple[bytes | None, int]:
    size = _INT32.unpack_from(data, at)[0]
    at += 4
    if size < 0:
        return None, at
    return data[at : at + size], at + size


def _write_bytes(value: bytes | None, put: Callable[[bytes], None]) -> None:
    if value is None:
        put(b"\xff\xff\xff\xff")
        return
    put(_INT32.pack(len(value)))
    put(value)


def _read_tags(data: bytes, at: int) -> tuple[Any, int]:
    return ({}, at + 1) if data[at] == 0 else _read_any(TaggedFields, data, at)


def _write_tags(value: dict[int, bytes], put: Callable[[bytes], None]) -> None:
    put(TaggedFields.encode(value) if value else b"\0")


def _read_compact_string(data: bytes, at: int) -> tuple[str | None, int]:
    size, at = _read_size(data, at)
    if size < 0:
        return None, at
    return data[at : at + size].decode(), at + size


def _write_compact_string(value: str | None, put: Callable[[bytes], None]) -> None:
    text = b"" if value is None else value.encode()
    put(_compact_size(-1 if value is None else len(text)) + text)


def _read_size(data: bytes, at: int) -> tuple[int, int]:
    """A compact size; -1 is null."""
    first = data[at]
    if first < _ONE_BYTE:
        return first - 1, at + 1
    size, at = _read_any(UnsignedVarInt32, data, at)
    return size - 1, at


def _compact_size(size: int) -> bytes:
    return _SIZES[size + 1] if size + 1 < _ONE_BYTE else UnsignedVarInt32.encode(size + 1)


def _read_any(kind: Any, data: bytes, at: int) -> tuple[Any, int]:
    """For types so rare that aiokafka's own decoder will do."""
    stream = BytesIO(data)
    stream.seek(at)
    return kind.decode(stream), stream.tell()
