"""When the watchdog ends a process, and what it does when the log can't be written."""

import faulthandler
import os
import threading
import time
from typing import Any

import pytest

from gateway.observe import watchdog
from gateway.observe.health import LoopPulse
from gateway.observe.watchdog import CHECK_S, EXIT_STATUS, Watchdog

BOUND_S = 6.0


class Ended(BaseException):
    """The process would be gone."""


class Looks:
    """The watchdog's thread, its clock and its process: each look is preceded by so many seconds."""

    def __init__(self, pulse: LoopPulse, *pauses: float) -> None:
        self.now = pulse.seen_at = 1_000.0
        self._pauses = list(pauses)
        self.armed: list[float] = []

    def is_set(self) -> bool:
        return False

    def wait(self, _: float) -> bool:
        if not self._pauses:
            return True
        self.now += self._pauses.pop(0)
        return False


def watched(monkeypatch: pytest.MonkeyPatch, *pauses: float, beating: bool) -> tuple[int | None, Looks]:
    """The exit status, if the process ends."""
    pulse = LoopPulse()
    looks, dog = Looks(pulse, *pauses), Watchdog(pulse, BOUND_S)

    def monotonic() -> float:
        if beating:
            pulse.seen_at = looks.now
        return looks.now

    def gone(status: int) -> None:
        raise Ended(status)

    monkeypatch.setattr(dog, "_stopped", looks)
    monkeypatch.setattr(time, "monotonic", monotonic)
    monkeypatch.setattr(os, "_exit", gone)
    monkeypatch.setattr(faulthandler, "dump_traceback_later", lambda seconds, **_: looks.armed.append(seconds))
    monkeypatch.setattr(faulthandler, "cancel_dump_traceback_later", lambda: looks.armed.append(0))
    monkeypatch.setattr(faulthandler, "dump_traceback", lambda **_: None)
    try:
        dog._watch()
    except Ended as ended:
        return ended.args[0], looks
    return None, looks


def test_a_loop_that_turns_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time alone ends nothing; the interpreter's own watchdog is armed again at each look, and put away at the end."""
    status, looks = watched(monkeypatch, *[CHECK_S] * 100, beating=True)
    assert status is None
    assert set(looks.armed[:-1]) == {BOUND_S + watchdog.INTERPRETER_GRACE_S}
    assert looks.armed[-1] == 0


def test_a_loop_that_hangs_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the bound, and not before."""
    hanging = int(BOUND_S / CHECK_S)
    assert watched(monkeypatch, *[CHECK_S] * hanging, beating=False)[0] is None
    assert watched(monkeypatch, *[CHECK_S] * (hanging + 1), beating=False)[0] == EXIT_STATUS


def test_a_process_that_was_stopped_ends_although_its_loop_turns_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short stop is no matter; a longer one than the bound ends it, whoever wakes first."""
    assert watched(monkeypatch, CHECK_S, BOUND_S - 1, CHECK_S, beating=True)[0] is None
    assert watched(monkeypatch, CHECK_S, BOUND_S + 1, CHECK_S, beating=True)[0] == EXIT_STATUS


def test_a_log_that_blocks_does_not_keep_it_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the loop hangs in may be the log itself."""
    blocked = threading.Event()

    class Blocking:
        def critical(self, *_: Any, **__: Any) -> None:
            blocked.wait()

    monkeypatch.setattr(watchdog, "log", Blocking())
    monkeypatch.setattr(watchdog, "LAST_WORDS_S", 0.01)
    assert watched(monkeypatch, BOUND_S + 1, beating=False)[0] == EXIT_STATUS
    blocked.set()
