"""Mutants that nobody can tell from the original, each with the reason (equivalent.toml)."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.mutants.library import Change

LIST = Path(__file__).with_name("equivalent.toml")


def sort_out(survivors: Mapping[str, Change]) -> tuple[frozenset[str], list[str]]:
    """Those of the survivors that are on the list; and what is on the list, but survived nowhere."""
    listed = {Change(each["where"], each["was"], each["now"]) for each in _read()}
    excused = frozenset(name for name, change in survivors.items() if change in listed)
    unused = listed - {survivors[name] for name in excused}
    return excused, sorted(f"{change.where}: {change.was} -> {change.now}" for change in unused)


def _read() -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = tomllib.loads(LIST.read_text("utf-8"))["equivalent"]
    for entry in entries:
        if not entry["why"].strip():
            raise ValueError(f"equivalent.toml: no reason for {entry['where']}")
    return entries
