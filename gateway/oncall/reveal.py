"""An input record as people may see it: the shape of each field, or, if they insist, the values.

Knows how a value is masked, and that looking is written down before anything is fetched. Must not know who may look, or
why the record is of interest.

A shape shows what kind of characters there are and how many, never which: `東京都1-2` is `漢漢漢9-9`. That is enough to
see an empty name, a letter in a number, a wrong hyphen. Of numbers, days, times and words out of a closed set it shows
less: there the shape would say the value.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway import schemas
from gateway.core.canonical import iso_day
from gateway.core.events import FIRST_DAY, LAST_DAY, LAST_MS, check_ref, is_uuid
from gateway.oncall import times
from gateway.oncall.audit import Deed, Operator, audited
from gateway.oncall.desk import Desk, Found
from gateway.oncall.ledger.source import Place
from gateway.oncall.wary import wary

SHAPE_MAX = 80  # characters of a shape
TEXT_MAX = 2_000  # characters of a value
BYTES_MAX = 512  # of a value that can't be read
HEADERS_MAX = 20
KEY, NO_ITEM = "(key)", ""

# Names of things, not of persons: shown if they are formed like one. All else is masked, unknown fields too.
_REFERENCES = frozenset({"event_id", "score_id", "subject_ref", "contract_ref", "corrects_event_id", "supersedes"})


@dataclass(frozen=True, slots=True)
class Line:
    """One field: its path in the record, the policy item of its leaf, what may be seen of its value."""

    path: str
    item: str
    shown: str


@dataclass(frozen=True, slots=True)
class Revealed:
    """An original, as far as it was asked for."""

    place: str
    timestamp: int  # ms, Kafka's
    size: int  # bytes of the value
    schema_id: int | None
    unreadable: str | None  # why there are no fields
    lines: tuple[Line, ...]


async def reveal(
    desk: Desk, operator: Operator, command: str, place: Place, subject_ref: str | None, *, unmasked: bool
) -> Revealed | None:
    """Write the deed down, then fetch the record; None if the topic no longer has it.

    Raises KafkaUnavailableError, RegistryAway, TasterFailedError, and then nothing was shown.
    """
    deed = Deed(f"{command} --reveal{' --unmasked' if unmasked else ''}", subject_ref, input=place, count=1)
    await audited(desk, operator, deed)
    async with wary(desk) as careful:
        found = (await careful.at([place]))[0]
    return None if found is None else shown(desk, found, unmasked=unmasked)


def shown(desk: Desk, found: Found, *, unmasked: bool) -> Revealed:
    """The fields of a record, masked unless `unmasked`."""
    value = found.value or b""
    show: Callable[[object, str], str] = plain if unmasked else masked
    lines = [Line(KEY, NO_ITEM, _reference(found.key) or show(found.key, ""))]
    lines += [Line(f"(header {plain(name)})", NO_ITEM, show(value, "")) for name, value in found.headers[:HEADERS_MAX]]
    unreadable, schema_id = None, schema_id_of(value)
    if found.record is not None and schema_id is not None:
        items, kinds = desk.codec.fields(schema_id), _kinds(desk.codec.kind(found.topic))
        lines += [
            Line(path, items.get(leaf, NO_ITEM), _field(leaf, each, kinds, show))
            for path, leaf, each in leaves(found.record)
        ]
    else:
        unreadable = found.why.sentence if found.why is not None else "The record has no value."
        if unmasked and value:
            lines.append(Line(f"(first {min(len(value), BYTES_MAX)} bytes)", NO_ITEM, value[:BYTES_MAX].hex(" ")))
    return Revealed(found.place, found.timestamp, len(value), schema_id, unreadable, tuple(lines))


def schema_id_of(value: bytes | None) -> int | None:
    """The id in a value's head; None if it has no such head."""
    try:
        return schemas.unframe(value or b"")[0]
    except schemas.NotFramedError:
        return None


