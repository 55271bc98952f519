"""What makes a schema unfit, and what makes two versions of it incompatible.

Knows the rule of the attribute `item`, Avro's schema resolution, and that every released version stays
readable in both directions (FULL_TRANSITIVE). Must not know registries, topics, or who writes by a schema.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway import avro, schemas

RELEASED = "released"  # <name>/v1.avsc, v2.avsc ... below the directory of the current schemas

_WIDER = {  # Avro also reads bytes as string and back; we read by the writer's schema, which does not convert
    "int": {"int", "long", "float", "double"},
    "long": {"long", "float", "double"},
    "float": {"float", "double"},
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a schema file."""

    file: str
    path: str  # of the field; empty for the schema as a whole
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.file}: {self.path or '(whole schema)'}: {self.what}; {self.remedy}"


@dataclass(frozen=True, slots=True)
class Break:
    """A field that a reader could not read from what a writer wrote."""

    path: str
    what: str


def unfit_items(record: avro.Record) -> Iterator[tuple[str, str, str]]:
    """(path, what, remedy) for every field whose `item` breaks the rule."""
    for path, part, inner in avro.fields_below(record):
        if inner is not None and part.item is not None:
            yield path, "a container with an item", "put `item` on the leaves inside it"
        elif inner is None and part.item is None:
            yield path, "a leaf without `item`", f"say which item it is: {', '.join(sorted(schemas.ITEMS))}"
        elif inner is None and part.item not in schemas.ITEMS:
            yield path, "an unknown `item`", f"use one of: {', '.join(sorted(schemas.ITEMS))}"


def breaks(reader: avro.Node, writer: avro.Node, path: str = "") -> Iterator[Break]:
    """Where a reader with one schema fails on what was written by another; empty if it never does."""
    match reader, writer:
        case avro.Nullable(reads, _), avro.Nullable(writes, _):
            yield from breaks(reads, writes, path)
        case avro.Nullable(reads, _), _:
            if writer != avro.Scalar("null"):
                yield from breaks(reads, writer, path)
        case avro.Scalar(reads), avro.Scalar(writes):
            if reads not in _WIDER.get(writes, {writes}):
                yield Break(path, f"{writes} is read as {reads}")
        case avro.EnumType(), avro.EnumType():
            yield from _enum_breaks(reader, writer, path)
        case (avro.Array(reads), avro.Array(writes)) | (avro.Map(reads), avro.Map(writes)):
            yield from breaks(reads, writes, path)
        case avro.Record(), avro.Record():
            yield from _record_breaks(reader, writer, path)
        case _:
            if reader != writer:
                yield Break(path, "the types do not match")


def moved_items(old: avro.Record, new: avro.Record) -> Iterator[Break]:
    """Leaves that both know under different items: what one lets pass the other would not."""
    items = {leaf.path: leaf.item for leaf in avro.leaves(old)}
    for leaf in avro.leaves(new):
        if items.get(leaf.path, leaf.item) != leaf.item:
            yield Break(leaf.path, f"its item was {items[leaf.path]}, now it is {leaf.item}")


def differences(ours: avro.Record, theirs: avro.Record) -> Iterator[Break]:
    """Everything by which a registered schema differs from ours, whether or not it breaks anything."""
    mine, others = ({leaf.path for leaf in avro.leaves(record)} for record in (ours, theirs))
    for path in sorted(mine - others):
        yield Break(path, "only this release has it")
    for path in sorted(others - mine):
        yield Break(path, "only the registered schema has it")
    for broken in breaks(ours, theirs):
        yield Break(broken.path, f"this release cannot read it: {broken.what}")
    for broken in breaks(theirs, ours):
        yield Break(broken.path, f"the registered schema cannot read it: {broken.what}")
    for broken in moved_items(theirs, ours):
        yield broken


