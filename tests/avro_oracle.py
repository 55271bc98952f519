"""What our compiled readers and writers are held against: fastavro, made strict the slow way."""

from io import BytesIO
from typing import Any

import fastavro

from gateway import avro
from gateway.core.reasons import Reason


def written(wire: Any, record: Any) -> bytes:
    """The bytes of a record that has every field and no other."""
    out = BytesIO()
    fastavro.schemaless_writer(out, wire, record, strict_allow_default=True)
    return out.getvalue()


def read(node: avro.Node, wire: Any, payload: bytes) -> Any:
    """The record whose bytes, written again, are these; or the reason why there is none."""
    source = BytesIO(payload)
    try:
        record = fastavro.schemaless_reader(source, wire, None)
        again = written(wire, record)
    except Exception:  # fastavro names no closed set of errors
        return Reason.NOT_AVRO
    end = source.tell()
    if again != payload[:end] or not _ints_fit(node, record):
        return Reason.NOT_AVRO
    return record if end == len(payload) else Reason.TRAILING_BYTES


def resolved(wire: Any, reader_wire: Any, payload: bytes) -> Any:
    """The record as Avro's schema resolution gives it to a reader with another schema."""
    return fastavro.schemaless_reader(BytesIO(payload), wire, reader_wire)


def _ints_fit(node: avro.Node, value: Any) -> bool:
    match node:
        case avro.Scalar("int"):
            return -(2**31) <= value < 2**31
        case avro.Nullable(inner):
            return value is None or _ints_fit(inner, value)
        case avro.Array(inner):
            return all(_ints_fit(inner, one) for one in value)
        case avro.Map(inner):
            return all(_ints_fit(inner, one) for one in value.values())
        case avro.Record(_, fields):
            return all(_ints_fit(part.type, value[part.name]) for part in fields)
        case _:
            return True
