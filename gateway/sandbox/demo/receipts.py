"""What GeNiE has taken, read from the file in which it writes down every entry that it judges.

Knows that file. Must not know the gateway or the ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

TAKEN = frozenset({"accepted", "superseded"})  # stored from then on; what comes again is a duplicate


class Receipts:
    """Reads on from where it stopped."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = path.stat().st_size if path.exists() else 0

    def newly_taken(self) -> set[str]:
        """The idempotency keys that GeNiE has taken since the last call."""
        with self._path.open("rb") as file:
            file.seek(self._at)
            new = file.read()
        complete = new[: new.rfind(b"\n") + 1]
        self._at += len(complete)
        entries = map(orjson.loads, complete.splitlines())
        return {entry["idempotency_key"] for entry in entries if entry["status"] in TAKEN}


def last_seen(path: Path, keys: Iterable[str]) -> dict[str, int]:
    """When each of these keys last came to GeNiE, in ms; those that never came are left out."""
    wanted = frozenset(keys)
    return {
        line["idempotency_key"]: line["received_at_ms"] for line in _lines(path) if line["idempotency_key"] in wanted
    }


def bodies(path: Path, keys: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """The bodies that came to GeNiE under these keys."""
    wanted = frozenset(keys)
    return {line["idempotency_key"]: line["body"] for line in _lines(path) if line["idempotency_key"] in wanted}


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open("rb") as file:
        yield from map(orjson.loads, file)
