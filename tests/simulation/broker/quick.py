"""aiokafka's own structs, read and written by the compiled readers and writers: a fifth of a run's time else.

Knows aiokafka's Struct. What is read and written stays the same to the byte (test_wire.py compares).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from typing import Any

from aiokafka.protocol.struct import Struct

from tests.simulation.broker.wire import Reader, Writer, reader, writer


@cache
def _compiled(cls: type[Struct]) -> tuple[Reader, Writer, tuple[str, ...]]:
    return reader(cls.SCHEMA), writer(cls.SCHEMA), tuple(cls.SCHEMA.names)


def _encode(self: Struct) -> bytes:
    _, write, names = _compiled(type(self))
    fields, parts = self.__dict__, []
    write([fields[name] for name in names], parts.append)
    return b"".join(parts)


def _decode(cls: type[Struct], data: BytesIO | bytes) -> Any:
    read, _, names = _compiled(cls)
    made = cls.__new__(cls)
    if isinstance(data, bytes):
        values, _ = read(data, 0)
    else:
        values, end = read(data.getvalue(), data.tell())
        data.seek(end)
    made.__dict__.update(zip(names, values, strict=True))
    return made


@contextmanager
def compiled_structs() -> Iterator[None]:
    """While this lasts."""
    plain_encode, plain_decode = Struct.encode, Struct.__dict__["decode"]
    Struct.encode = _encode  # type: ignore[method-assign]  # the library has no hook
    Struct.decode = classmethod(_decode)  # type: ignore[assignment,method-assign]  # the same
    try:
        yield
    finally:
        Struct.encode = plain_encode  # type: ignore[method-assign]
        Struct.decode = plain_decode  # type: ignore[method-assign]
