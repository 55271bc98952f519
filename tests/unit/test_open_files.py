"""Room for the connections that a process may need."""

import resource

import pytest

from gateway import open_files

INFINITE = resource.RLIM_INFINITY


class Limits:
    """The operating system's limits of this process."""

    def __init__(self, soft: int, hard: int, *, lower_elsewhere: bool = False) -> None:
        self.now = (soft, hard)
        self._lower_elsewhere = lower_elsewhere

    def getrlimit(self, _: int) -> tuple[int, int]:
        return self.now

    def setrlimit(self, _: int, limits: tuple[int, int]) -> None:
        if self._lower_elsewhere:
            raise ValueError("current limit exceeds maximum limit")
        self.now = limits


def test_what_is_needed_grows_with_lanes_and_brokers() -> None:
    """Each lane has a producer, each client up to two connections to a broker, and GeNiE's pool may be there twice."""
    least = open_files.needed(genie_connections=1, lanes=1, brokers=1)
    assert open_files.needed(genie_connections=2, lanes=1, brokers=1) == least + 2
    assert open_files.needed(genie_connections=1, lanes=2, brokers=1) == least + open_files.PER_BROKER
    assert open_files.needed(genie_connections=64, lanes=36, brokers=5) > 36 * 5 * open_files.PER_BROKER


@pytest.mark.parametrize(
    ("limits", "lacking", "now"),
    [
        (Limits(500, 500), None, (500, 500)),
        (Limits(INFINITE, INFINITE), None, (INFINITE, INFINITE)),
        (Limits(100, 4_096), None, (4_096, 4_096)),
        (Limits(100, INFINITE), None, (400, INFINITE)),
        (Limits(100, 399), 399, (100, 399)),
        (Limits(100, INFINITE, lower_elsewhere=True), 100, (100, INFINITE)),
    ],
)
def test_our_own_limit_is_raised_as_far_as_it_may_be(
    monkeypatch: pytest.MonkeyPatch, limits: Limits, lacking: int | None, now: tuple[int, int]
) -> None:
    """Enough is left alone, less is raised, and what can't be raised is told."""
    monkeypatch.setattr(resource, "getrlimit", limits.getrlimit)
    monkeypatch.setattr(resource, "setrlimit", limits.setrlimit)
    assert open_files.make_room(400) == lacking
    assert limits.now == now
