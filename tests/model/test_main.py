"""The command: what it explores, and how it ends when it can't."""

import os
import signal

import pytest

from tests.model import __main__ as command
from tests.model import worlds
from tests.model.search import Explored
from tests.model.shape import Shape


def test_a_world_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """With the names of those that are."""
    with pytest.raises(SystemExit) as ended:
        command.main(["holds", "nope"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "'nope'" in said
    assert all(shape.name in said for shape in worlds.ALL)


def test_help_names_the_worlds(capsys: pytest.CaptureFixture[str]) -> None:
    """It is no world, and no mistake."""
    with pytest.raises(SystemExit) as ended:
        command.main(["--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert all(shape.name in said for shape in worlds.ALL)


def test_a_process_that_is_killed_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As when memory is short: no verdict, and it says which world."""

    def explore(shape: Shape) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(command, "explore", explore)
    assert command.main(["zombies"]) == command.COULD_NOT
    assert "zombies" in capsys.readouterr().err


def test_ctrl_c_says_how_far_it_came(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, no verdict on the whole, and no traceback of any process."""

    def explore(shape: Shape) -> Explored:
        if shape.name == "doubtful commits":
            os.kill(os.getppid(), signal.SIGINT)
            signal.pause()
        return Explored(shape.name, 12_345, 0, 1, True, 1, frozenset(), 0.0, None, ())

    monkeypatch.setattr(command, "explore", explore)
    monkeypatch.setattr(command, "PROCESSES", 1)
    assert command.main(["zombies", "doubtful"]) == command.INTERRUPTED
    said = capsys.readouterr()
    assert said.err == "interrupted: 1 of 2 worlds explored, 12,345 states; no promise is broken in them\n"
    assert "{" not in said.out