def check(directory: Path) -> list[Finding]:
    """Everything wrong with the schemas of a directory, their ids and their released versions."""
    ids, findings = _ids(directory)
    texts = {named: _load(directory / named) for named in ids}
    for path in sorted(directory.glob("*.avsc")):
        if path.name not in ids:
            findings.append(Finding(path.name, "", "has no id", "add it to ids.json under a new number"))
        findings.extend(_check_one(path))
        findings.extend(_check_history(path, [text for text in texts.values() if text is not None]))
    for named, text in texts.items():
        if text is None:
            findings.append(Finding(named, "", "is named in ids.json but cannot be read", "restore the file"))
    return findings


def _enum_breaks(reader: avro.EnumType, writer: avro.EnumType, path: str) -> Iterator[Break]:
    unread = set(writer.symbols) - set(reader.symbols)
    if reader.name != writer.name:
        yield Break(path, "the enum has another name")
    if unread and not reader.has_default:
        yield Break(path, f"symbols that the reader does not know: {', '.join(sorted(unread))}")


def _record_breaks(reader: avro.Record, writer: avro.Record, path: str) -> Iterator[Break]:
    if reader.name != writer.name:
        yield Break(path, "the record has another name")
    written = {part.name: part for part in writer.fields}
    for part in reader.fields:
        where = f"{path}.{part.name}" if path else part.name
        if part.name in written:
            yield from breaks(part.type, written[part.name].type, where)
        elif not part.has_default:
            yield Break(where, "the reader needs it, the writer lacks it, and it has no default")


def _check_one(path: Path) -> Iterator[Finding]:
    try:
        record = _record(path)
    except avro.SchemaError as fault:
        yield Finding(path.name, fault.path, fault.what, fault.fault.value)
        return
    for where, what, remedy in unfit_items(record):
        yield Finding(path.name, where, what, remedy)


def _check_history(path: Path, texts_with_id: list[Any]) -> Iterator[Finding]:
    versions = sorted((path.parent / RELEASED / path.stem).glob("v*.avsc"))
    if not versions:
        where = f"{RELEASED}/{path.stem}/v1.avsc"
        yield Finding(path.name, "", "has no released version", f"copy it to {where} when it is released")
    elif _load(path) not in [_load(version) for version in versions]:
        where = f"{RELEASED}/{path.stem}/v{len(versions) + 1}.avsc"
        remedy = f"copy it to {where}; give it a new id and point the old id at {versions[-1].name}"
        yield Finding(path.name, "", "differs from every released version", remedy)
    for version in versions:
        name = version.relative_to(path.parent).as_posix()
        if _load(version) not in texts_with_id:
            yield Finding(name, "", "has no id", "point its id in ids.json at it: records carry that id")
        try:
            current, released = _record(path), _record(version)
        except avro.SchemaError:
            continue  # already found in the current one; released ones were checked when they were current
        yield from _compare(path.name, name, current, released)


def _compare(file: str, version: str, current: avro.Record, released: avro.Record) -> Iterator[Finding]:
    remedy = "keep the field as released; add a new one with a default instead"
    for broken in breaks(current, released):
        yield Finding(file, broken.path, f"cannot read what {version} wrote: {broken.what}", remedy)
    for broken in breaks(released, current):
        yield Finding(file, broken.path, f"cannot be read by {version}: {broken.what}", remedy)
    for broken in moved_items(released, current):
        yield Finding(file, broken.path, f"against {version}: {broken.what}", remedy)


def _ids(directory: Path) -> tuple[list[str], list[Finding]]:
    ids = _load(directory / "ids.json")
    if not isinstance(ids, dict) or not all(isinstance(path, str) for path in ids.values()):
        remedy = 'write {"1": "<name>.avsc", ...}'
        return [], [Finding("ids.json", "", "cannot be read as numbers and file names", remedy)]
    return list(ids.values()), []


def _record(path: Path) -> avro.Record:
    raw = _load(path)
    if raw is None:
        raise avro.SchemaError(avro.Fault.NOT_A_SCHEMA, "", "cannot be read as JSON")
    node = avro.parse(raw)
    if not isinstance(node, avro.Record):
        raise avro.SchemaError(avro.Fault.NOT_A_SCHEMA, "", "is not a record")
    return node


def _load(path: Path) -> Any:
    """The file's JSON; None if there is none to be read."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
