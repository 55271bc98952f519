"""An Avro schema as a checked, bounded tree.

Knows Avro's types, names and defaults, and the attribute `item` that our leaves carry.
Must not know which records exist, what an item means, or where a schema came from: it may come from a hostile
registry, so depth and size are bounded and what a strict decoder cannot bound is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeAlias

MAX_SCHEMA_DEPTH = 12
MAX_SCHEMA_NODES = 2_000  # shared named types can blow a small text up exponentially

PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})
_DEFAULTS = {"null": type(None), "boolean": bool, "int": int, "long": int, "string": str}  # kind -> its JSON
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}\Z")


class Fault(Enum):
    """What can be wrong with a schema, and what to do about it."""

    NOT_AVRO = "write the topic's records in Avro"
    NOT_A_SCHEMA = "write it by Avro's specification"
    TOO_DEEP = f"nest at most {MAX_SCHEMA_DEPTH} levels and {MAX_SCHEMA_NODES} types, without recursion"
    AMBIGUOUS_UNION = 'use ["null", type]: no other union can be checked strictly'
    ZERO_BYTE_ITEMS = "leave out what takes no bytes: a few bytes could claim any number of them"
    UNFIT_DEFAULT = "give a default of the field's type; of a union's first type"


class SchemaError(ValueError):
    """A schema that cannot be used; the text names field paths only."""

    def __init__(self, fault: Fault, path: str, what: str) -> None:
        super().__init__(f"{path or '(top)'}: {what}")
        self.fault = fault
        self.path = path
        self.what = what


@dataclass(frozen=True, slots=True)
class Scalar:
    """A primitive type; logical types are left out: the wire does not know them."""

    kind: str


@dataclass(frozen=True, slots=True)
class EnumType:
    name: str
    symbols: tuple[str, ...]
    has_default: bool


@dataclass(frozen=True, slots=True)
class Fixed:
    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Nullable:
    type: Node
    null_first: bool


@dataclass(frozen=True, slots=True)
class Array:
    items: Node


@dataclass(frozen=True, slots=True)
class Map:
    values: Node


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    type: Node
    item: str | None
    has_default: bool
    default: Any


@dataclass(frozen=True, slots=True)
class Record:
    name: str
    fields: tuple[Field, ...]


Node: TypeAlias = Scalar | EnumType | Fixed | Nullable | Array | Map | Record


@dataclass(frozen=True, slots=True)
class Leaf:
    """A field that holds values: a scalar, or an array or map of scalars. `path` joins names with dots;
    `[]` or `{}` follows the name of an array or map of records."""

    path: str
    item: str | None
    field: Field


def parse(raw: Any) -> Node:
    """The tree of a schema's JSON; raises SchemaError."""
    return _Parser().node(raw, namespace="", path="", depth=0)


def min_bytes(node: Node) -> int:
    """The fewest bytes a value of this type takes on the wire."""
    match node:
        case Scalar(kind):
            return {"null": 0, "float": 4, "double": 8}.get(kind, 1)
        case Fixed(_, size):
            return size
        case Record(_, fields):
            return sum(min_bytes(part.type) for part in fields)
        case _:
            return 1


def fields_below(record: Record, prefix: str = "") -> Iterator[tuple[str, Field, Record | None]]:
    """Every field of the record and of the records inside it, in schema order: (path, field, inner record).

    The inner record is what a container holds; it is None for a leaf.
    """
    for part in record.fields:
        path = f"{prefix}{part.name}"
        inner, suffix = _unwrap(part.type)
        yield path, part, inner
        if inner is not None:
            yield from fields_below(inner, f"{path}{suffix}.")


def leaves(record: Record) -> Iterator[Leaf]:
    """Every leaf of the record, in schema order."""
    for path, part, inner in fields_below(record):
        if inner is None:
            yield Leaf(path, part.item, part)


def bare(node: Node) -> Any:
    """The schema as JSON with what the wire needs alone: no logical types, docs, defaults or attributes."""
    return _bare(node, set())


