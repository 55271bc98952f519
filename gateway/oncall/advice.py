"""What each reason and each stop means to whoever is on call, what to check and what to type.

Knows advice.toml and the closed sets that it is about. Must not know which records have a reason, or how a page or a
screen looks.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gateway.core.outcome import Stop
from gateway.core.reasons import Outcome, Reason

_PLAN = {  # what finds the records of a reason: the parked ones are listed by it, the others only the ledger tells
    Outcome.PARKED: "gateway replay plan --parked-reason {code} --out PLAN",
    Outcome.WITHHELD: "gateway replay plan --ledger-reason {code} --since SINCE --out PLAN",
}
_APPLY = ("gateway replay apply PLAN --reason WHY --ticket TICKET", "gateway replay status PLAN")


@dataclass(frozen=True, slots=True)
class Advice:
    """What to know of one code."""

    code: str
    means: str
    check: tuple[str, ...]
    type: tuple[str, ...]  # commands; CAPITALS are for the reader to fill in
    replay: bool  # whether a replay can help
    after: str  # what becomes of a replay


def of(code: str) -> Advice:
    """The advice on a Reason's or a Stop's code; KeyError for any other."""
    return every()[code]


@cache
def every() -> Mapping[str, Advice]:
    """All advice by code, in the order of the closed sets: the reasons, then the stops."""
    written = tomllib.loads(Path(__file__).with_name("advice.toml").read_text("utf-8"))
    reasons = [_advice(reason.code, reason.sentence, written, reason.outcome) for reason in Reason]
    stops = [_advice(stop.value, stop.sentence, written) for stop in Stop]
    return MappingProxyType({advice.code: advice for advice in (*reasons, *stops)})


def _advice(code: str, sentence: str, written: Mapping[str, Any], outcome: Outcome | None = None) -> Advice:
    entry = written[code]
    commands = (*entry["type"], *((_PLAN[outcome], *_APPLY) if outcome and entry["replay"] else ()))
    return Advice(
        code,
        f"{sentence} {entry['means']}",
        tuple(entry["check"]),
        tuple(command.format(code=code) for command in commands),
        entry["replay"],
        entry["after"],
    )
