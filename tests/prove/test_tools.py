"""A search of the simulation that is broken off leaves nothing behind: no process, no directory."""

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.prove import tools
from tests.prove.runner import _SERVER
from tests.simulation import campaign, room
from tests.simulation.params import Params

BOUND_S = 60.0
POLL_S = 0.05
MANY = "100000"  # stories, which take hours


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for it."""
    end = time.monotonic() + BOUND_S
    while not condition():
        assert time.monotonic() < end, f"not within {BOUND_S:g} s: {what}"
        time.sleep(POLL_S)


def search() -> None:
    """As a row of the table does it, in a group of its own."""
    os.setpgrp()
    tools._simulate("--seeds", MANY)


def directories(process: psutil.Process) -> list[str]:
    """Those of this campaign."""
    return [path.name for path in room.place().glob(f"{room.PREFIX}{process.pid}-*")]


def ended(process: psutil.Process) -> bool:
    """Whether it is gone, or waits for nothing but to be asked how it ended."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_search_that_is_broken_off_leaves_nothing_behind(how: signal.Signals) -> None:
    """By Ctrl-C the campaign ends in order; by kill -9 its processes end all the same, and the next run clears up."""
    started = _SERVER.Process(target=search)
    started.start()
    us = psutil.Process(started.pid)
    until(us.children, "the campaign starts")
    (run,) = us.children()
    until(lambda: list(room.place().glob(f"{room.PREFIX}{run.pid}-*/tmp*")), "stories are played")
    until(lambda: len(run.children()) == campaign.PROCESSES, "its processes are there")
    played = [run, *run.children()]
    try:
        if how is signal.SIGINT:
            os.killpg(us.pid, how)
        else:
            us.kill()
        until(lambda: all(map(ended, played)), "they end")
    finally:
        for process in played:
            with suppress(psutil.NoSuchProcess):
                process.kill()
    started.join(BOUND_S)
    if how is signal.SIGKILL:
        assert directories(run)
        room.begin()
    assert directories(run) == []


def test_a_broken_off_campaign_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """And waits for no story that is being played: these would never end."""
    plain = campaign._result

    def break_off(story: Params, future: campaign.Future[campaign.Outcome]) -> campaign.Outcome:
        if story.seed == 4:
            raise KeyboardInterrupt
        return plain(story, future)

    def play(story: Params, _: Path) -> campaign.Outcome:
        while story.seed > 3:
            signal.pause()
        return campaign.Outcome(story)

    monkeypatch.setattr(campaign, "_result", break_off)
    monkeypatch.setattr(campaign, "play", play)
    with pytest.raises(KeyboardInterrupt):
        campaign.run(Params(1), 9, shorten=False)
    assert "broken off after 3 of 9 stories" in capsys.readouterr().err
