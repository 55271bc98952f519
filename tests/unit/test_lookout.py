"""What is seen of the running parts, and said of them."""

from types import SimpleNamespace
from typing import Any

from prometheus_client import generate_latest

from gateway.lookout import Lookout
from gateway.observe.metrics import Metrics


def look(lookout: Lookout, silence: float, *, is_silent: bool, lane_is_open: bool = True) -> None:
    """Look at Kafka and one lane."""
    membership: Any = SimpleNamespace(silence=lambda: silence, is_silent=is_silent)
    lane: Any = SimpleNamespace(name=SimpleNamespace(topic="t", partition=0), is_open=lane_is_open, view=dict)
    lookout._look_at_kafka(membership)
    lookout._look_at_lanes([lane], assigned=True)


def test_a_kafka_that_is_away_shows_although_nothing_is_to_be_done() -> None:
    """A gateway that has caught up asks nothing of Kafka: its silence grows, and past the session it is not ready."""
    metrics = Metrics("1.2.3", "replica-0")
    lookout = Lookout(metrics, skew_ms=2_000)
    assert lookout.kafka_silence is None
    look(lookout, 3.0, is_silent=False)
    assert (lookout.kafka_silence, lookout.not_working) == (3.0, ())
    look(lookout, 46.0, is_silent=True)
    assert lookout.not_working == ("Kafka says nothing for longer than kafka.session_timeout_ms",)
    assert b"gateway_kafka_silence_seconds 46.0" in generate_latest(metrics.registry)
    look(lookout, 0.5, is_silent=False)
    assert (lookout.kafka_silence, lookout.not_working) == (0.5, ())
