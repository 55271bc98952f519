"""Compiled readers and writers: each canonical form, bounds, what errors say, and what belongs to whom."""

import math
from types import MappingProxyType
from typing import Any

import fastavro
import pytest

from gateway import avro, schemas
from gateway.avro_reader import REFUSALS, Read, compile_reader
from gateway.avro_writer import RECORDS_KEPT, UnfitRecordError, compile_writer
from gateway.core.reasons import Reason
from tests import avro_oracle
from tests.unit.test_schemas import CONTROL


def parsed(*types: Any) -> avro.Record:
    fields = [{"name": f"f{number}", "type": raw} for number, raw in enumerate(types)]
    record = avro.parse({"type": "record", "name": "R", "fields": fields})
    assert isinstance(record, avro.Record)
    return record


def symbols(number: int) -> dict[str, Any]:
    return {"type": "enum", "name": "E", "symbols": [f"S{index}" for index in range(number)]}


FIXED = {"type": "fixed", "name": "F", "size": 3}
LONGS = {"type": "array", "items": "long"}
LONG_BY_KEY = {"type": "map", "values": "long"}
CAREFUL: dict[str, tuple[Any, bytes, Any]] = {
    "boolean": ("boolean", b"\x01", True),
    "NaN": ("float", b"\x00\x00\xc0\x7f", math.nan),
    "negative zero": ("double", b"\x00\x00\x00\x00\x00\x00\x00\x80", -0.0),
    "last symbol in one byte": (symbols(65), b"\x7e", "S63"),
    "first symbol in two bytes": (symbols(65), b"\x80\x01", "S64"),
    "fixed": (FIXED, b"abc", b"abc"),
    "null last": (["long", "null"], b"\x02", None),
    "array": (LONGS, b"\x04\x02\x03\x00", [1, -2]),
    "empty array": (LONGS, b"\x00", []),
    "map": (LONG_BY_KEY, b"\x04\x02b\x02\x02a\x04\x00", {"b": 1, "a": 2}),
    "empty map": (LONG_BY_KEY, b"\x00", {}),
}
CARELESS: dict[str, tuple[Any, bytes]] = {
    "boolean of 2": ("boolean", b"\x02"),
    "signalling NaN": ("float", b"\x00\x00\xa0\x7f"),
    "float cut": ("float", b"\x00\x00\x00"),
    "padded long": ("long", b"\x82\x00"),
    "long in eleven bytes": ("long", b"\x82" + b"\x80" * 9 + b"\x00"),
    "long of 65 bits": ("long", b"\xff" * 9 + b"\x03"),
    "int of 33 bits": ("int", b"\x80\x80\x80\x80\x10"),
    "short size below zero": ("string", b"\x01"),
    "long size below zero": ("string", b"\x81\x01"),
    "size of 2**62": ("bytes", b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"),
    "string that is no UTF-8": ("string", b"\x06\xed\xa0\x80"),
    "symbol beyond the last": (symbols(65), b"\x82\x01"),
    "symbol below zero": (symbols(65), b"\x01"),
    "union index below zero": (["null", "long"], b"\x01"),
    "union index beyond the last": (["null", "long"], b"\x04\x02"),
    "fixed cut": (FIXED, b"ab"),
    "array in two blocks": (LONGS, b"\x02\x02\x02\x03\x00"),
    "array in a block with its size": (LONGS, b"\x03\x04\x02\x03\x00"),
    "array without an end": (LONGS, b"\x04\x02\x03"),
    "map in two blocks": (LONG_BY_KEY, b"\x02\x02b\x02\x02\x02a\x04\x00"),
    "key given twice": (LONG_BY_KEY, b"\x04\x02a\x02\x02a\x04\x00"),
}


@pytest.mark.parametrize("case", CAREFUL)
def test_the_canonical_form_is_read_and_written(case: str) -> None:
    """One form for each value; compared by text, in which NaN is NaN and zero has a sign."""
    raw, payload, value = CAREFUL[case]
    record = parsed(raw)
    assert repr(compile_reader(record, record)(payload)) == repr({"f0": value})
    assert compile_writer(record)({"f0": value}) == payload


@pytest.mark.parametrize("case", CARELESS)
def test_every_other_form_is_refused(case: str) -> None:
    """Here and by the oracle, for the same reason."""
    raw, payload = CARELESS[case]
    record = parsed(raw)
    with pytest.raises(REFUSALS):
        compile_reader(record, record)(payload)
    wire = fastavro.parse_schema(avro.bare(record))
    assert avro_oracle.read(record, wire, payload) is Reason.NOT_AVRO


def test_numbers_are_written_and_read_at_every_border() -> None:
    """Where one more byte is needed, on both sides of zero."""
    wire, write, read = fastavro.parse_schema("long"), compile_writer(parsed("long")), reader("long")
    for number in {sign * 2**bits + near for bits in range(63) for near in (-1, 0, 1) for sign in (1, -1)}:
        payload = write({"f0": number})
        assert payload == avro_oracle.written(wire, number)
        assert read(payload) == {"f0": number}


@pytest.mark.parametrize("size", [0, 63, 64, 8191, 8192, 70_000])
def test_sizes_are_written_and_read_at_every_border(size: int) -> None:
    """Where the size needs one more byte."""
    payload = compile_writer(parsed("string"))({"f0": "x" * size})
    assert payload == avro_oracle.written(fastavro.parse_schema("string"), "x" * size)
    assert reader("string")(payload) == {"f0": "x" * size}


def test_a_record_that_nobody_can_change_is_written_as_any_other() -> None:
    """However many there are, and also the second time; one that is not of its schema is never taken for written."""
    inner = {"type": "record", "name": "E", "fields": [{"name": "n", "type": "long"}]}
    write = compile_writer(parsed(inner))
    for number in range(3 * RECORDS_KEPT):
        value = {"n": number}
        unchanging = MappingProxyType(value)
        assert write({"f0": unchanging}) == write({"f0": unchanging}) == write({"f0": value})
    unfit = MappingProxyType({"n": "text"})
    for _ in range(2):
        with pytest.raises(UnfitRecordError, match=r"^R\.f0\.n: wanted long, got str$"):
            write({"f0": unfit})


def reader(raw: Any) -> Read:
    return compile_reader(parsed(raw), parsed(raw))


NOT_OF_TYPE: dict[str, tuple[Any, Any]] = {
    "null": ("null", 0),
    "boolean": ("boolean", 1),
    "long": ("long", True),
    "int": ("int", 2**31),
    "double": ("double", 1),
    "float": ("float", 1e300),
    "bytes": ("bytes", "text"),
    "string": ("string", b"bytes"),
    "enum": (symbols(3), "S3"),
    "fixed": (FIXED, b"four"),
    "null for an array": (LONGS, None),
    "text for an array": ({"type": "array", "items": "string"}, "text"),
    "array for a map": (LONG_BY_KEY, []),
    "map for a record": ({"type": "record", "name": "E", "fields": []}, 0),
}


@pytest.mark.parametrize("case", NOT_OF_TYPE)
def test_a_value_of_another_type_is_never_written(case: str) -> None:
    """Also where its bytes would look right."""
    raw, value = NOT_OF_TYPE[case]
    with pytest.raises(UnfitRecordError, match=r"^R\.f0: |^R: a text or a number"):
        compile_writer(parsed(raw))({"f0": value})


WRONG = {
    "Control.at: wanted long, got str": {"at": "soon"},
    "Control.value: wanted string, got int": {"value": 5},
    "Control.scope: wanted one of its symbols, got str": {"scope": "everything"},
    "Control.scope: wanted enum, got list": {"scope": ["all"]},
    "Control.at: a text or a number that its type cannot hold": {"at": 2**63},
    "Control: a text or a number that its type cannot hold": {"reason": "\ud800"},
    "Control: fields missing: none; fields that the schema does not know: 1": {"vlaue": "x"},
}


@pytest.mark.parametrize("text", WRONG)
def test_an_error_names_the_field_and_the_types(text: str) -> None:
    """Where to look, and never the value."""
    with pytest.raises(UnfitRecordError) as refused:
        schemas.encode("Control", {**CONTROL, **WRONG[text]})
    assert str(refused.value) == text


def test_a_missing_field_is_named() -> None:
    """Also beside a misspelt one, which is only counted: it may be anything."""
    misspelt = {name: value for name, value in CONTROL.items() if name != "ticket"} | {"tikcet": "OPS-1"}
    with pytest.raises(UnfitRecordError, match=r"missing: ticket; .* not know: 1$"):
        schemas.encode("Control", misspelt)


@pytest.mark.parametrize("items", ["double", {"type": "fixed", "name": "F", "size": 100}])
def test_a_claimed_length_makes_nothing_larger_than_the_bytes(items: Any) -> None:
    """Items that are read without looking at a byte do not make a loop of 2**61 rounds."""
    record = parsed({"type": "array", "items": items})
    with pytest.raises(REFUSALS):
        compile_reader(record, record)(b"\xfe\xff\xff\xff\xff\xff\xff\xff\x3f" + bytes(50))


@pytest.mark.parametrize("after", ["long", "double", "string"])
def test_a_place_beyond_all_indexes_is_a_refusal(after: str) -> None:
    """A hostile schema's sizes overflow nothing."""
    record = parsed({"type": "fixed", "name": "F", "size": 2**80}, after)
    with pytest.raises(REFUSALS):
        compile_reader(record, record)(bytes(50))


def test_a_default_belongs_to_the_record_that_got_it() -> None:
    """Two records do not share one list."""
    raw = {"type": "record", "name": "R", "fields": [{"name": "f0", "type": "int"}]}
    more = {"name": "f1", "type": {"type": "array", "items": "int"}, "default": []}
    ours = avro.parse(raw | {"fields": [*raw["fields"], more]})
    assert isinstance(ours, avro.Record)
    read = compile_reader(parsed("int"), ours)
    first, second = read(b"\x02"), read(b"\x02")
    assert first == second == {"f0": 1, "f1": []}
    assert first["f1"] is not second["f1"]


def test_a_default_is_filled_in_inside_arrays_and_maps() -> None:
    """Records inside containers get what their writer lacked."""

    def holding(*fields: dict[str, Any]) -> avro.Record:
        inner = {"type": "record", "name": "I", "fields": [{"name": "old", "type": "int"}, *fields]}
        return parsed({"type": "array", "items": inner}, {"type": "map", "values": "I"}, ["null", "I"])

    read = compile_reader(holding(), holding({"name": "new", "type": "string", "default": "x"}))
    one, two, three = ({"old": number, "new": "x"} for number in (1, 2, 3))
    payload = b"\x02\x02\x00" + b"\x02\x02k\x04\x00" + b"\x02\x06"
    assert read(payload) == {"f0": [one], "f1": {"k": two}, "f2": three}


def deep(levels: int) -> Any:
    raw: Any = "int"
    for level in range(levels):
        fields = [{"name": "f", "type": raw}]
        raw = [
            {"type": "record", "name": f"D{level}", "fields": fields},
            ["null", raw] if isinstance(raw, dict) else raw,
            {"type": "array", "items": raw},
        ][level % 3]
    return raw


@pytest.mark.parametrize(
    "record",
    [
        parsed(deep(avro.MAX_SCHEMA_DEPTH - 1)),
        parsed({"type": "array", "items": "int"}, *["string"] * (avro.MAX_SCHEMA_NODES - 3)),
    ],
    ids=["deepest", "largest"],
)
def test_the_largest_schemas_are_compiled(record: avro.Record) -> None:
    """Our bounds on schemas are within Python's on nesting and on the size of a function."""
    value = example(record)
    payload = compile_writer(record)(value)
    assert compile_reader(record, record)(payload) == value


def example(node: avro.Node) -> Any:
    match node:
        case avro.Record(_, fields):
            return {part.name: example(part.type) for part in fields}
        case avro.Array(inner):
            return [example(inner)]
        case avro.Nullable(inner):
            return example(inner)
        case avro.Scalar("int"):
            return 1
        case _:
            return "text"
