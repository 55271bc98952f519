"""A later release's schemas, made as docs/explanation/releases.md and `gateway schemas check` say, and records by them.

Knows the files of schemas/avro. Must not know registries.
"""

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway import avro, schemas

ADDED = "added_later"
FIELD = {"name": ADDED, "type": ["null", "string"], "default": None, "item": "internal", "doc": "New. Never sent"}

Change = Callable[[dict[str, Any]], None]


def add_everywhere(source: dict[str, Any]) -> None:
    """An optional field at the end of the record and of each record inside it."""
    for part in source["fields"]:
        kind = part["type"]
        for inner in kind if isinstance(kind, list) else [kind]:
            record = inner.get("items", inner) if isinstance(inner, dict) else None
            if isinstance(record, dict) and record["type"] == "record":
                add_everywhere(record)
    source["fields"].append(copy.deepcopy(FIELD))


def make(directory: Path, change: Change, *names: str) -> schemas.SchemaSet:
    """A release in which these record kinds (none: all) are changed so, beside their released versions."""
    shutil.copytree(schemas.directory(), directory)
    ids: dict[str, str] = json.loads((directory / "ids.json").read_text("utf-8"))
    for number, file in list(ids.items()):
        path, source = directory / file, json.loads((directory / file).read_text("utf-8"))
        if not names or source["name"] in names:
            change(source)
            versions = directory / "released" / path.stem
            ids[number] = str((versions / "v1.avsc").relative_to(directory))
            ids[str(len(ids) + 1)] = file
            for place in (path, versions / "v2.avsc"):
                place.write_text(json.dumps(source), "utf-8")
    (directory / "ids.json").write_text(json.dumps(ids), "utf-8")
    return schemas.load(directory)


def sample(node: avro.Node) -> Any:
    """One value of a type, nothing in it left out."""
    match node:
        case avro.Scalar(kind):
            value: Any = {"string": "text", "bytes": b"bytes", "boolean": True}.get(kind, 7)
        case avro.EnumType(_, symbols):
            value = symbols[-1]
        case avro.Fixed(_, size):
            value = bytes(size)
        case avro.Nullable(inner):
            value = sample(inner)
        case avro.Array(items):
            value = [sample(items)]
        case avro.Map(values):
            value = {"key": sample(values)}
        case avro.Record(_, fields):
            value = {part.name: sample(part.type) for part in fields}
    return value


def with_null(record: Any, node: avro.Node, name: str) -> Any:
    """The record as a reader of `node` fills it in: this field is null wherever the schema has it."""
    match node:
        case avro.Record(_, fields):
            return {
                each.name: None if each.name == name else with_null(record[each.name], each.type, name)
                for each in fields
            }
        case avro.Nullable(inner):
            return None if record is None else with_null(record, inner, name)
        case avro.Array(items):
            return [with_null(each, items, name) for each in record]
    return record
