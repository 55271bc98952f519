"""The two interfaces as pages for people: the topics, and GeNiE's API.

Knows how a schema and an OpenAPI document are read aloud. Must not know what any field means: that stands in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from gateway import asyncapi, schemas
from gateway.pages import table

OPENAPI = schemas.directory().parent / "openapi" / "genie-provision.yaml"
_METHODS = ("get", "post", "put", "patch", "delete")
_BOUNDS = {
    "pattern": "like `{}`",
    "format": "format {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} elements",
    "maxItems": "at most {} elements",
    "minimum": "at least {:,}",
    "maximum": "at most {:,}",
}
_LIST = re.compile(r"^(?![ -]|[0-9]+\.)(.+)\n(- |1\. )", re.MULTILINE)  # Markdown wants a blank line before one
_HEADING = re.compile(r"^#+ ", re.MULTILINE)


def topics() -> Iterator[str]:
    """Every topic: who writes and reads it, its settings, its key, and each field with its item."""
    yield "# Topics\n"
    yield (
        "Written from the schemas, from what `gateway topics check` asks for, and from the least permissions. The same "
        "for programs: [`schemas/asyncapi.yaml`](../../schemas/asyncapi.yaml). The setting `topics.prefix` comes "
        "before each name. *Item* says which category of the privacy policy a field belongs to; `internal` never "
        "leaves.\n"
    )
    for topic, kind in asyncapi.NAMES.record_kinds().items():
        yield f"## `{topic}`\n"
        yield f"{schemas.schema(kind).source['doc']}\n"
        writers, readers = (
            ", ".join(role.value for role in roles) for roles in (asyncapi.writers(topic), asyncapi.readers(topic))
        )
        yield f"* Record: {kind}. Key: {asyncapi.key_of(kind)}"
        yield f"* Written by: {writers}. Read by: {readers}\n"
        needs = ((f"`{need.setting}`", need.sentence) for need in asyncapi.settings(topic))
        yield from table(("setting", "needed"), needs)
        yield ""
        yield from table(("field", "type", "item", "what it is"), _fields(schemas.schema(kind).source))
        yield ""


def genie() -> Iterator[str]:
    """GeNiE's API: its rules, its operations, and every object that is sent or answered."""
    document = yaml.safe_load(OPENAPI.read_text("utf-8"))
    yield f"# {document['info']['title']}\n"
    yield f"{document['info']['summary']} Written from [the OpenAPI document](../../schemas/openapi/{OPENAPI.name}).\n"
    yield _LIST.sub(r"\1\n\n\2", _HEADING.sub(lambda found: f"#{found[0]}", document["info"]["description"]))
    yield "## Operations\n"
    for path, methods in document["paths"].items():
        for method in (each for each in _METHODS if each in methods):
            yield from _operation(f"{method.upper()} {path}", methods[method], document)
    yield "## Objects\n"
    for name, schema in document["components"]["schemas"].items():
        yield from _object(name, schema)


def _operation(name: str, operation: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[str]:
    yield f"### `{name}`\n"
    yield f"{operation['summary']}. {operation.get('description', '')}".strip() + "\n"
    yield f"Content: {_content(operation['requestBody'])}\n"
    headers = (_resolved(each, document) for each in operation["parameters"])
    yield from table(("header", "what it is"), ((f"`{each['name']}`", _whole(each["description"])) for each in headers))
    yield ""
    answers = ((status, _resolved(each, document)) for status, each in operation["responses"].items())
    rows = ((status, _content(each), _whole(each["description"])) for status, each in answers)
    yield from table(("status", "content", "what it means"), rows)
    yield ""


def _content(body: Mapping[str, Any]) -> str:
    return ", ".join(f"{_type(given['schema'])} as `{media}`" for media, given in body["content"].items())


def _object(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield f"### {name}\n"
    if said := schema.get("description"):
        yield f"{_whole(said)}\n"
    if "properties" not in schema:
        yield f"{_type(schema)}\n"
        return
    needed = schema.get("required", ())
    rows = [
        (f"`{field}`", _type(given), "yes" if field in needed else "", _whole(given.get("description", "")))
        for field, given in schema["properties"].items()
    ]
    yield from table(("member", "type", "required", "what it is"), rows)
    yield ""


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return "one of " + ", ".join(f"`{each}`" for each in schema["enum"])
    if "oneOf" in schema:
        return "one of " + ", ".join(_type(each) for each in schema["oneOf"])
    kind = f"array of {_type(schema['items'])}" if "items" in schema else str(schema["type"])
    return ", ".join([kind, *(words.format(schema[bound]) for bound, words in _BOUNDS.items() if bound in schema)])


def _resolved(node: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in node:
        return node
    found: Any = document
    for part in node["$ref"].split("/")[1:]:
        found = found[part]
    return dict(found)


def _fields(record: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, ...]]:
    for part in record["fields"]:
        name, inner = f"{path}{part['name']}", _inner(part["type"])
        yield (f"`{name}`", _avro(part["type"]), part.get("item", ""), part.get("doc", ""))
        if inner is not None:
            yield from _fields(inner, f"{name}{'[]' if _avro(part['type']).startswith('array') else ''}.")


def _inner(kind: Any) -> Mapping[str, Any] | None:
    """The record that a field holds, or holds many of."""
    branches = kind if isinstance(kind, list) else [kind]
    for branch in (each for each in branches if isinstance(each, Mapping)):
        if branch["type"] == "record":
            return branch
        if branch["type"] == "array" and isinstance(branch["items"], Mapping):
            return _inner(branch["items"])
    return None


def _avro(kind: Any) -> str:
    match kind:
        case [*branches]:
            return " or ".join(_avro(each) for each in sorted(branches, key=lambda each: each == "null"))
        case {"logicalType": logical}:
            return str(logical)
        case {"type": "array", "items": items}:
            return f"array of {_avro(items)}"
        case {"type": "enum", "symbols": symbols}:
            return "one of " + ", ".join(f"`{each}`" for each in symbols)
        case {"name": name}:
            return str(name)
    return str(kind)


def _whole(text: str) -> str:
    return " ".join(text.split())
