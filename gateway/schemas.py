"""The record kinds: their schemas, their ids in the file registry, and Confluent's wire format.

Knows where the schemas lie and how a record that we trust is written and read.
Must not know topics, registries over a network, consent, or what an item means. What comes from outside is
decoded by gateway/kafka/codec.py, never here.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro

from gateway import avro
from gateway.avro_writer import Write, compile_writer

NAMESPACE = "jp.norel.gateway.v1"
ITEMS = frozenset(
    {
        "name",
        "address",
        "phone",
        "birth_date",
        "payment_history",
        "norel_score",
        "norel_score_inputs",
        "envelope",
        "internal",
    }
)

_HEADER = struct.Struct(">bI")  # Confluent: a zero byte, then the schema id
HEADER_BYTES = _HEADER.size
MAGIC = 0


class NotFramedError(ValueError):
    """The value does not start with Confluent's header."""


class UnknownSchemaError(LookupError):
    """No schema of ours has this name or id."""


@dataclass(frozen=True, slots=True)
class Schema:
    """One record kind, in one version."""

    name: str  # without the namespace
    id: int  # in the file registry
    source: Mapping[str, Any]  # as written, with `item`, `doc` and logical types
    record: avro.Record
    wire: Any  # what fastavro reads by; no logical types, so times and dates stay integers

    @property
    def text(self) -> str:
        """The schema as a registry stores it."""
        return json.dumps(self.source, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class SchemaSet:
    """All schemas of one directory."""

    current: Mapping[str, Schema]  # by name: what we write
    by_id: Mapping[int, Schema]  # with released versions: what we may read


def directory() -> Path:
    """Where the schemas lie: inside an installed package, or in the repository."""
    packaged = Path(__file__).parent / "schemas" / "avro"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / "schemas" / "avro"


@cache
def own() -> SchemaSet:
    """The schemas that this release was built with."""
    return load(directory())


def load(where: Path) -> SchemaSet:
    """Read ids.json and every schema that it names; a file beside it (not below) is a current one."""
    ids: dict[str, str] = json.loads((where / "ids.json").read_text("utf-8"))
    by_id = {int(number): _read(where / path, int(number)) for number, path in ids.items()}
    current = {by_id[int(number)].name: by_id[int(number)] for number, path in ids.items() if "/" not in path}
    return SchemaSet(current, by_id)


def schema(name: str) -> Schema:
    """The current schema of a record kind, such as `ProvisionRecord`."""
    try:
        return own().current[name]
    except KeyError:
        raise UnknownSchemaError(f"no record kind {name!r} in {directory()}") from None


def schema_id(name: str) -> int:
    """The id of a record kind in the file registry."""
    return schema(name).id


def versions(name: str) -> list[Schema]:
    """Every released version of a record kind, the current one last."""
    return [each for _, each in sorted(own().by_id.items()) if each.name == name]


def leaves(name: str) -> Iterator[tuple[str, str | None]]:
    """(path, item) of every leaf of a record kind; `inputs[].value` is a leaf of an array of records."""
    return ((leaf.path, leaf.item) for leaf in avro.leaves(schema(name).record))


def frame(number: int, payload: bytes) -> bytes:
    """Confluent's wire format."""
    return _HEADER.pack(MAGIC, number) + payload


def unframe(value: bytes) -> tuple[int, bytes]:
    """The schema id and the payload of a framed value; raises NotFramedError."""
    if len(value) < HEADER_BYTES:
        raise NotFramedError("shorter than the 5 bytes of Confluent's header")
    magic, number = _HEADER.unpack_from(value)
    if magic != MAGIC:
        raise NotFramedError("does not start with Confluent's zero byte")
    return number, value[HEADER_BYTES:]


def encode(name: str, record: Mapping[str, Any], number: int | None = None) -> bytes:
    """A framed record of ours; `number` is its id if the registry is not the files. Raises UnfitRecordError."""
    return encoder(name, number)(record)


@cache
def encoder(name: str, number: int | None = None) -> Write:
    """What `encode` does for one record kind, for those who write many."""
    ours = schema(name)
    return compile_writer(ours.record, frame(ours.id if number is None else number, b""))


def decode(value: bytes) -> tuple[str, dict[str, Any]]:
    """The record kind and the record of a framed value that we trust, by the ids of the file registry.

    fastavro reads it, not our reader: the verifier that checks the gateway must not repeat its mistakes.
    """
    number, payload = unframe(value)
    written = own().by_id.get(number)
    if written is None:
        raise UnknownSchemaError(f"no schema with id {number} in {directory() / 'ids.json'}")
    record: Any = fastavro.schemaless_reader(BytesIO(payload), written.wire, None)
    return written.name, record


def _read(path: Path, number: int) -> Schema:
    source = json.loads(path.read_text("utf-8"))
    record = avro.parse(source)
    if not isinstance(record, avro.Record):
        raise avro.SchemaError(avro.Fault.NOT_A_SCHEMA, "", f"{path} is not a record")
    return Schema(
        name=record.name.removeprefix(f"{NAMESPACE}."),
        id=number,
        source=source,
        record=record,
        wire=fastavro.parse_schema(avro.bare(record)),
    )