def _unwrap(node: Node) -> tuple[Record | None, str]:
    suffix = ""
    while True:
        match node:
            case Nullable(inner, _):
                node = inner
            case Array(inner):
                node, suffix = inner, suffix + "[]"
            case Map(inner):
                node, suffix = inner, suffix + "{}"
            case Record():
                return node, suffix
            case _:
                return None, ""


def _bare(node: Node, defined: set[str]) -> Any:
    written: Any
    match node:
        case Scalar(kind):
            written = kind
        case Nullable(inner, null_first):
            branch = _bare(inner, defined)
            written = ["null", branch] if null_first else [branch, "null"]
        case Array(inner):
            written = {"type": "array", "items": _bare(inner, defined)}
        case Map(inner):
            written = {"type": "map", "values": _bare(inner, defined)}
        case _ if node.name in defined:
            written = node.name
        case _:
            defined.add(node.name)
            written = {"name": node.name, **_bare_definition(node, defined)}
    return written


def _bare_definition(node: EnumType | Fixed | Record, defined: set[str]) -> dict[str, Any]:
    match node:
        case EnumType(_, symbols, _):
            return {"type": "enum", "symbols": list(symbols)}
        case Fixed(_, size):
            return {"type": "fixed", "size": size}
        case Record(_, fields):
            parts = [{"name": part.name, "type": _bare(part.type, defined)} for part in fields]
            return {"type": "record", "fields": parts}


@dataclass(slots=True)
class _Parser:
    named: dict[str, Any] = field(default_factory=dict)  # full name -> (raw definition, its namespace)
    open: set[str] = field(default_factory=set)  # records that the walk is inside of
    nodes: int = 0

    def node(self, raw: Any, namespace: str, path: str, depth: int) -> Node:
        self.nodes += 1
        if depth > MAX_SCHEMA_DEPTH or self.nodes > MAX_SCHEMA_NODES:
            raise SchemaError(Fault.TOO_DEEP, path, "nested too deep or too large")
        if isinstance(raw, list):
            return self._union(raw, namespace, path, depth)
        if isinstance(raw, str):
            return Scalar(raw) if raw in PRIMITIVES else self._reference(raw, namespace, path, depth)
        if not isinstance(raw, dict):
            raise SchemaError(Fault.NOT_A_SCHEMA, path, "a type is text, an object or a union")
        kind = raw.get("type")
        if kind == "array":
            return Array(self._repeated(raw.get("items"), namespace, path, depth))
        if kind == "map":
            return Map(self._repeated(raw.get("values"), namespace, path, depth))
        if kind in ("record", "enum", "fixed"):
            name, namespace = _full_name(raw, namespace, path)
            if name in self.named and self.named[name][0] is not raw:
                raise SchemaError(Fault.NOT_A_SCHEMA, path, "a type's name is given twice")
            self.named[name] = (raw, namespace)
            return self._definition(name, raw, namespace, path, depth)
        return self.node(kind, namespace, path, depth + 1)

    def _repeated(self, raw: Any, namespace: str, path: str, depth: int) -> Node:
        items = self.node(raw, namespace, path, depth + 1)
        if _has_weightless_part(items):
            raise SchemaError(Fault.ZERO_BYTE_ITEMS, path, "an array or map repeats what takes no bytes")
        return items

    def _reference(self, raw: str, namespace: str, path: str, depth: int) -> Node:
        candidates = (raw,) if "." in raw or not namespace else (f"{namespace}.{raw}", raw)
        for name in candidates:
            if name in self.open:
                raise SchemaError(Fault.TOO_DEEP, path, "a record that contains itself")
            if name in self.named:
                definition, inner_namespace = self.named[name]
                return self._definition(name, definition, inner_namespace, path, depth)
        raise SchemaError(Fault.NOT_A_SCHEMA, path, "names a type that is not defined before it")

    def _definition(
        self, name: str, raw: Mapping[str, Any], namespace: str, path: str, depth: int
    ) -> EnumType | Fixed | Record:
        if raw["type"] == "enum":
            symbols = _names(raw.get("symbols"), path, "symbols")
            return EnumType(name, symbols, raw.get("default") in symbols)
        if raw["type"] == "fixed":
            size = raw.get("size")
            if not isinstance(size, int) or isinstance(size, bool) or size < 0:
                raise SchemaError(Fault.NOT_A_SCHEMA, path, "fixed without a size")
            return Fixed(name, size)
        self.open.add(name)
        parts = raw.get("fields")
        if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
            raise SchemaError(Fault.NOT_A_SCHEMA, path, "a record without fields")
        names = _names([part.get("name") for part in parts], path, "fields")
        fields = tuple(
            self._field(part, namespace, f"{path}.{own}" if path else own, depth)
            for own, part in zip(names, parts, strict=True)
        )
        self.open.discard(name)
        return Record(name, fields)

    def _field(self, raw: Mapping[str, Any], namespace: str, path: str, depth: int) -> Field:
        item = raw.get("item")
        node = self.node(raw.get("type"), namespace, path, depth + 1)
        if "default" in raw and not _fits(node, raw["default"]):
            raise SchemaError(Fault.UNFIT_DEFAULT, path, "the default is not of the field's type")
        return Field(
            name=raw["name"],
            type=node,
            item=item if isinstance(item, str) else None,
            has_default="default" in raw,
            default=raw.get("default"),
        )

    def _union(self, raw: list[Any], namespace: str, path: str, depth: int) -> Nullable:
        if len(raw) != 2 or "null" not in raw or raw[0] == raw[1]:
            raise SchemaError(Fault.AMBIGUOUS_UNION, path, "a union other than null and one type")
        null_first = raw[0] == "null"
        inner = self.node(raw[1] if null_first else raw[0], namespace, path, depth + 1)
        if isinstance(inner, Nullable) or inner == Scalar("null"):
            raise SchemaError(Fault.AMBIGUOUS_UNION, path, "a union other than null and one type")
        return Nullable(inner, null_first)


