"""What is seen of the running parts, and said of them."""

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.structs import TopicPartition
from prometheus_client import generate_latest

from gateway.core.delays import Delay
from gateway.core.holds import Hold, Holds, HoldScope
from gateway.kafka.surroundings import Heard, Surroundings
from gateway.kafka.view_reader import ViewCounts
from gateway.lookout import Lookout
from gateway.observe.metrics import Metrics


def look(lookout: Lookout, silence: float, *, is_silent: bool, lane_is_open: bool = True) -> None:
    """Look at Kafka and one lane."""
    membership: Any = SimpleNamespace(silence=lambda: silence, is_silent=is_silent, member_id="member-1")
    lane: Any = SimpleNamespace(name=SimpleNamespace(topic="t", partition=0), is_open=lane_is_open, view=dict)
    lookout._look_at_kafka(membership)
    lookout._look_at_lanes([lane], assigned=True)


def test_a_kafka_that_is_away_shows_although_nothing_is_to_be_done() -> None:
    """A gateway that has caught up asks nothing of Kafka: its silence grows, and past the session it is not ready."""
    metrics = Metrics("1.2.3", "replica-0")
    lookout = Lookout(metrics, skew_ms=2_000)
    assert lookout.kafka_silence is None
    look(lookout, 3.0, is_silent=False)
    assert (lookout.kafka_silence, lookout.not_working, lookout.member_id) == (3.0, (), "member-1")
    look(lookout, 46.0, is_silent=True)
    assert lookout.not_working == ("Kafka says nothing for longer than kafka.session_timeout_ms",)
    assert b"gateway_kafka_silence_seconds 46.0" in generate_latest(metrics.registry)
    look(lookout, 0.5, is_silent=False)
    assert (lookout.kafka_silence, lookout.not_working) == (0.5, ())


def test_what_a_process_knows_of_holds_is_shown_without_any_text() -> None:
    """Holds in force by their id; what can't be read may have any key, a telephone number too."""
    metrics = Metrics("1.2.3", "replica-0")
    lookout = Lookout(metrics, skew_ms=2_000)
    hold_id = "0a8f7b52-3a0e-4f5e-9a7d-0d7f3f6f8e11"
    holds = Holds(
        [
            Hold(hold_id, HoldScope.ALL, None, None),
            Hold("090-1234-5678", HoldScope.ALL, None, None),
            Hold("5d0c1a36-6a3e-4c0e-8d86-3a2b1c0d9e8f", HoldScope.ALL, None, 1),  # long over
        ]
    )
    view: Any = SimpleNamespace(
        holds=holds,
        counts=ViewCounts(),
        remembered=3,
        subjects=lambda: 7,
        lag=lambda: 2,
        caught_up_at=lambda: 1_000,
        controls=lambda: {0: (5, None), 1: (9, 2_000)},
    )
    lookout._look_at_consents(view, SimpleNamespace(remembered=1))  # type: ignore[arg-type]
    assert lookout.consents == {
        "subjects": 7,
        "lag": 2,
        "whole_at": 1_000,
        "holds": ["unreadable", hold_id],
        "controls": {"0": {"offset": 5, "applied_at": None}, "1": {"offset": 9, "applied_at": 2_000}},
    }
    shown = generate_latest(metrics.registry)
    assert b'gateway_holds{scope="all"} 2.0' in shown
    assert b'gateway_holds{scope="subject"} 0.0' in shown
    assert b"gateway_consent_view_whole_timestamp_seconds 1.0" in shown


