"""How far a long look at the ledger is, in a file that is whole or not there.

Knows the file's form and what binds it to one look. Must not know what is in it. Layout: one line that says what it is,
one line of JSON (what it is bound to, the document, names and sizes of the parts), then the parts' bytes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

_FIRST_LINE = b"gateway ledger state 1\n"
_PRIVATE = 0o600


class StateError(Exception):
    """The state file can't be used; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Saved:
    """What a state file holds."""

    document: Mapping[str, Any]
    parts: Mapping[str, bytes] = field(default_factory=dict)


class StateFile:
    """One file, for one look: `bound` says what it is a look at."""

    def __init__(self, path: Path, bound: Mapping[str, Any]) -> None:
        self.path = path
        self._bound = dict(bound)

    def load(self) -> Saved | None:
        """What was saved; None if there is no such file. Raises StateError for another file, or another look's."""
        try:
            with self.path.open("rb") as file:
                first, head = file.readline(len(_FIRST_LINE) + 1), file.readline()
                content = file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StateError(f"--state {self.path}: can't be read: {error.strerror}") from None
        try:
            header = orjson.loads(head if first == _FIRST_LINE else b"")
            whole = sum(header["sizes"].values()) == len(content)
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
            header, whole = {}, False
        if not whole:
            raise StateError(f"--state {self.path}: no state file of this release; name another file, or delete it")
        self._refuse_others(header["bound"])
        parts, at = {}, 0
        for name, size in header["sizes"].items():
            parts[name] = content[at : at + size]
            at += size
        return Saved(header["document"], parts)

    def save(self, saved: Saved) -> None:
        """Replace the file by one that holds this. Raises StateError."""
        sizes = {name: len(part) for name, part in saved.parts.items()}
        head = orjson.dumps({"bound": self._bound, "document": saved.document, "sizes": sizes})
        beside = self.path.with_name(f"{self.path.name}.new")
        try:
            with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE), "wb") as file:
                file.writelines([_FIRST_LINE, head, b"\n", *saved.parts.values()])
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self.path)
        except OSError as error:
            raise StateError(f"--state {self.path}: can't be written: {error.strerror}") from None

    def remove(self) -> None:
        """The look has come to its end: the next one begins anew."""
        with suppress(FileNotFoundError):
            self.path.unlink()

    @contextmanager
    def kept(self, saved: Callable[[], Saved]) -> Iterator[None]:
        """Save what is `saved` if the look is broken off; at its end the file goes. Raises StateError, at once if the
        file can't be written."""
        self.save(saved())
        try:
            yield
        except BaseException:
            self.save(saved())
            raise
        self.remove()

    def _refuse_others(self, bound: Mapping[str, Any]) -> None:
        differ = [name for name in self._bound if bound.get(name) != self._bound[name]]
        if differ:
            raise StateError(
                f"--state {self.path}: it belongs to another look, with another {', '.join(differ)}. Give the same "
                "options as then, or name another file"
            )
