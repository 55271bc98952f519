"""Whether an event costs more than it may: by ratios, with the stage named."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from load import check
from load.check import GATEWAY, Budget, NotAcceptedError, VoidError
from load.stages.stage import Stage
from tests.load.kept_results import STAGES, result

ACCEPTED = Budget.of(result(), STAGES)


def dearer(name: str, share: float) -> list[Stage]:
    """The stages, of which one costs more."""
    return [replace(each, yards=each.yards * (1 + share)) if each.name == name else each for each in STAGES]


class Machine:
    """Measures what it is told to, and notes what it was asked for."""

    def __init__(self, *rounds: Sequence[Stage]) -> None:
        self.rounds = list(rounds)
        self.asked: list[list[str]] = []

    def __call__(self, names: Sequence[str]) -> list[Stage]:
        self.asked.append(list(names))
        stages = self.rounds.pop(0) if len(self.rounds) > 1 else self.rounds[0]
        return [each for each in stages if not names or each.name in names]


def test_the_same_cost_is_fine() -> None:
    """Nothing is said of a machine that needs as much as was accepted."""
    assert check.check(ACCEPTED, result(), Machine(STAGES)) == []


def test_a_stage_that_costs_a_little_more_is_fine() -> None:
    """Fourteen percent are within what machines differ by."""
    assert check.check(ACCEPTED, result(), Machine(dearer("decode", 0.14))) == []


def test_a_stage_that_costs_too_much_is_named() -> None:
    """Sixteen percent and a little are a regression, and of which stage."""
    (found,) = check.check(ACCEPTED, result(), Machine(dearer("lane", 0.17)))
    assert found.name == "lane"
    assert "lane" in str(found)
    assert "+17%" in str(found)


def test_the_gateway_is_compared_with_the_baseline_beside_it() -> None:
    """A gateway that costs 16 percent more of the baseline than accepted is a regression."""
    (found,) = check.check(ACCEPTED, result(gateway_cpu_us_per_event=40.0 * 1.16), Machine(STAGES))
    assert found.name == GATEWAY


def test_a_slower_machine_is_no_regression() -> None:
    """Where the baseline needs twice as much, so may the gateway."""
    usual = result()
    assert usual.baseline is not None
    slow = replace(usual.baseline, cpu_us_per_event=2 * usual.baseline.cpu_us_per_event)
    assert check.check(ACCEPTED, result(gateway_cpu_us_per_event=80.0, baseline=slow), Machine(STAGES)) == []


def test_a_stage_that_seems_dear_is_measured_again() -> None:
    """What happened once by chance is forgotten, and only what seemed dear is asked for again."""
    machine = Machine(dearer("lane", 0.5), STAGES)
    assert check.check(ACCEPTED, result(), machine) == []
    assert machine.asked == [[], ["lane"]]


def test_next_to_nothing_may_cost_a_little_more() -> None:
    """A tenth of a yard more is not a regression however small the stage is."""
    small = [replace(STAGES[0], yards=0.2)]
    accepted, now = Budget.of(result(), small), Budget.of(result(), [replace(small[0], yards=0.3)])
    assert check.regressions(accepted, now) == []


def test_a_void_round_says_nothing() -> None:
    """A round that lost something is refused, however quick it was."""
    with pytest.raises(VoidError):
        Budget.of(result(verdict={"lost": 1}), STAGES)


def test_a_round_without_baseline_says_nothing() -> None:
    """Without the naive baseline beside it there is no ratio."""
    with pytest.raises(VoidError):
        Budget.of(result(baseline=None), STAGES)


def test_what_is_accepted_is_found_again(tmp_path: Path) -> None:
    """A budget survives its file; without a file it is said that none was accepted."""
    path = tmp_path / "accepted.json"
    with pytest.raises(NotAcceptedError):
        check.load(path)
    check.accept(ACCEPTED, path)
    assert check.load(path) == ACCEPTED
