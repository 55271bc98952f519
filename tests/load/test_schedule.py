"""Arrivals by the clock."""

from dataclasses import replace

import pytest

from load.bench import _fitted
from load.scenario import WARM_UP_SECONDS
from load.scenarios import BURST, SCENARIOS, at
from load.schedule import Schedule, ScheduleError, Stretch
from tests.load.results import SOUND

TWO_RATES = Schedule.parse("100x2,1000x3")


@pytest.mark.parametrize(
    ("elapsed", "due"), [(-1.0, 0), (0.0, 0), (0.5, 50), (2.0, 200), (2.1, 300), (5.0, 3_200), (99.0, 3_200)]
)
def test_what_is_due_follows_from_the_clock_alone(elapsed: float, due: int) -> None:
    """At each rate for its time, and nothing beyond the end."""
    assert TWO_RATES.due(elapsed) == due


@pytest.mark.parametrize("number", [0, 1, 199, 200, 201, 3_199])
def test_an_event_is_due_when_it_is_due(number: int) -> None:
    """Both questions have one answer."""
    moment = TWO_RATES.due_at(number)
    assert TWO_RATES.due(moment + 1e-9) == number + 1
    assert TWO_RATES.due(moment - 1e-6) <= number


def test_a_schedule_is_what_it_is_written_as() -> None:
    """Its text makes it again."""
    assert Schedule.parse(str(TWO_RATES)) == TWO_RATES
    odd = Schedule((Stretch(189_082.5 / 34.009, 34.009),))  # the process that writes must count what the round counts
    assert Schedule.parse(str(odd)) == odd
    assert TWO_RATES.events == 3_200
    assert TWO_RATES.seconds == 5


@pytest.mark.parametrize("text", ["", "100", "100x", "x5", "0x5", "5x0", "-1x5", "infx1", "nanx1", "100x2,,"])
def test_no_schedule_is_made_of_nonsense(text: str) -> None:
    """And it is said how one is written."""
    with pytest.raises(ScheduleError, match="RATExSECONDS"):
        Schedule.parse(text)


def test_scenarios_go_at_another_rate_for_another_time() -> None:
    """Every stretch by the same factor."""
    burst = at(SCENARIOS["burst"], rate=50.0, minutes=1.0)
    assert burst.schedule is not None
    assert [stretch.rate for stretch in burst.schedule.stretches] == [50.0, 50.0 * BURST, 50.0]
    assert burst.schedule.seconds == pytest.approx(60.0)
    assert burst.warm_up_events == 50 * WARM_UP_SECONDS
    assert at(SCENARIOS["backlog"], rate=50.0, minutes=1.0) == SCENARIOS["backlog"]


def test_each_scenario_is_one_of_both_kinds() -> None:
    """A backlog or a schedule, some events to measure beyond the warm-up, and both topics have partitions."""
    for scenario in SCENARIOS.values():
        assert bool(scenario.backlog) != (scenario.schedule is not None), scenario.name
        assert 0 < scenario.warm_up_events < scenario.events
        assert scenario.partitions >= 2 and scenario.partitions % 2 == 0
        assert scenario.sentence.endswith(".")


def test_steady_goes_at_a_share_of_what_the_machine_can_do() -> None:
    """As the backlogs before it tell, the middle one of them; without any, or at a rate that was named, as it is."""
    backlogs = [replace(SOUND, events_per_second=rate) for rate in (5_000.0, 10_000.0, 50_000.0)]
    steady = SCENARIOS["steady"]
    fitted = _fitted(steady, [*backlogs, replace(SOUND, scenario="single", events_per_second=1.0)])
    assert fitted.schedule is not None
    assert [stretch.rate for stretch in fitted.schedule.stretches] == [7_000.0]
    assert _fitted(steady, []) == steady
    named = at(steady, rate=10.0, minutes=None)
    assert _fitted(named, backlogs) == named
