"""Compiled readers and writers: bounds, what errors say, and what belongs to whom."""

from typing import Any

import pytest

from gateway import avro, schemas
from gateway.avro_reader import REFUSALS, compile_reader
from gateway.avro_writer import UnfitRecordError, compile_writer
from tests.unit.test_schemas import CONTROL


def parsed(*types: Any) -> avro.Record:
    fields = [{"name": f"f{number}", "type": raw} for number, raw in enumerate(types)]
    record = avro.parse({"type": "record", "name": "R", "fields": fields})
    assert isinstance(record, avro.Record)
    return record


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


def test_sizes_beyond_the_end_add_up_to_a_refusal() -> None:
    """Ten claims of almost 2**62 bytes overflow nothing."""
    record = parsed(*["bytes"] * 10, "double")
    with pytest.raises(REFUSALS):
        compile_reader(record, record)(b"\xfe\xff\xff\xff\xff\xff\xff\xff\x7f" * 10)


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
