"""Personal values in what the gateway itself writes: intents, ledger and parked records.

Knows which texts there need no search. Must not know what the records mean.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.sandbox.verifier.canary import REFERENCES, Canaries

_MADE_UP = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[A-Za-z0-9_-]{43}")  # UUIDs and digests
_DIGEST_BYTES = 32
_REMEMBERED = 100_000  # texts known to hold nothing, at most
# Of the settings, and the same in every record: the recipient may share a name with a customer.
_SETTINGS = frozenset({"recipient.name", "recipient.address", "recipient.representative"})
_SETTINGS_KEPT = 16  # different texts of one setting that wait for `finish`

Report = Callable[[str, str], None]  # where, what


class OwnRecords:
    """Searches record after record and reports what it finds."""

    def __init__(self, canaries: Canaries, report: Report) -> None:
        self._canaries = canaries
        self._report = report
        self._harmless: set[str] = set()
        self._settings: dict[str, dict[str, str]] = {path: {} for path in _SETTINGS}  # path -> text -> first seen where

    def search(
        self,
        where: str,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]],
        decoded: tuple[str, Mapping[str, Any]] | None,
    ) -> None:
        """Look through one record, field by field if it can be read."""
        for name, part in (("key", key), *(("a header", header) for _, header in headers)):
            if part is not None:
                self._search(where, name, part.decode("utf-8", "replace"))
        if decoded is not None:
            unknown: list[tuple[str, str]] = []
            self._gather(decoded[1], "", unknown)
            for path, text in unknown:
                kept = self._settings.get(path)
                if kept is not None and (text in kept or len(kept) < _SETTINGS_KEPT):
                    kept.setdefault(text, where)
                else:
                    self._search(where, path, text)
        elif value is not None:
            self._search(where, "value", value.decode("utf-8", "replace"))

    def finish(self) -> None:
        """A text of the settings is one text; where there are several, each is searched."""
        for path, texts in self._settings.items():
            for text, where in texts.items() if len(texts) > 1 else ():
                self._search(where, path, text)

    def _gather(self, record: Mapping[str, Any], path: str, unknown: list[tuple[str, str]]) -> None:
        """Add (path, text) of every text in a record that is not known to be harmless; bytes that are no digest too."""
        harmless = self._harmless
        for name, value in record.items():
            kind = type(value)
            if kind is str:
                if value not in harmless:
                    unknown.append((path + name, value))
            elif kind is dict:
                self._gather(value, f"{path}{name}.", unknown)
            elif kind is list:
                self._gather_list(value, path + name, unknown)
            elif kind is bytes and len(value) != _DIGEST_BYTES:
                unknown.append((path + name, value.decode("utf-8", "replace")))

    def _gather_list(self, values: list[Any], path: str, unknown: list[tuple[str, str]]) -> None:
        for value in values:
            if isinstance(value, dict):
                self._gather(value, f"{path}.", unknown)
            elif value not in self._harmless:
                unknown.append((path, str(value)))

    def _search(self, where: str, path: str, text: str) -> None:
        if text in self._harmless or _MADE_UP.fullmatch(text):
            return
        fields = [field for field in self._canaries.found(text) if field not in REFERENCES]
        for field in fields:
            self._report(where, f"{path} holds a value of {field}")
        if not fields and len(self._harmless) < _REMEMBERED:
            self._harmless.add(text)
