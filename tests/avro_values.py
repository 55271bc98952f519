"""Hypothesis strategies for records, made from the schemas themselves."""

from typing import Any

from hypothesis import strategies as st

from gateway import avro, schemas

_SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "bytes": st.binary(max_size=40),
    "string": st.text(st.characters(exclude_categories=("Cs",)), max_size=40),
}


def values(node: avro.Node) -> st.SearchStrategy[Any]:
    """Every value that a type allows, within small sizes."""
    match node:
        case avro.Scalar(kind):
            return _SCALARS[kind]
        case avro.EnumType(_, symbols):
            return st.sampled_from(symbols)
        case avro.Nullable(inner):
            return st.none() | values(inner)
        case avro.Array(inner):
            return st.lists(values(inner), max_size=4)
        case avro.Record(_, fields):
            return st.fixed_dictionaries({part.name: values(part.type) for part in fields})
        case _:
            raise NotImplementedError(f"no schema of ours uses {node}")


def records(name: str) -> st.SearchStrategy[dict[str, Any]]:
    """Records of one of our kinds."""
    return values(schemas.schema(name).record)
