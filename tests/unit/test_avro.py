"""The checked schema tree: what is refused, and what is kept."""

from typing import Any

import pytest

from gateway import avro


def record(*fields: dict[str, Any], name: str = "R") -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": list(fields)}


def nested(depth: int) -> Any:
    raw: Any = "string"
    for level in range(depth):
        raw = record({"name": "f", "type": raw}, name=f"R{level}")
    return raw


def doubling(levels: int) -> dict[str, Any]:
    """A short text whose tree has 2 ** levels leaves, through types used twice."""
    inner = record({"name": "a", "type": "null"}, {"name": "b", "type": "null"}, name="R0")
    for level in range(1, levels):
        again = f"R{level - 1}"
        inner = record({"name": "a", "type": inner}, {"name": "b", "type": again}, name=f"R{level}")
    return inner


REFUSED = {
    "recursive": (record({"name": "next", "type": ["null", "R"]}), avro.Fault.TOO_DEEP, "next"),
    "too deep": (nested(avro.MAX_SCHEMA_DEPTH + 1), avro.Fault.TOO_DEEP, "f.f"),
    "array of nulls": (
        record({"name": "a", "type": {"type": "array", "items": "null"}}),
        avro.Fault.ZERO_BYTE_ITEMS,
        "a",
    ),
    "array of empty records": (
        record({"name": "a", "type": {"type": "array", "items": record(name="E")}}),
        avro.Fault.ZERO_BYTE_ITEMS,
        "a",
    ),
    "array of empty fixed": (
        record({"name": "a", "type": {"type": "array", "items": {"type": "fixed", "name": "F", "size": 0}}}),
        avro.Fault.ZERO_BYTE_ITEMS,
        "a",
    ),
    "array of records with a null": (
        record(
            {
                "name": "a",
                "type": {
                    "type": "array",
                    "items": ["null", record({"name": "b", "type": "int"}, {"name": "c", "type": "null"}, name="E")],
                },
            }
        ),
        avro.Fault.ZERO_BYTE_ITEMS,
        "a",
    ),
    "map of nulls": (
        record({"name": "a", "type": {"type": "map", "values": "null"}}),
        avro.Fault.ZERO_BYTE_ITEMS,
        "a",
    ),
    "union of two types": (record({"name": "u", "type": ["int", "long"]}), avro.Fault.AMBIGUOUS_UNION, "u"),
    "union of three types": (
        record({"name": "u", "type": ["null", "int", "string"]}),
        avro.Fault.AMBIGUOUS_UNION,
        "u",
    ),
    "undefined name": (record({"name": "x", "type": "Nowhere"}), avro.Fault.NOT_A_SCHEMA, "x"),
    "field without type": (record({"name": "x"}), avro.Fault.NOT_A_SCHEMA, "x"),
    "two fields of one name": (
        record({"name": "x", "type": "int"}, {"name": "x", "type": "int"}),
        avro.Fault.NOT_A_SCHEMA,
        "",
    ),
    "number as schema": (7, avro.Fault.NOT_A_SCHEMA, ""),
    "default of another type": (
        record({"name": "x", "type": ["null", "string"], "default": "text"}),
        avro.Fault.UNFIT_DEFAULT,
        "x",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_schema_that_cannot_be_bounded_is_refused(case: str) -> None:
    """The error has the fault, and the path of the field where it is."""
    raw, fault, path = REFUSED[case]
    with pytest.raises(avro.SchemaError) as refused:
        avro.parse(raw)
    assert refused.value.fault is fault
    assert refused.value.path.startswith(path)


def test_a_small_text_cannot_blow_up_into_a_large_tree() -> None:
    """Types used twice at each level are bounded by the number of nodes, not only by depth."""
    with pytest.raises(avro.SchemaError) as refused:
        avro.parse(doubling(avro.MAX_SCHEMA_DEPTH - 1))
    assert refused.value.fault is avro.Fault.TOO_DEEP


def test_a_named_type_may_be_used_again() -> None:
    """The second use is the same type, also when it holds definitions of its own, and is written by name."""
    inner = record({"name": "kind", "type": {"type": "enum", "name": "K", "symbols": ["A"]}}, name="Inner")
    raw = record({"name": "first", "type": inner}, {"name": "second", "type": "Inner"})
    node = avro.parse({**raw, "namespace": "n"})
    assert isinstance(node, avro.Record)
    first, second = node.fields
    assert first.type == second.type
    assert avro.bare(node)["fields"][1] == {"name": "second", "type": "n.Inner"}
    assert avro.parse(avro.bare(node)) == node


def test_leaves_are_named_by_path() -> None:
    """Records add a dot, arrays and maps of records brackets; an array of scalars is a leaf itself."""
    raw = record(
        {"name": "tags", "type": {"type": "array", "items": "string"}, "item": "i1"},
        {"name": "one", "type": ["null", record({"name": "x", "type": "int", "item": "i2"}, name="One")]},
        {
            "name": "many",
            "type": {"type": "array", "items": record({"name": "y", "type": "int"}, name="Many")},
        },
        {"name": "by", "type": {"type": "map", "values": record({"name": "z", "type": "int"}, name="By")}},
    )
    node = avro.parse(raw)
    assert isinstance(node, avro.Record)
    assert [(leaf.path, leaf.item) for leaf in avro.leaves(node)] == [
        ("tags", "i1"),
        ("one.x", "i2"),
        ("many[].y", None),
        ("by{}.z", None),
    ]
