"""Reads the privacy policy, which is data, from its file, and says in which line it is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from gateway.core.policy import Policy, PolicyError, from_mapping

GENIE = Path(__file__).with_name("genie.yaml")


def load(path: Path | None = None) -> Policy:
    """The policy in `path`, or the one that comes with the gateway. Raises PolicyError."""
    path = path or GENIE
    try:
        text = path.read_text(encoding="utf-8")
        root, data = yaml.compose(text, yaml.SafeLoader), yaml.safe_load(text)
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        # The library's own text quotes the file, and this may be the wrong one: a key, say.
        raise PolicyError(str(path), "a readable YAML file in UTF-8", _what(error)) from None
    for line in _keys_set_twice(root):
        raise PolicyError(f"{path} line {line}", "each key once", "one that is set before")
    try:
        return from_mapping(data)
    except PolicyError as error:
        raise PolicyError(f"{path} line {_line(root, error.where)}: {error.where}", error.needed, error.found) from None


def _what(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        return f"no YAML at line {mark.line + 1}"
    return error.strerror or "no file" if isinstance(error, OSError) else "no YAML in UTF-8"


def _keys_set_twice(node: yaml.Node | None) -> Iterator[int]:
    """Their lines; YAML keeps the last of them in silence."""
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if key.value in seen:
                yield key.start_mark.line + 1
            seen.add(str(key.value))
            yield from _keys_set_twice(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _keys_set_twice(value)


def _line(root: yaml.Node | None, where: str) -> int:
    """The line of the deepest part of a path such as `versions[2].from` that is there; keys may hold dots."""
    node: Any = root
    line, rest = 1, f".{where}"
    while node is not None:
        node, line, rest = next(
            ((value, at, rest[len(name) :]) for name, at, value in _inside(node) if rest.startswith(name)),
            (None, line, rest),
        )
    return line


def _inside(node: yaml.Node) -> Iterator[tuple[str, int, yaml.Node]]:
    """Each part of a node as a path names it, its line, and what is there; the longest names first."""
    if isinstance(node, yaml.MappingNode):
        pairs = sorted(node.value, key=lambda pair: -len(str(pair[0].value)))
        yield from ((f".{key.value}", key.start_mark.line + 1, value) for key, value in pairs)
    elif isinstance(node, yaml.SequenceNode):
        yield from ((f"[{i}]", value.start_mark.line + 1, value) for i, value in enumerate(node.value))
