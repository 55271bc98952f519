"""Hypothesis strategies for schemas, for records made from the schemas themselves, and for careless bytes."""

import struct
from collections.abc import Iterator
from itertools import count
from typing import Any

from hypothesis import strategies as st

from gateway import avro, schemas

_SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "null": st.none(),
    "boolean": st.booleans(),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(width=32),
    "double": st.floats(),
    "bytes": st.binary(max_size=40) | st.binary(min_size=60, max_size=70),
    "string": st.text(st.characters(exclude_categories=("Cs",)), max_size=40),
}
_DEFAULTS = {"boolean": True, "int": -1, "long": 7, "string": "x", "array": [], "map": {}, "null": None}
_SYMBOLS = ["A", "B", "C"], [f"S{number}" for number in range(70)]  # whose indexes take one byte, and two


def values(node: avro.Node) -> st.SearchStrategy[Any]:
    """Every value that a type allows, within small sizes."""
    match node:
        case avro.Scalar(kind):
            return _SCALARS[kind]
        case avro.EnumType(_, symbols):
            return st.sampled_from(symbols)
        case avro.Fixed(_, size):
            return st.binary(min_size=size, max_size=size)
        case avro.Nullable(inner):
            return st.none() | values(inner)
        case _:
            return _container(node)


def _container(node: avro.Array | avro.Map | avro.Record) -> st.SearchStrategy[Any]:
    match node:
        case avro.Array(inner):
            return st.lists(values(inner), max_size=4)
        case avro.Map(inner):
            return st.dictionaries(_SCALARS["string"], values(inner), max_size=4)
        case avro.Record(_, fields):
            return st.fixed_dictionaries({part.name: values(part.type) for part in fields})


def records(name: str) -> st.SearchStrategy[dict[str, Any]]:
    """Records of one of our kinds."""
    return values(schemas.schema(name).record)


@st.composite
def raw_records(draw: st.DrawFn) -> dict[str, Any]:
    """The JSON of any record schema that our bounds allow, of a few levels."""
    return _raw_record(draw, count(), depth=draw(st.integers(1, 4)))


def _raw_record(draw: st.DrawFn, names: Iterator[int], depth: int) -> dict[str, Any]:
    name = f"N{next(names)}"
    fields = []
    for number in range(draw(st.integers(0, 4))):
        raw = _raw(draw, names, depth - 1)
        fields.append({"name": f"f{number}", "type": raw, **_raw_default(draw, raw)})
    return {"type": "record", "name": name, "fields": fields}


def _raw_default(draw: st.DrawFn, raw: Any) -> dict[str, Any]:
    kind = raw["type"] if isinstance(raw, dict) else raw[0] if isinstance(raw, list) else raw
    if not isinstance(kind, str) or kind not in _DEFAULTS or draw(st.booleans()):
        return {}
    return {"default": _DEFAULTS[kind]}


def _raw(draw: st.DrawFn, names: Iterator[int], depth: int) -> Any:
    inner = ("record", "array", "map", "null first", "null last") if depth else ()
    match draw(st.sampled_from((*_SCALARS, "enum", "fixed", *inner))):
        case "record":
            return _raw_record(draw, names, depth)
        case "enum":
            return {"type": "enum", "name": f"N{next(names)}", "symbols": draw(st.sampled_from(_SYMBOLS))}
        case "fixed":
            return {"type": "fixed", "name": f"N{next(names)}", "size": draw(st.integers(0, 5))}
        case "array" | "map" | "null first" | "null last" as container:
            return _raw_container(container, _raw(draw, names, depth - 1))
        case scalar:
            return scalar


def _raw_container(container: str, inner: Any) -> Any:
    if container in ("array", "map"):
        held = "items" if container == "array" else "values"
        raw = {"type": container, held: inner}
        return raw if allowed(raw) else {**raw, held: "long"}
    inner = "string" if inner == "null" or isinstance(inner, list) else inner
    return ["null", inner] if container == "null first" else [inner, "null"]


def allowed(raw: Any) -> bool:
    """Whether our bounds allow the schema."""
    try:
        avro.parse(raw)
    except avro.SchemaError:
        return False
    return True


@st.composite
def careless_bytes(draw: st.DrawFn, node: avro.Node, value: Any) -> bytes:
    """The value as a writer might put it who knows the types but not the one canonical form."""
    return b"".join(_Careless(draw).pieces(node, value))


class _Careless:
    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def pieces(self, node: avro.Node, value: Any) -> Iterator[bytes]:
        """The bytes of the value, almost always as they should be."""
        match node:
            case avro.Scalar(kind):
                yield self._scalar(kind, value)
            case avro.EnumType(_, symbols):
                yield self._number(self._slip(st.integers(-2, len(symbols)), symbols.index(value)))
            case avro.Fixed():
                yield value
            case avro.Nullable(inner, null_first):
                right = int((value is None) != null_first)
                yield self._number(self._slip(st.integers(-2, 3), right))
                yield from () if value is None else self.pieces(inner, value)
            case avro.Array(inner):
                yield from self._blocks([b"".join(self.pieces(inner, one)) for one in value])
            case avro.Map(inner):
                entries = [self._scalar("string", key) + b"".join(self.pieces(inner, value[key])) for key in value]
                yield from self._blocks(entries + self._slip(st.just(entries[:1]), []))
            case avro.Record(_, fields):
                for part in fields:
                    yield from self.pieces(part.type, value[part.name])

    def _scalar(self, kind: str, value: Any) -> bytes:
        match kind:
            case "null":
                return b""
            case "boolean":
                return bytes([self._slip(st.integers(0, 255), int(value))])
            case "int" | "long":
                return self._number(self._slip(st.integers(-(2**33), 2**33) | st.integers(-(2**70), 2**70), value))
            case "float":
                return self._slip(st.binary(min_size=4, max_size=4) | signalling_nans, struct.pack("<f", value))
            case "double":
                return self._slip(st.binary(min_size=8, max_size=8), struct.pack("<d", value))
            case _:
                content = value.encode() if kind == "string" else value
                content = self._slip(st.binary(max_size=3).map(lambda more: content + more), content)
                return self._number(self._slip(st.integers(-3, 3), 0) + len(content)) + content

    def _blocks(self, entries: list[bytes]) -> Iterator[bytes]:
        while entries:
            size = self._slip(st.integers(1, len(entries)), len(entries))
            block, entries = b"".join(entries[:size]), entries[size:]
            sized = self._slip(st.just(self._number(-size) + self._number(len(block))), None)
            yield (self._number(size) if sized is None else sized) + block
        yield self._number(0)

    def _number(self, number: int) -> bytes:
        bits = (number << 1) ^ (number >> 80)
        out = bytearray()
        while bits > 127:
            out.append(bits & 127 | 128)
            bits >>= 7
        padding = self._slip(st.integers(1, 10), 0)
        return bytes(out) + (bytes([bits | 128]) + b"\x80" * (padding - 1) + b"\x00" if padding else bytes([bits]))

    def _slip(self, wrong: st.SearchStrategy[Any], right: Any) -> Any:
        return self._draw(wrong) if self._draw(st.integers(0, 40)) == 40 else right


signalling_nans = st.integers(1, 2**22 - 1).map(lambda bits: struct.pack("<I", 0x7F800000 | bits))
