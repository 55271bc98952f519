"""Every expression of every dashboard: it parses, asks for what there is, over windows that fit, and for few series."""

import re
from itertools import chain

import promql_parser as promql
import pytest

from gateway.core.delays import Delay
from gateway.core.holds import HoldScope
from gateway.core.outcome import Stop
from gateway.core.reasons import Reason
from gateway.observe.genie_metrics import ANSWER_KINDS, PARTNERS
from gateway.observe.metrics import TRANSACTION_STEPS
from tests.dashboards.checked_in import FILES, Asked, annotations, asked, filled
from tests.dashboards.questions import known_metrics, labels_of, most_series, recorded, selectors

PANELS = [each for path in FILES for each in asked(path)]
EVERY = [*PANELS, *chain.from_iterable(annotations(path) for path in FILES)]
KNOWN = known_metrics()
MOST_SERIES = 30
WINDOWS = {"$__rate_interval", "$__range", "30d"}  # the last is what the error budget is for
COUNTING = {"rate", "increase"}
CLOSED = {
    "outcome": {reason.outcome.value for reason in Reason},
    "reason": {reason.value for reason in Reason},
    "kind": {*ANSWER_KINDS, "read", "tombstones"},
    "state": {"ready", "in_flight", "waiting", "looking_up", "finished"},
    "cause": {delay.value for delay in Delay},
    "scope": {scope.value for scope in HoldScope},
    "code": {stop.value for stop in Stop},
    "step": set(TRANSACTION_STEPS),
    "partner": set(PARTNERS),
}


def each(questions: list[Asked]) -> pytest.MarkDecorator:
    """One test for each expression."""
    return pytest.mark.parametrize("question", questions, ids=lambda question: question.where)


@each(EVERY)
def test_every_metric_and_label_exists(question: Asked) -> None:
    """A metric that was renamed leaves no dashboard that shows nothing."""
    for selected in selectors(promql.parse(question.filled)):
        assert selected.name in KNOWN
        assert {label for label, _, _ in selected.matchers} <= KNOWN[selected.name][1]


@each(EVERY)
def test_every_value_of_a_closed_set_exists(question: Asked) -> None:
    """A reason that is mistyped would match nothing for ever."""
    for selected in selectors(promql.parse(question.filled)):
        for label, _, value in selected.matchers:
            if label in CLOSED:
                assert set(value.split("|")) <= CLOSED[label]


@each(EVERY)
def test_every_series_is_one_of_those_chosen(question: Asked) -> None:
    """The variables at the top hold for all panels."""
    whole = "[30d]" in question.expr  # the promise is one of all processes, of those that have ended too
    for selected in selectors(promql.parse(question.filled)):
        chosen = {"namespace", "job"} | (set() if whole else {"instance"} & KNOWN[selected.name][1])
        assert chosen <= {label for label, _, _ in selected.matchers}, selected.name


@each(PANELS)
def test_every_window_is_grafanas_to_choose(question: Asked) -> None:
    """A window shorter than two scrapes shows nothing, a fixed one smooths or skips what is on the screen."""
    assert set(re.findall(r"\[([^]]+)\]", question.expr)) - {"."} <= WINDOWS
    if "$__range" in question.expr or "[30d]" in question.expr:
        assert question.instant, "it covers all the time on the screen: a curve of it says nothing"


@each(PANELS)
def test_counters_are_asked_for_their_growth_and_nothing_else_is(question: Asked) -> None:
    """The value of a counter says only when its process started; the rate of a gauge says nothing."""
    tree = promql.parse(question.filled)
    growing = [node for node in nodes(tree) if isinstance(node, promql.Call) and node.func.name in COUNTING]
    inside = [selected.name for call in growing for selected in selectors(call)]
    assert {KNOWN[name][0] for name in inside} <= {"counter"}
    counters = [selected.name for selected in selectors(tree) if KNOWN[selected.name][0] == "counter"]
    assert sorted(counters) == sorted(inside)


@each(PANELS)
def test_the_number_of_series_is_bounded(question: Asked) -> None:
    """A panel with a line for each of hundreds of partitions or processes is none, and costs Prometheus its memory."""
    assert most_series(promql.parse(question.filled), KNOWN, instant=question.instant) <= MOST_SERIES


def test_series_are_counted_as_prometheus_makes_them() -> None:
    """What bounds the number of series, and what only looks as if it did."""

    def count(expression: str, *, instant: bool = False) -> float:
        return most_series(promql.parse(expression), KNOWN, instant=instant)

    lag = "gateway_lane_lag_records"
    assert count(f"sum by (topic) ({lag})") == 1
    assert count(f"sum by (topic, partition) ({lag})") == count(lag) == float("inf")
    assert count(f"topk(3, {lag})", instant=True) == count(f"topk(3, {lag} @ end())") == 3
    assert count(f"topk(3, {lag})") == count(f"topk(3, {lag} / {lag} @ end())") == float("inf")
    assert count(f"{lag} and on (topic, partition) topk(3, {lag} @ end())") == 3
    assert count(f"topk(3, {lag} @ end()) or vector(0)") == 4
    assert labels_of(promql.parse('label_replace(vector(0), "cause", "", "", "")'), KNOWN) == {"cause"}


def test_a_variable_that_nobody_fills_in_is_noticed() -> None:
    """Longer names are not taken for shorter ones with something behind."""
    assert filled('x{job=~"$job"}[$__rate_interval]') == 'x{job=~".+"}[15s]'
    with pytest.raises(AssertionError, match="nobody fills in"):
        filled("$else")


def test_the_promise_is_read_from_what_is_recorded() -> None:
    """Dashboards and alerts say the same of it."""
    names = {selected.name for question in PANELS for selected in selectors(promql.parse(question.filled))}
    assert len(names & set(recorded())) >= 4


def nodes(tree: promql.Expr) -> list[promql.Expr]:
    """Every node of a syntax tree."""
    found: list[promql.Expr] = []

    def note(node: promql.Expr) -> bool:
        found.append(node)
        return True

    promql.walk(tree, note)
    return found
