"""One small round of the load tests on a real Apache Kafka: it counts, so everything that it stands on works."""

from pathlib import Path

from load.quick import both
from load.result import Kind
from load.scenario import Scenario
from load.schedule import Schedule
from load.stage import Kafka

FULL = Scenario(name="full", sentence="A small backlog.", backlog=1_000, subjects=200)
EASY = Scenario(
    name="easy", sentence="Then some by the clock.", schedule=Schedule.parse("200x1"), subjects=200, warm_up_seconds=0.5
)


async def test_a_small_round_counts(kafka: str, tmp_path: Path) -> None:
    """Nothing is lost or leaked, every event is provided, and each figure is there."""
    steps: list[str] = []
    done = await both(Kafka(kafka), tmp_path, steps.append, FULL, EASY)
    assert done.full.voids == done.easy.voids == ()
    assert done.full.provided == FULL.events + EASY.events
    assert done.full.settled.keys() == {"PROVIDED"}
    assert done.full.cpu_us_per_event.keys() == {Kind.GATEWAY, Kind.GENIE}
    assert done.full.wire_bytes_per_event > 0
    assert done.full.baseline is not None
    assert done.full.rss_mb > 0
    waited = done.easy.latency_ms
    assert waited is not None
    assert 0 < waited.events <= 200
    assert 0 < waited.p50 <= waited.p99 <= waited.max
    assert steps
