"""From a document with names, days and moments to the record that Avro writes, with everything wrong named at once.

Knows the schemas' types and their logical types. Must not know which records exist, or what a value means: that is
asked of a rule for each leaf. A mistake names a place and what is wanted there, never the value that was found.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

_EPOCH_DAY = date(1970, 1, 1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_LIMITS = {"int": 1 << 31, "long": 1 << 63}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}").fullmatch  # else a name may be data that got into its place
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}").fullmatch
_FOUND = {bool: "true or false", str: "text", int: "a number", float: "a number with a point", type(None): "null"}

Rules = Mapping[str, Callable[[Any], str | None]]  # path of a leaf -> what is wrong with its value as Avro writes it


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that keeps a document from being an event."""

    pointer: str  # RFC 6901: /customer/phone; empty for the whole
    what: str  # what is wrong and what is wanted; never a value

    def __str__(self) -> str:
        return f"{self.pointer or '(the whole)'}: {self.what}"


class _WrongError(Exception):
    """A value that is not of its type."""


@dataclass(slots=True)
class Shaper:
    """Reads documents of one schema, given as its JSON."""

    schema: Mapping[str, Any]
    rules: Rules
    _mistakes: list[Mistake] = field(default_factory=list)

    def read(self, document: object) -> tuple[dict[str, Any], list[Mistake]]:
        """The record, and all mistakes; with mistakes the record is not whole."""
        self._mistakes = []
        record = self._record(self.schema, document, "", "")
        return record, self._mistakes

    def _record(self, schema: Mapping[str, Any], found: object, pointer: str, path: str) -> dict[str, Any]:
        if not isinstance(found, Mapping):
            self._wrong(pointer, f"wanted an object with the fields of {schema['name']}, got {_kind(found)}")
            return {}
        parts = {part["name"]: part for part in schema["fields"]}
        for name in found:
            if name not in parts:
                self._unknown(name, parts, pointer)
        record: dict[str, Any] = {}
        for name, part in parts.items():
            below = f"{pointer}/{name}"
            if name in found:
                record[name] = self._value(part["type"], found[name], below, f"{path}{name}")
            elif "default" in part:
                record[name] = part["default"]
            else:
                self._wrong(below, f"is missing: {part['doc']}")
        return record

    def _value(self, kind: Any, found: object, pointer: str, path: str) -> Any:
        nullable = isinstance(kind, list)
        if nullable:
            if found is None:
                return None
            kind = next(each for each in kind if each != "null")
        match kind:
            case {"type": "record"}:
                return self._record(kind, found, pointer, f"{path}.")
            case {"type": "array", "items": items}:
                return self._array(items, found, pointer, path)
        try:
            value = _scalar(kind, found)
        except _WrongError as error:
            got = "" if isinstance(found, str) and kind not in ("int", "long") else f", got {_kind(found)}"
            self._wrong(pointer, f"{error}{' or null' if nullable else ''}{got}")
            return None
        wrong = self.rules[path](value) if path in self.rules else None
        if wrong is not None:
            self._wrong(pointer, wrong)
        return value

    def _array(self, items: Any, found: object, pointer: str, path: str) -> list[Any]:
        if not isinstance(found, Sequence) or isinstance(found, str | bytes):
            self._wrong(pointer, f"wanted a list, got {_kind(found)}")
            return []
        too_many = self.rules[path](found) if path in self.rules else None
        if too_many is not None:  # one mistake, not one for each of a million elements
            self._wrong(pointer, too_many)
            return []
        below = f"{path}[]" if isinstance(items, Mapping) and items["type"] == "record" else path + "[]"
        return [self._value(items, each, f"{pointer}/{number}", below) for number, each in enumerate(found)]

    def _unknown(self, name: object, parts: Mapping[str, Any], pointer: str) -> None:
        if not isinstance(name, str) or not _NAME(name):
            self._wrong(pointer, "has a member whose name is none of a field's")
            return
        near = difflib.get_close_matches(name, parts, n=1)
        self._wrong(f"{pointer}/{name}", "no such field" + (f": is it `{near[0]}`?" if near else ": take it out"))

    def _wrong(self, pointer: str, what: str) -> None:
        self._mistakes.append(Mistake(pointer, what))


def leaves(schema: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Path and type of every leaf of a schema; `inputs[].value` is a leaf of an array of records."""
    for part in schema["fields"]:
        kind, below = part["type"], f"{path}{part['name']}"
        if isinstance(kind, Mapping) and kind["type"] == "array" and isinstance(kind["items"], Mapping):
            kind, below = kind["items"], f"{below}[]"
        if isinstance(kind, Mapping) and kind["type"] == "record":
            yield from leaves(kind, f"{below}.")
        else:
            yield below, kind


def _scalar(kind: Any, found: object) -> Any:
    """A value as Avro writes it; raises _WrongError with what is wanted."""
    match kind:
        case "string":
            return _text(found)
        case "int" | "long":
            if type(found) is not int or not -_LIMITS[kind] <= found < _LIMITS[kind]:
                raise _WrongError(f"wanted a whole number of {'32' if kind == 'int' else '64'} bits")
            return found
        case {"type": "enum", "symbols": symbols}:
            if found not in symbols:
                raise _WrongError(f"wanted one of {', '.join(symbols)}")
            return found
        case {"logicalType": "date"}:
            return _day(found)
        case {"logicalType": "timestamp-millis"}:
            return _moment(found)
    raise TypeError(f"a type that no input record has: {kind}")


def _text(found: object) -> str:
    if not isinstance(found, str):
        raise _WrongError("wanted text")
    try:
        found.encode()
    except UnicodeEncodeError:
        raise _WrongError("wanted text without halves of surrogate pairs") from None
    return found


def _day(found: object) -> int:
    """Days since epoch."""
    if isinstance(found, str) and _DAY(found):
        try:
            found = date.fromisoformat(found)
        except ValueError:
            raise _WrongError("wanted a day of the calendar, as 2026-11-27") from None
    if not isinstance(found, date) or isinstance(found, datetime):
        raise _WrongError("wanted a day in Japan, as 2026-11-27")
    return (found - _EPOCH_DAY).days


def _moment(found: object) -> int:
    """Milliseconds since epoch; what is finer is cut off."""
    if isinstance(found, str):
        try:
            found = datetime.fromisoformat(found)
        except ValueError:
            raise _WrongError("wanted a moment with its zone, as 2026-11-27T10:15:30+09:00") from None
    if not isinstance(found, datetime) or found.tzinfo is None:
        raise _WrongError("wanted a moment with its zone, as 2026-11-27T10:15:30+09:00")
    return (found - _EPOCH) // _MS


def _kind(found: object) -> str:
    if isinstance(found, Mapping):
        return "an object"
    if isinstance(found, list | tuple):
        return "a list"
    return _FOUND.get(type(found), "something else")
