"""Figures between two samples."""

import pytest

from load.measure import counts
from load.result import Kind
from load.window import Counts, Sample, Window, slope

BEFORE = Sample(
    at=10.0,
    cpu={Kind.GATEWAY: 1.0, Kind.GENIE: 0.5},
    genie_read=1_000.0,
    counts=Counts(1_000, 10, 1_100, 20, 1.0, 5, 0.1, {"PROVIDED": 990, "WITHHELD": 10}),
)
AFTER = Sample(
    at=12.0,
    cpu={Kind.GATEWAY: 1.4, Kind.GENIE: 1.5, Kind.PRODUCER: 0.1},
    genie_read=11_001_000.0,
    counts=Counts(11_000, 20, 11_600, 120, 3.5, 15, 0.4, {"PROVIDED": 10_990, "WITHHELD": 10}),
)
METRICS = """\
# TYPE gateway_settled counter
gateway_settled_total{topic="a",outcome="PROVIDED",reason="accepted"} 7.0
gateway_settled_total{topic="b",outcome="PROVIDED",reason="accepted"} 3.0
gateway_settled_total{topic="b",outcome="PARKED",reason="held"} 0.0
# TYPE gateway_committed_records counter
gateway_committed_records_total 10.0
# TYPE gateway_genie_request_seconds histogram
gateway_genie_request_seconds_bucket{kind="2xx",le="+Inf"} 4.0
gateway_genie_request_seconds_count{kind="2xx"} 4.0
gateway_genie_request_seconds_sum{kind="2xx"} 0.2
gateway_genie_request_seconds_bucket{kind="503",le="+Inf"} 9.0
gateway_genie_request_seconds_count{kind="503"} 9.0
gateway_genie_request_seconds_sum{kind="503"} 1.0
# TYPE gateway_fence_seconds histogram
gateway_fence_seconds_bucket{le="+Inf"} 2.0
gateway_fence_seconds_count 2.0
gateway_fence_seconds_sum 0.1
# TYPE gateway_commit_seconds histogram
gateway_commit_seconds_bucket{le="+Inf"} 3.0
gateway_commit_seconds_count 3.0
gateway_commit_seconds_sum 0.3
# TYPE gateway_announced_entries counter
gateway_announced_entries_total 11.0
"""


def test_what_an_event_costs() -> None:
    """Differences, over the events settled meanwhile."""
    window = Window(BEFORE, AFTER)
    assert window.events == 10_000
    assert window.events_per_second == 5_000
    assert window.cpu_us_per_event == pytest.approx({Kind.GATEWAY: 40.0, Kind.GENIE: 100.0, Kind.PRODUCER: 10.0})
    assert window.genie_cores == pytest.approx(0.5)
    assert window.wire_bytes_per_event == 1_100
    assert window.per_event.announcements == pytest.approx(1.05)
    assert window.per_event.transactions == pytest.approx(0.001)
    assert window.answer_ms == pytest.approx(25.0)
    assert window.commit_ms == pytest.approx(30.0)
    assert window.outcomes == {"PROVIDED": 10_000}


def test_nothing_settled_is_no_division_by_zero() -> None:
    """A round that stood still has figures too, and they void it."""
    window = Window(BEFORE, BEFORE)
    assert window.events_per_second == 0
    assert window.per_event.fences == 0
    assert window.answer_ms is None


def test_counts_of_all_gateways_are_added() -> None:
    """And only verified answers that are well count as answers."""
    told = counts([METRICS, METRICS])
    assert told == Counts(20, 4, 22, 8, 0.4, 6, 0.6, {"PROVIDED": 20, "PARKED": 0})


def test_the_trend_of_memory() -> None:
    """A line's own slope, and none where there is no line."""
    assert slope([(0.0, 100.0), (1.0, 102.0), (2.0, 104.0)]) == pytest.approx(2.0)
    assert slope([(0.0, 100.0), (1.0, 100.0)]) == 0
    assert slope([(1.0, 100.0)]) is None
    assert slope([(1.0, 100.0), (1.0, 101.0)]) is None
