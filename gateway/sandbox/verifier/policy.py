"""What the verifier takes from the policy data: plain YAML, read on its own.

Knows the policy's words and versions. Must not know how the gateway reads or uses them.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

GENIE = Path(__file__).parents[2] / "policies" / "genie.yaml"
_EPOCH = dt.date(1970, 1, 1)
_DAY_MS = 24 * 60 * 60 * 1000
_JST_AHEAD_MS = 9 * 60 * 60 * 1000


def jst_day(ms: int) -> int:
    """The day in Japan, in days since the epoch, of a moment in ms since the epoch."""
    return (ms + _JST_AHEAD_MS) // _DAY_MS


@dataclass(frozen=True, slots=True)
class Policy:
    """Items and purposes that may be provided, and which versions of the policy say so."""

    recipient_id: str
    items: frozenset[str]
    purposes: frozenset[str]
    opt_out_allowed: frozenset[str]
    starts: tuple[int, ...]  # first day of each version, ascending
    with_clause: frozenset[int]  # first days of the versions proven to have the GeNiE clause
    score_inputs: Mapping[tuple[str, str], Mapping[str, str]]  # (model, version) -> input -> its only source

    def in_force(self, day: int) -> int | None:
        """First day of the version in force on `day`; None before the first."""
        at = bisect_right(self.starts, day)
        return self.starts[at - 1] if at else None


def load(path: Path = GENIE) -> Policy:
    """The policy in `path`."""
    data: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    clauses = {_day(version["from"]): version["clause"] for version in data["versions"]}
    return Policy(
        recipient_id=data["recipient_id"],
        items=frozenset(data["items"]),
        purposes=frozenset(purpose["code"] for purpose in data["purposes"]),
        opt_out_allowed=frozenset(data["opt_out_allowed"]),
        starts=tuple(sorted(clauses)),
        with_clause=frozenset(day for day, clause in clauses.items() if clause == "yes"),
        score_inputs={
            (model, str(version)): dict(inputs)
            for model, versions in data["score_inputs"].items()
            for version, inputs in versions.items()
        },
    )


def _day(date: dt.date) -> int:
    return (date - _EPOCH).days
