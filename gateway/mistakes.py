"""What is wrong with settings, in words: what was found, what is allowed, and which variable changes it.

Knows the nearest right name of a misspelt one, and that text which may be a secret is never repeated. Must not know
where values come from, nor which of them contradict each other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Le
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from gateway.sections import IN_A_FILE, Allowed

PREFIX = "GATEWAY_"
SEE = "see `gateway settings`"
NOT_SHOWN = "text that names no file (not shown: it may be the secret itself)"
_NEAR = 0.6  # how alike two names are, to be taken for each other


@dataclass(frozen=True, slots=True)
class Problem:
    """One wrong setting: its name, what was found, what is needed."""

    setting: str
    found: str
    needed: str

    def __str__(self) -> str:
        return f"{self.setting}: {self.found}; {self.needed}"


def variable(setting: str) -> str:
    """The variable of the environment that sets it."""
    return f"{PREFIX}{setting.replace('.', '__')}".upper()


def problems(details: ErrorDetails, fields: Mapping[str, FieldInfo]) -> Iterator[Problem]:
    """One problem for each setting that an error is about; a missing section is all that it requires."""
    name = ".".join(str(part) for part in details["loc"])
    if details["type"] == "missing":
        for setting, field in fields.items():
            if f"{setting}.".startswith(f"{name}.") and field.is_required():
                yield Problem(setting, "missing", f"set {variable(setting)} ({_sentence(field)})")
    elif details["type"] == "extra_forbidden":
        yield unknown(name, name, fields)
    else:
        about = [(setting, field) for setting, field in fields.items() if f"{name}.".startswith(f"{setting}.")]
        for setting, field in about:
            needed = f"allowed: {allowed(field)}; change {variable(setting)} ({_sentence(field)})"
            yield Problem(name, f"found {_found(field, details['input'])}", needed)
        if not about:
            found = f"found {_kind(details['input'])}"
            yield Problem(name, found, f"allowed: a table of settings; change {variable(name)}")


def unknown(name: str, setting: str, fields: Iterable[str]) -> Problem:
    """A name that sets nothing, and the one that may have been meant."""
    known = list(fields)
    section, dot, inner = setting.rpartition(".")
    own = {field.removeprefix(f"{section}."): field for field in known if dot and field.startswith(f"{section}.")}
    elsewhere = get_close_matches(setting, [field for field in known if field.endswith(f".{inner}")], n=1, cutoff=0)
    if elsewhere or own:  # a section that is right makes no name in it any likelier
        nearest = elsewhere or [own[name] for name in get_close_matches(inner, own, n=1, cutoff=_NEAR)]
    else:
        sections = [] if dot else dict.fromkeys(field.partition(".")[0] for field in known)
        nearest = get_close_matches(setting, [*known, *sections], n=1, cutoff=_NEAR)
    hint = f"did you mean {nearest[0]} ({variable(nearest[0])})? " if nearest else ""
    return Problem(name, "no such setting", f"{hint}{SEE}")


def shown(value: Any, field: FieldInfo) -> str:
    """As text, without what may be a secret: before an @ in a URL, or in the place of the file that should hold it."""
    text = re.sub(r"[^\s,]*@", "***@", str(value))
    return NOT_SHOWN if IN_A_FILE in _parts(field) and not _is_path(text) else text


def allowed(field: FieldInfo) -> str:
    """In words, the values that a setting takes."""
    parts = list(_parts(field))
    for part in parts:
        if isinstance(part, Allowed):
            return part.words
        if get_origin(part) is Literal:
            return ", ".join(map(str, get_args(part)))
    least, most = (next((getattr(p, key) for p in parts if isinstance(p, of)), None) for of, key in _BOUNDS)
    if least is not None:
        return f"whole numbers from {least} to {most}"
    return _WORDS[next(part for part in parts if part in _WORDS)]


_BOUNDS: tuple[tuple[type, str], ...] = ((Ge, "ge"), (Le, "le"))
_WORDS: dict[Any, str] = {bool: "true or false", Path: "the path of a file that is there"}


def _parts(field: FieldInfo) -> Iterator[Any]:
    """A setting's type, the types in it, and what is noted beside them; without None."""
    yield from field.metadata
    waiting = [field.annotation]
    while waiting:
        part = waiting.pop()
        yield part
        if get_origin(part) is not Literal:
            waiting += [inner for inner in get_args(part) if inner is not NoneType]
            yield from getattr(part, "__metadata__", ())


def _found(field: FieldInfo, value: Any) -> str:
    if isinstance(value, dict | list):
        return _kind(value)
    text = shown(value, field)
    if text == NOT_SHOWN:
        return text
    if Path in _parts(field) and isinstance(value, str):
        return f"{text!r}, {'a directory' if _is(Path.is_dir, value) else 'where no file is'}"
    return repr(text)


def _is_path(text: str) -> bool:
    """Whether it surely is one: a key in base64 may hold slashes, and so may a password."""
    return _ROOTED(text) is not None or _is(Path.is_file, text)


_ROOTED = re.compile(r"(?:/|\.{1,2}/|~/)[\w./ -]*").fullmatch


def _is(test: Callable[[Path], bool], text: str) -> bool:
    try:
        return test(Path(text))
    except (OSError, ValueError):  # too long, or a NUL in it
        return False


def _kind(value: Any) -> str:
    """What it is, without what it says."""
    if isinstance(value, dict | list):
        return f"{'a table' if isinstance(value, dict) else 'a list'}{'' if value else ' that is empty'}"
    return "text that is no JSON" if isinstance(value, str) else str(value)


def _sentence(field: FieldInfo) -> str:
    return (field.description or "").rstrip(".")