def test_what_is_known_of_genie_is_shown() -> None:
    """The breaker, the slots, and how the last request ended."""
    slots: Any = SimpleNamespace(
        open=True, limit=3, in_use=2, waiting=1, retries=SimpleNamespace(wait_s=0.5, per_second=1.0)
    )
    partner: Any = SimpleNamespace(clock_difference_ms=-40)
    lookout = Lookout(Metrics("", ""), skew_ms=2_000)
    lookout._look_at_genie(slots, partner, Heard(ok_at=0, last="lost", last_at=5, trouble="timeout"))
    assert lookout.genie == {
        "breaker_open": True,
        "slots": 3,
        "slots_in_use": 2,
        "slots_waited_for": 1,
        "retry_wait_seconds": 0.5,
        "clock_difference_ms": -40,
        "last": "lost",
        "last_at": 5,
        "ok_at": None,
        "trouble": "timeout",
    }


class Lane:
    """A lane's driver, of which only the view matters."""

    is_open = True
    name = SimpleNamespace(topic="t", partition=0)
    partition = TopicPartition("t", 0)

    def __init__(self, **view: Any) -> None:
        self.now = {"watermark": 10, "position": 10, "unsettled": 0, "oldest_at": None} | view

    def view(self) -> dict[str, Any]:
        return self.now


@pytest.fixture
def metrics() -> Metrics:
    metrics = Metrics("", "")
    metrics.lane_opened("t", 0)
    return metrics


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """`ms` is what the wall clock says."""
    clock = SimpleNamespace(ms=1_000_000)
    monkeypatch.setattr(Surroundings, "now", staticmethod(lambda: clock.ms))
    return clock


def shown(metrics: Metrics, name: str) -> float | None:
    return metrics.registry.get_sample_value(f"gateway_lane_{name}", {"topic": "t", "partition": "0"})


def test_a_record_that_is_not_taken_is_waited_for_since_it_was_seen(metrics: Metrics, clock: SimpleNamespace) -> None:
    """A lane that can take nothing has no oldest record, but falls behind all the same."""
    lookout, lane = Lookout(metrics, skew_ms=2_000), Lane()
    for passed, end, seconds in ((0, 10, 0), (5_000, 12, 0), (5_000, 13, 5), (7_000, 13, 12)):
        clock.ms += passed
        lookout._show_lag(lane.partition, lane.view(), end, 0)
        lookout._look_at_lanes([lane], assigned=True)  # type: ignore[list-item]
        assert (shown(metrics, "lag_records"), shown(metrics, "lag_seconds")) == (end - 10, seconds)
        assert shown(metrics, "oldest_unsettled_seconds") == 0
    lane.now |= {"watermark": 13, "position": 13}
    lookout._look_at_lanes([lane], assigned=True)  # type: ignore[list-item]
    assert shown(metrics, "lag_seconds") == 0


def test_the_age_of_what_is_taken_is_that_of_its_append(metrics: Metrics, clock: SimpleNamespace) -> None:
    """And what it waits for is told."""
    lookout, lane = Lookout(metrics, skew_ms=2_000), Lane(oldest_at=400_000, delay=Delay.SLOT)
    lookout._look_at_lanes([lane], assigned=True)  # type: ignore[list-item]
    assert shown(metrics, "lag_seconds") == shown(metrics, "oldest_unsettled_seconds") == 600
    labels = {"topic": "t", "partition": "0", "cause": "slot"}
    assert metrics.registry.get_sample_value("gateway_lane_delayed", labels) == 1


@pytest.mark.parametrize(
    ("unsettled", "first_in_time", "overdue"),
    [
        (20, 0, 0),  # not asked for, because the oldest is in time
        (20, 10, 0),
        (20, 25, 15),
        (20, 30, 20),
        (20, 100, 90),  # what was not taken is late too
        (1, 30, 1),  # one slow record: what came behind it is settled
        (1, 100, 71),
    ],
)
def test_late_records_are_counted(metrics: Metrics, unsettled: int, first_in_time: int, overdue: int) -> None:
    """From the watermark on, without what is surely settled beyond it."""
    lane = Lane(position=30, unsettled=unsettled)
    Lookout(metrics, skew_ms=2_000)._show_lag(lane.partition, lane.view(), 200, first_in_time)
    assert shown(metrics, "overdue_records") == overdue
