"""JSON documents in a text, one after another, and on which line each of their parts stands.

Knows JSON as people write it: a document over many lines, or one on each (NDJSON). Must not know what is in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn

import yaml

MAX_BYTES = 16 << 20  # of one file
MAX_POINTED_BYTES = 1 << 20  # of one document in which lines are looked for

_BLANK = re.compile(r"[ \t\r\n]*")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}").fullmatch  # else a name may be data that got into its place


class NotJsonError(ValueError):
    """A text that is no JSON from some place on; the message says what, never what stands there."""

    def __init__(self, line: int, column: int, what: str) -> None:
        super().__init__(what)
        self.line, self.column, self.what = line, column, what


@dataclass(frozen=True, slots=True)
class Document:
    """One JSON value, with where it stands: lines count from 1."""

    value: Any
    line: int
    text: str

    def lines_of(self, pointers: Sequence[str]) -> list[int]:
        """The lines on which these parts stand; of one that is missing, the line of what it is missing in."""
        node = None
        if "\n" in self.text and len(self.text) <= MAX_POINTED_BYTES:
            with suppress(yaml.YAMLError, RecursionError, ValueError):  # what YAML can't read has its first line
                node = yaml.compose(self.text, Loader=yaml.SafeLoader)  # JSON is YAML, whose nodes know their lines
        return [self.line + _line(node, pointer.split("/")[1:]) for pointer in pointers]


class _TwiceError(ValueError):
    """A name that an object has twice."""


def read(text: str) -> Iterator[Document]:
    """Every document of a text; raises NotJsonError where it stops being JSON."""
    decoder = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_refuse)
    line, at = 1, 0
    while True:
        start = _end_of_blank(text, at)
        line += text.count("\n", at, start)
        if start == len(text):
            return
        try:
            value, at = decoder.raw_decode(text, start)
        except json.JSONDecodeError as error:
            raise NotJsonError(error.lineno, error.colno, f"is not JSON: {error.msg.lower()}") from None
        except _TwiceError as error:
            raise NotJsonError(line, 1, str(error)) from None
        except (ValueError, RecursionError):
            raise NotJsonError(line, 1, "has a number too long, or objects nested too deep") from None
        yield Document(value, line, text[start:at])
        line += text.count("\n", start, at)


def _end_of_blank(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    return at if found is None else found.end()


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, value in pairs:
        if name in made:
            raise _TwiceError(f"has {f'`{name}`' if _PLAIN(name) else 'a name'} twice in one object")
        made[name] = value
    return made


def _refuse(_: str) -> NoReturn:
    raise _TwiceError("has NaN or Infinity, which are no JSON")


def _line(node: Any, names: Sequence[str]) -> int:
    """How many lines below the node's own a part stands."""
    line = 0
    for name in names:
        below = _below(node, name)
        if below is None:
            break
        line, node = below
    return line


def _below(node: Any, name: str) -> tuple[int, Any] | None:
    """Line and node of a member or element."""
    if isinstance(node, yaml.MappingNode):
        return next(((key.start_mark.line, value) for key, value in node.value if key.value == name), None)
    if isinstance(node, yaml.SequenceNode) and name.isdigit() and int(name) < len(node.value):
        found = node.value[int(name)]
        return found.start_mark.line, found
    return None