def _has_weightless_part(node: Node) -> bool:
    """Whether something in a value takes no bytes: then the bytes that are there do not bound what is made of them."""
    match node:
        case Record(_, fields):
            return not fields or any(_has_weightless_part(part.type) for part in fields)
        case Nullable(inner):
            return _has_weightless_part(inner)
        case _:
            return min_bytes(node) == 0


def _fits(node: Node, default: Any) -> bool:
    """Whether a default is one that we can fill in: null, empty, or JSON that needs no conversion."""
    match node:
        case Nullable(inner, null_first):
            return default is None if null_first else _fits(inner, default)
        case Scalar(kind):
            return type(default) is _DEFAULTS.get(kind)
        case EnumType(_, symbols, _):
            return isinstance(default, str) and default in symbols
        case _:
            empty: object = {} if isinstance(node, Map) else []
            return isinstance(node, Array | Map) and default == empty


def _full_name(raw: Mapping[str, Any], namespace: str, path: str) -> tuple[str, str]:
    name = raw.get("name")
    if not isinstance(name, str):
        raise SchemaError(Fault.NOT_A_SCHEMA, path, "a named type without a name")
    if "." in name:
        namespace, name = name.rsplit(".", 1)
    else:
        given = raw.get("namespace", namespace)
        namespace = given if isinstance(given, str) else ""
    parts = [*namespace.split("."), name] if namespace else [name]
    _names(parts, path, "a type's name", distinct=False)
    return ".".join(parts), namespace


def _names(raw: Any, path: str, what: str, *, distinct: bool = True) -> tuple[str, ...]:
    if (
        not isinstance(raw, list)
        or not all(isinstance(name, str) and _NAME.match(name) for name in raw)
        or (distinct and len(set(raw)) != len(raw))
    ):
        raise SchemaError(Fault.NOT_A_SCHEMA, path, f"{what}: not distinct Avro names")
    return tuple(raw)