def leaves(value: object, path: str = "", leaf: str = "") -> Iterator[tuple[str, str, object]]:
    """Every value: its path with positions, the path of its leaf in the schema, and itself."""
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from leaves(each, f"{path}.{name}" if path else name, f"{leaf}.{name}" if leaf else name)
    elif isinstance(value, list) and any(isinstance(each, Mapping) for each in value):
        for at, each in enumerate(value):
            yield from leaves(each, f"{path}[{at}]", f"{leaf}[]")
    else:
        yield path, leaf, value


def masked(value: object, kind: str = "") -> str:
    """The shape of a value; `kind` is what the schema says of it beyond its type."""
    if value is None:
        return "null"
    if kind in _KINDS:
        return _KINDS[kind](value)
    if isinstance(value, str):
        shape = "".join(map(_mask, value[:SHAPE_MAX]))
        return f"{shape}{'…' if len(value) > SHAPE_MAX else ''} ({len(value):,} characters)"
    if isinstance(value, int):
        return f"({'a negative number' if value < 0 else 'a number'} of {len(str(abs(value)))} digits)"
    return f"({len(value):,} bytes)" if isinstance(value, bytes) else "(a value)"


def _time(value: Any) -> str:
    return "(a time after now)" if value > times.now_ms() else "(a time before now)"


_KINDS: Mapping[str, Callable[[Any], str]] = {
    "enum": lambda _: "(a word of a closed set)",
    "date": lambda _: "(a day)",
    "timestamp-millis": _time,
}


def plain(value: object, kind: str = "") -> str:
    """The value, on one line; what a terminal could take for a command is written as an escape."""
    if kind == "date" and isinstance(value, int) and FIRST_DAY <= value <= LAST_DAY:
        return iso_day(value)
    if kind == "timestamp-millis" and isinstance(value, int) and 0 <= value <= LAST_MS:
        return times.shown(value)
    if value is None:
        return "null"
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
    escaped = "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text[:TEXT_MAX]
    )
    return f"{escaped}… ({len(text):,} characters)" if len(text) > TEXT_MAX else escaped


def _field(leaf: str, value: object, kinds: Mapping[str, str], show: Callable[[object, str], str]) -> str:
    reference = _reference(value) if leaf in _REFERENCES else None
    return reference or show(value, kinds.get(leaf, ""))


def _reference(value: object) -> str | None:
    return value if isinstance(value, str) and (is_uuid(value) or check_ref(value)) else None


def _escaped(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def _mask(character: str) -> str:
    if character.isdigit():
        return "9" if character.isascii() else "９"
    if character.isalpha():
        return _letter(character)
    is_mark = character.isprintable() and (character.isascii() or unicodedata.category(character)[0] in "PZ")
    return character if is_mark else "�"


def _letter(character: str) -> str:
    if character.isascii():
        return "A" if character.isupper() else "a"
    name = unicodedata.name(character, "")
    known = (("CJK", "漢"), ("KATAKANA", "ア"), ("HALFWIDTH KATAKANA", "ｱ"), ("HIRAGANA", "あ"), ("FULLWIDTH", "Ａ"))
    return next((mask for start, mask in known if name.startswith(start)), "x")


def _kinds(record_kind: str) -> dict[str, str]:
    """Leaf -> `enum`, or its logical type, as our own schema has it; another writer's new leaf has none."""
    return dict(_typed("", schemas.schema(record_kind).source))


def _typed(path: str, node: Any) -> Iterator[tuple[str, str]]:
    if isinstance(node, list):
        for each in node:
            yield from _typed(path, each)
    elif isinstance(node, Mapping) and node["type"] == "record":
        for field in node["fields"]:
            yield from _typed(f"{path}.{field['name']}" if path else field["name"], field["type"])
    elif isinstance(node, Mapping) and node["type"] == "array":
        yield from _typed(f"{path}[]", node["items"])
    elif isinstance(node, Mapping):
        yield path, "enum" if node["type"] == "enum" else node.get("logicalType", "")
