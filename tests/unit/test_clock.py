"""A wall clock that is set is told from time that passes."""

import time

import pytest

from gateway.observe.clock import ClockWatch

HOUR_MS = 3_600_000


@pytest.mark.parametrize("set_by", [-HOUR_MS, 0, HOUR_MS])
def test_only_what_the_clock_was_set_by_is_told(monkeypatch: pytest.MonkeyPatch, set_by: int) -> None:
    """Two clocks that go on alike are right, however much time passes; and a jump is told once."""
    clocks = {"wall": 1_800_000_000_000, "since boot": 1_000}
    monkeypatch.setattr(time, "time_ns", lambda: clocks["wall"] * 1_000_000)
    monkeypatch.setattr(time, "monotonic_ns", lambda: clocks["since boot"] * 1_000_000)
    watch = ClockWatch()
    clocks["wall"] += HOUR_MS + set_by
    clocks["since boot"] += HOUR_MS
    assert watch.look() == set_by
    assert watch.look() == 0
