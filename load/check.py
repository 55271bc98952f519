"""`bench-check`: whether an event costs more than when the budget was last accepted, and in which stage.

Knows ratios alone, which hold from machine to machine: the gateway over the naive baseline beside it, each stage over
the yardstick beside it. Must not know how either is measured.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from load.result import Result
from load.stages.stage import Stage

ACCEPTED = Path(__file__).parent / "results" / "accepted.json"
TOLERANCE = 0.15
SLACK_YARDS = 0.2  # a stage that costs next to nothing may cost a little more
TRIES = 3  # of a stage that seems to cost more: what else the machine does is never quicker than nothing
GATEWAY = "gateway"

MeasureStages = Callable[[Sequence[str]], Sequence[Stage]]


class NotAcceptedError(Exception):
    """No budget was accepted yet."""


class VoidError(Exception):
    """The round counts for nothing, so nothing can be said."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What an event may cost."""

    over_baseline: float  # the gateway's CPU time over the naive baseline's
    stages: Mapping[str, float]  # each stage's, in yards

    @classmethod
    def of(cls, result: Result, stages: Sequence[Stage]) -> Budget:
        """What was measured; raises VoidError."""
        if not result.verified:
            raise VoidError("; ".join(void.sentence for void in result.voids))
        if result.baseline is None:
            raise VoidError("The naive baseline was not measured beside it.")
        over_baseline = result.gateway_cpu_us_per_event / result.baseline.cpu_us_per_event
        return cls(over_baseline, {stage.name: stage.yards for stage in stages})

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
        if found > yards * (1 + TOLERANCE) + SLACK_YARDS:
            yield Regression(name, yards, found)


def check(accepted: Budget, result: Result, measure: MeasureStages) -> list[Regression]:
    """Measure all stages, and those that seem to cost more again; what remains too much."""
    best = {stage.name: stage for stage in measure(())}
    for _ in range(TRIES - 1):
        suspects = [each.name for each in _regressions(accepted, Budget.of(result, list(best.values())))]
        suspects = [name for name in suspects if name != GATEWAY]
        if not suspects:
            break
        for stage in measure(suspects):
            if stage.yards < best[stage.name].yards:
                best[stage.name] = stage
    return regressions(accepted, Budget.of(result, list(best.values())))


def load(path: Path = ACCEPTED) -> Budget:
    """The last accepted budget; raises NotAcceptedError."""
    try:
        return Budget.from_json(json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        raise NotAcceptedError(f"{path.name}: no budget was accepted yet: accept one with --accept") from None


def accept(budget: Budget, path: Path = ACCEPTED) -> None:
    """From now on this is what an event may cost."""
    path.write_text(json.dumps(budget.to_json(), indent=1, sort_keys=True) + "\n", "utf-8")
