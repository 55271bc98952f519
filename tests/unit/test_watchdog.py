"""When the watchdog ends a process, and what it does when the log can't be written."""

import faulthandler
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
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


HANGING = """
import asyncio, os
from gateway.observe.health import LoopPulse
from gateway.observe.watchdog import Watchdog

async def main():
    pulse = LoopPulse()
    pulse.start()
    Watchdog(pulse, 0.5).start()
    while True:
        os.write(2, b"x" * 4096)

asyncio.run(main())
"""


def test_standard_error_that_hangs_does_not_keep_it_alive() -> None:
    """A pipe that nobody reads any more is what the loop hangs in: the stacks are lost, the process ends."""
    with subprocess.Popen([sys.executable, "-c", HANGING], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        try:
            assert child.wait(30) == EXIT_STATUS
        finally:
            child.kill()


def full_pipe() -> tuple[int, int]:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, b"x" * 4096)
    os.set_blocking(writer, True)
    return reader, writer


def test_stacks_never_wait_and_never_overwrite(tmp_path: Path) -> None:
    """A full pipe takes nothing and stays as it is for others; a file keeps what is in it; a socket can't be had."""
    reader, writer = full_pipe()
    stacks = watchdog._never_blocking(writer)
    with pytest.raises(BlockingIOError):
        os.write(stacks, b"stack")
    assert os.get_blocking(writer)
    log = tmp_path / "log"
    log.write_text("before ")
    with log.open("a") as file:
        to_file = watchdog._never_blocking(file.fileno())
        os.write(to_file, b"stack")
    assert log.read_text() == "before stack"
    one, other = socket.socketpair()
    with one, other:
        to_memory = watchdog._never_blocking(one.fileno())
        assert os.write(to_memory, b"x" * (1 << 20)) == 1 << 20
    for each in (reader, writer, stacks, to_file, to_memory):
        os.close(each)
