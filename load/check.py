"""`bench-check`: whether an event costs more than when the budget was last accepted, and in which stage.

Knows ratios alone, which hold from machine to machine: the gateway over the naive baseline beside it, each stage over
the yardstick beside it. Must not know how either is measured.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from load.result import Result
from load.stages.stage import Stage

ACCEPTED = Path(__file__).parent / "results" / "accepted.json"
TOLERANCE = 0.15
SLACK_YARDS = 0.2  # a stage that costs next to nothing may cost a little more
TRIES = 3  # of what seems to cost more: what else the machine does makes nothing quicker
GATEWAY = "gateway"


class NotAcceptedError(Exception):
    """No budget was accepted yet."""


class VoidError(Exception):
    """The round counts for nothing, so nothing can be said."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What measures."""

    round: Callable[[], Result]
    stages: Callable[[Collection[str]], Sequence[Stage]]  # those of these names, or all


@dataclass(frozen=True, slots=True)
class Budget:
    """What an event may cost."""

    over_baseline: float  # the gateway's CPU time over the naive baseline's
    stages: Mapping[str, float]  # each stage's, in yards

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Budget:
        """What `to_json` wrote."""
        return cls(document["over_baseline"], document["stages"])

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Regression:
    """What costs more than it may."""

    name: str  # of the stage, or GATEWAY
    accepted: float
    now: float

    @property
    def share(self) -> float:
        """How much more."""
        return self.now / self.accepted - 1

    def __str__(self) -> str:
        unit = "of the baseline" if self.name == GATEWAY else "yards"
        return f"{self.name}: {self.now:.4g} {unit}, accepted were {self.accepted:.4g} ({self.share:+.0%})"


def regressions(accepted: Budget, now: Budget) -> list[Regression]:
    """Everything past the tolerance; a stage that has gone or is new can't be compared."""
    return list(_regressions(accepted, now))


def _regressions(accepted: Budget, now: Budget) -> Iterator[Regression]:
    if now.over_baseline > accepted.over_baseline * (1 + TOLERANCE):
        yield Regression(GATEWAY, accepted.over_baseline, now.over_baseline)
    for name, yards in accepted.stages.items():
        found = now.stages.get(name, 0.0)
        if found > yards * (1 + TOLERANCE) and found > yards + SLACK_YARDS:
            yield Regression(name, yards, found)


def check(accepted: Budget, machine: Machine) -> list[Regression]:
    """Measure all, and what seems to cost more again; what remains too much. Raises VoidError."""
    best = _measured(machine)
    for _ in range(TRIES - 1):
        suspects = {each.name for each in regressions(accepted, best)}
        if not suspects:
            break
        best = _again(machine, best, suspects)
    return regressions(accepted, best)


def measured(machine: Machine) -> Budget:
    """What an event costs, the middle one of several times. Raises VoidError."""
    budgets = [_measured(machine) for _ in range(TRIES)]
    names = budgets[0].stages
    return Budget(
        median(budget.over_baseline for budget in budgets),
        {name: median(budget.stages[name] for budget in budgets) for name in names},
    )


def _measured(machine: Machine) -> Budget:
    return Budget(over_baseline(machine.round()), _yards(machine.stages(())))


def _again(machine: Machine, best: Budget, suspects: Collection[str]) -> Budget:
    """The best so far, if it was not beaten now."""
    ratio, yards = best.over_baseline, dict(best.stages)
    if GATEWAY in suspects:
        ratio = min(ratio, over_baseline(machine.round()))
    if stages := sorted(set(suspects) - {GATEWAY}):
        yards |= {name: min(yards[name], found) for name, found in _yards(machine.stages(stages)).items()}
    return Budget(ratio, yards)


def _yards(stages: Sequence[Stage]) -> dict[str, float]:
    return {stage.name: stage.yards for stage in stages}


def over_baseline(result: Result) -> float:
    """What an event costs the gateway over what it costs the baseline beside it; raises VoidError."""
    if not result.verified:
        raise VoidError("; ".join(void.sentence for void in result.voids))
    if result.baseline is None:
        raise VoidError("The naive baseline was not measured beside it.")
    return result.gateway_cpu_us_per_event / result.baseline.cpu_us_per_event


def load(path: Path = ACCEPTED) -> Budget:
    """The last accepted budget; raises NotAcceptedError."""
    try:
        return Budget.from_json(json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        raise NotAcceptedError(f"{path.name}: no budget was accepted yet: accept one with --accept") from None


def accept(budget: Budget, path: Path = ACCEPTED) -> None:
    """From now on this is what an event may cost."""
    path.write_text(json.dumps(budget.to_json(), indent=1, sort_keys=True) + "\n", "utf-8")
