"""Compiled readers and writers are as strict as fastavro made strict, on any schema and any bytes."""

import json
from dataclasses import dataclass
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import avro, schemas
from gateway.avro_reader import REFUSALS, Read, TrailingBytesError, compile_reader
from gateway.avro_writer import UnfitRecordError, Write, compile_writer
from gateway.core.reasons import Reason
from tests import avro_oracle
from tests.avro_values import allowed, careless_bytes, raw_records, values
from tests.property.test_codec import mutations


@dataclass(frozen=True, repr=False)
class Kind:
    """A record schema, compiled, and as fastavro knows it."""

    record: avro.Record
    wire: Any
    read: Read
    write: Write

    def __repr__(self) -> str:
        return json.dumps(avro.bare(self.record))


def kind(raw: Any) -> Kind:
    record = avro.parse(raw)
    assert isinstance(record, avro.Record)
    wire = fastavro.parse_schema(avro.bare(record))
    return Kind(record, wire, compile_reader(record, record), compile_writer(record))


OURS = [kind(own.source) for own in schemas.own().by_id.values()]
kinds = st.sampled_from(OURS) | raw_records().map(kind)


def verdict(read: Read, payload: bytes) -> Any:
    try:
        return read(payload)
    except TrailingBytesError:
        return Reason.TRAILING_BYTES
    except REFUSALS:
        return Reason.NOT_AVRO


def assert_as_the_oracle(known: Kind, payload: bytes) -> None:
    """By their texts, in which NaN is NaN, zero has a sign and True is not 1."""
    assert repr(verdict(known.read, payload)) == repr(avro_oracle.read(known.record, known.wire, payload))


@given(st.data())
def test_a_record_is_written_and_read_as_by_the_oracle(data: st.DataObject) -> None:
    """The same bytes, and from them the same record."""
    known = data.draw(kinds)
    record = data.draw(values(known.record))
    payload = known.write(record)
    assert payload == avro_oracle.written(known.wire, record)
    assert isinstance(known.read(payload), dict)
    assert_as_the_oracle(known, payload)


@given(st.data())
def test_mutated_bytes_have_the_verdict_of_the_oracle(data: st.DataObject) -> None:
    """Whatever was changed, cut out, doubled or added."""
    known = data.draw(kinds)
    payload = known.write(data.draw(values(known.record)))
    assert_as_the_oracle(known, data.draw(mutations(bytes(5) + payload))[5:])


@given(st.data())
def test_careless_bytes_have_the_verdict_of_the_oracle(data: st.DataObject) -> None:
    """Padded numbers, split or sized blocks, keys given twice and values out of range are refused by both."""
    known = data.draw(kinds)
    assert_as_the_oracle(known, data.draw(careless_bytes(known.record, data.draw(values(known.record)))))


@given(kinds, st.binary(max_size=120))
def test_random_bytes_have_the_verdict_of_the_oracle(known: Kind, payload: bytes) -> None:
    """Bytes that nobody wrote."""
    assert_as_the_oracle(known, payload)


@st.composite
def older(draw: st.DrawFn, raw: Any) -> Any:
    """The schema before some of its fields with defaults were added."""
    match raw:
        case {"fields": fields}:
            kept = [part for part in fields if "default" not in part or draw(st.booleans())]
            return raw | {"fields": [part | {"type": draw(older(part["type"]))} for part in kept]}
        case {"items": inner} | {"values": inner}:
            held = "items" if "items" in raw else "values"
            before = raw | {held: draw(older(inner))}
            return before if allowed(before) else raw
        case list():
            return [draw(older(branch)) for branch in raw]
        case _:
            return raw


@given(st.data())
def test_what_an_older_writer_lacks_is_filled_in_as_by_the_oracle(data: st.DataObject) -> None:
    """The defaults of the newer schema, wherever in the record they are missing."""
    raw = data.draw(raw_records())
    written, ours = kind(data.draw(older(raw))), kind(raw)
    payload = written.write(data.draw(values(written.record)))
    expected = avro_oracle.resolved(written.wire, fastavro.parse_schema(raw), payload)
    read = compile_reader(written.record, ours.record)(payload)
    assert ours.write(read) == avro_oracle.written(ours.wire, expected)


WRONG = (None, True, 7_654_321, 1.5, b"secret", "secret", ["secret"], {"secret": 1}, ("secret",), object())
FITTING: dict[str, type] = {
    "null": type(None),
    "boolean": bool,
    "int": int,
    "long": int,
    "float": float,
    "double": float,
    "bytes": bytes,
    "string": str,
}


@st.composite
def spoilt(draw: st.DrawFn, node: avro.Node, value: Any) -> Any:
    """The value with one thing wrong somewhere inside it."""
    match node:
        case avro.Record(_, fields) if fields and draw(st.integers(0, 3)):
            part = draw(st.sampled_from(fields))
            return value | {part.name: draw(spoilt(part.type, value[part.name]))}
        case avro.Record(_, fields):
            lacking = [{name: value[name] for name in value if name != part.name} for part in fields]
            return draw(st.sampled_from([*lacking, *({**one, "secret": 1} for one in [value, *lacking]), *WRONG]))
        case avro.Nullable(inner) if value is not None:
            return draw(spoilt(inner, value).filter(lambda wrong: wrong is not None))
        case avro.Array(inner) if value:
            return [*value[1:], draw(spoilt(inner, value[0]))]
        case avro.Map(inner) if value:
            key = draw(st.sampled_from(list(value)))
            return draw(
                st.sampled_from([value | {7_654_321: value[key]}, value | {key: draw(spoilt(inner, value[key]))}])
            )
        case _:
            return draw(st.sampled_from([wrong for wrong in WRONG if not fits(node, wrong)]) | beyond(node))


def fits(node: avro.Node, value: Any) -> bool:
    """Whether the value is of the Python type that is written as this type."""
    match node:
        case avro.Scalar(scalar):
            return type(value) is FITTING[scalar]
        case avro.Nullable(inner):
            return value is None or fits(inner, value)
        case avro.Array():
            return isinstance(value, list | tuple)
        case avro.Map():
            return isinstance(value, dict)
        case _:
            return False


def beyond(node: avro.Node) -> st.SearchStrategy[Any]:
    """Values of the right Python type that the type cannot hold."""
    match node:
        case avro.Scalar("int"):
            return st.sampled_from([2**31, -(2**31) - 1])
        case avro.Scalar("long"):
            return st.sampled_from([2**63, -(2**63) - 1])
        case avro.Scalar("float"):
            return st.just(1e300)
        case avro.Scalar("string"):
            return st.just("secret \ud800")
        case _:
            return st.nothing()


@given(st.data())
def test_what_is_not_of_the_schema_is_refused_without_a_word_of_it(data: st.DataObject) -> None:
    """A wrong type, a number too large, a field missing or unknown: the error tells no value."""
    known = data.draw(kinds)
    record = data.draw(spoilt(known.record, data.draw(values(known.record))))
    with pytest.raises(UnfitRecordError) as refused:
        known.write(record)
    assert "secret" not in str(refused.value)
    assert "7654321" not in str(refused.value)
