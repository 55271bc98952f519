"""What counts as a lane that moved, and what an exercise makes of it."""

import json
from pathlib import Path

import pytest

from tests.rollout.exercise import COUNTS, Done, Report
from tests.rollout.lanes import Moves, Turn, moves, turns

CLEAN = dict.fromkeys(COUNTS, 0) | {"produced": 1, "examples": {}}
QUIET = Moves(0, 0)


def course(text: str) -> list[Turn]:
    """`POD+LANE` opens, `POD-LANE` closes; one second apart."""
    return [Turn(float(at), word[0], word[2:], opened=word[1] == "+") for at, word in enumerate(text.split())]


@pytest.mark.parametrize(
    ("text", "ends", "found"),
    [
        ("a+x b+y a-x a+x", {"a": [(2, 2)]}, Moves(0, 0)),  # a restart
        ("a+x b+y a+x", {"a": []}, Moves(0, 0)),  # a kill closes nothing
        ("a+x b+y a-x b+x", {"a": [(2, 2)]}, Moves(1, 0)),  # another one has it
        ("a+x b+y a-x b-y b+y a+x", {"a": [(2, 2)], "b": []}, Moves(0, 1)),  # all lanes were given anew
        ("a+x b+y a+x b+x a+x", {}, Moves(2, 0)),  # there and back
    ],
)
def test_a_move_is_told_from_a_restart(text: str, ends: dict[str, list[tuple[float, float]]], found: Moves) -> None:
    assert moves(course(text), ends, since=2, until=10) == found


def test_what_was_before_and_after_does_not_count() -> None:
    assert moves(course("a+x b+x a+x b+x"), {}, since=2, until=2) == Moves(1, 0)


def test_logs_say_who_had_which_lane(tmp_path: Path) -> None:
    """Whatever else they say; a line that is not complete yet says nothing."""
    log = tmp_path / "a.log"
    lines = [
        {"time": "2026-01-01T00:00:02Z", "event": "lane closed", "lane": "p:1"},
        {"time": "2026-01-01T00:00:01Z", "event": "lane open", "lane": "p:1", "offset": 5},
        {"time": "2026-01-01T00:00:03Z", "event": "serving"},
    ]
    log.write_text("".join(f"{json.dumps(line)}\n" for line in lines) + 'Warning\n{"time":"2026-01-0', "utf-8")
    found = turns({"a": [log]})
    assert [(turn.pod, turn.lane, turn.opened) for turn in found] == [("a", "p:1", True), ("a", "p:1", False)]


def done(*, restarts: bool, moved: Moves, unstable: int = 0) -> Done:
    return Done("deed", 1.0, restarts, moved, unstable, 1.0, 1.0)


@pytest.mark.parametrize(
    ("deed", "says"),
    [
        (done(restarts=True, moved=Moves(1, 0)), "1 moved"),
        (done(restarts=True, moved=Moves(0, 2)), "2 were closed elsewhere"),
        (done(restarts=True, moved=QUIET, unstable=3), "not stable 3 times"),
        (done(restarts=False, moved=QUIET), "none did"),
    ],
)
def test_each_deed_can_make_an_exercise_fail(deed: Done, says: str) -> None:
    (wrong,) = Report((deed,), 1, 1.0, CLEAN, 1.0).wrong
    assert says in wrong


@pytest.mark.parametrize("count", COUNTS)
def test_each_defect_makes_an_exercise_fail(count: str) -> None:
    good = done(restarts=True, moved=QUIET)
    assert Report((good,), 1, 1.0, CLEAN, 1.0).wrong == []
    assert Report((good,), 1, 1.0, CLEAN | {count: 2}, 1.0).wrong == [f"{count}: 2"]
