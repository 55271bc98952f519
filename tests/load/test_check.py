"""Whether an event costs more than it may: by ratios, with the stage named."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from load import check
from load.check import GATEWAY, TRIES, Budget, Machine, NotAcceptedError, Regression, VoidError
from load.result import Result
from load.stages.stage import Stage
from tests.load.kept_results import STAGES, result

ACCEPTED = Budget(0.04, {stage.name: stage.yards for stage in STAGES})


def dearer(name: str, share: float) -> list[Stage]:
    """The stages, of which one costs more."""
    return [replace(each, yards=each.yards * (1 + share)) if each.name == name else each for each in STAGES]


class Played:
    """A machine that measures what it is told to, the last again and again, and notes what it was asked for."""

    def __init__(self, rounds: Sequence[Result] = (result(),), stages: Sequence[Sequence[Stage]] = (STAGES,)) -> None:
        self.asked: list[str] = []
        self._rounds = list(rounds)
        self._stages = list(stages)

    def round(self) -> Result:
        self.asked.append(GATEWAY)
        return self._rounds.pop(0) if len(self._rounds) > 1 else self._rounds[0]

    def stages(self, names: Collection[str]) -> list[Stage]:
        self.asked.append(" ".join(names) or "all")
        stages = self._stages.pop(0) if len(self._stages) > 1 else self._stages[0]
        return [each for each in stages if not names or each.name in names]


def judged(played: Played) -> list[Regression]:
    """What is found on this machine."""
    return check.check(ACCEPTED, Machine(played.round, played.stages))


def test_the_same_cost_is_fine() -> None:
    """Nothing is said of a machine that needs as much as was accepted, and nothing is measured twice."""
    played = Played()
    assert judged(played) == []
    assert played.asked == [GATEWAY, "all"]


def test_a_stage_that_costs_a_little_more_is_fine() -> None:
    """Fourteen percent are within what machines differ by."""
    assert judged(Played(stages=[dearer("decode", 0.14)])) == []


def test_a_stage_that_costs_too_much_is_named() -> None:
    """Sixteen percent are a regression, and it is said of which stage."""
    (found,) = judged(Played(stages=[dearer("lane", 0.16)]))
    assert found.name == "lane"
    assert str(found).startswith("lane: ")
    assert "+16%" in str(found)


def test_the_gateway_is_compared_with_the_baseline_beside_it() -> None:
    """A gateway that costs 16 percent more of the baseline than accepted is a regression."""
    (found,) = judged(Played([result(gateway_cpu_us_per_event=40.0 * 1.16)]))
    assert found.name == GATEWAY


def test_a_slower_machine_is_no_regression() -> None:
    """Where the baseline needs twice as much, so may the gateway."""
    usual = result().baseline
    assert usual is not None
    slow = replace(usual, cpu_us_per_event=2 * usual.cpu_us_per_event)
    assert judged(Played([result(gateway_cpu_us_per_event=80.0, baseline=slow)])) == []


def test_what_seems_dear_is_measured_again() -> None:
    """What happened once by chance is forgotten, and only what seemed dear is asked for again."""
    played = Played([result(gateway_cpu_us_per_event=60.0), result()], [dearer("lane", 0.5), STAGES])
    assert judged(played) == []
    assert played.asked == [GATEWAY, "all", GATEWAY, "lane"]


def test_it_is_not_measured_for_ever() -> None:
    """A regression is believed after a few tries."""
    played = Played(stages=[dearer("lane", 0.5)])
    judged(played)
    assert played.asked == [GATEWAY, "all", *["lane"] * (TRIES - 1)]


def test_next_to_nothing_may_cost_a_little_more() -> None:
    """A tenth of a yard more is not a regression however small the stage is."""
    assert check.regressions(Budget(0.04, {"metrics": 0.2}), Budget(0.04, {"metrics": 0.3})) == []


def test_a_void_round_says_nothing() -> None:
    """A round that lost something is refused, however quick it was."""
    with pytest.raises(VoidError):
        judged(Played([result(verdict={"lost": 1})]))


def test_a_round_without_baseline_says_nothing() -> None:
    """Without the naive baseline beside it there is no ratio."""
    with pytest.raises(VoidError):
        judged(Played([result(baseline=None)]))


def test_what_is_accepted_is_the_middle_of_several() -> None:
    """One round and one stage that were lucky or unlucky move nothing."""
    rounds = [result(gateway_cpu_us_per_event=cost) for cost in (20.0, 41.0, 90.0)]
    played = Played(rounds, [dearer("lane", 0.5), dearer("lane", -0.5), STAGES])
    budget = check.measured(Machine(played.round, played.stages))
    assert budget == Budget(0.041, ACCEPTED.stages)


def test_what_is_accepted_is_found_again(tmp_path: Path) -> None:
    """A budget survives its file; without a file it is said that none was accepted."""
    path = tmp_path / "accepted.json"
    with pytest.raises(NotAcceptedError):
        check.load(path)
    check.accept(ACCEPTED, path)
    assert check.load(path) == ACCEPTED
