"""Each step that a model or a test without Kafka looks after: taken out, it is noticed. A test of the tests."""

import json
from functools import partial
from pathlib import Path

import pytest

from gateway.core.window import Window
from tests.model import removals
from tests.promises.launch import PATCHES
from tests.promises.patching import replace
from tests.prove import __main__ as command
from tests.prove import rows, table, tools
from tests.prove.rows import ROWS, Check, Model, Row, Stories
from tests.prove.runner import Runner
from tests.prove.steps import Promise, Step
from tests.prove.tools import Found

QUICK = [row for row in ROWS if isinstance(row.by, Model) or (isinstance(row.by, Check) and not row.by.needs_kafka)]


@pytest.fixture(scope="module")
def runner() -> Runner:
    """One that looks once whether the tests of a file are green as it is."""
    return Runner()


@pytest.mark.parametrize("row", QUICK, ids=lambda row: row.name)
def test_without_a_step_something_turns_red(row: Row, runner: Runner) -> None:
    """A rule or a promise of the model is broken, or the named test fails."""
    found = runner.one(row)
    assert found.red is not None, "\n".join(found.story)
    assert bool(found.story) is isinstance(row.by, Model)


def test_every_step_and_every_removal_has_its_row() -> None:
    """No step is left out, and nothing is taken out that nobody looks for."""
    assert {row.step for row in ROWS} == set(Step)
    assert {name for row in ROWS if isinstance(row.by, Model) for name in row.removals} >= set(removals.NAMED)
    assert {promise for row in ROWS for promise in row.breaks} == set(Promise)
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert all(bool(row.breaks) is not bool(row.instead) for row in ROWS)


def test_a_table_is_read_back_as_it_was_written() -> None:
    """So the page can be compared without running anything."""
    lengths = {table.cells(row): str(number) for number, row in enumerate(ROWS)}
    assert table.lengths_in(table.page(lengths)) == lengths


def test_what_nothing_notices_is_said_so() -> None:
    """In the table, and as the length in the page."""
    row = ROWS[0]
    assert table.length(Found(None, ("it took too long",))) == table.NOBODY
    assert table.lines([(row, Found(None))])[1].endswith(table.NOBODY)
    assert table.lines([(row, Found("red", ("one", "two"), "2"))])[1].endswith("2")


def test_what_nothing_notices_fails_the_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A test that passes without the step shows what it said, and the last line names the row."""
    blind = Row(Step.GAPS, "gaps_stay_open", Check("test_one_name_leaves_no_trace_in_the_next"), ())
    monkeypatch.setattr(command, "ROWS", (blind,))
    assert command.main([]) == 1
    out = capsys.readouterr().out
    assert "1 passed" in out
    assert json.loads(out.splitlines()[-1]) == {"steps": 1, "caught": 0, "uncaught": [blind.name]}


def test_a_row_that_is_named_runs_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """It is told as JSON, until a promise is broken; a name that is nobody's is wrong use."""
    assert command.main(["watermark_at_the_position, model", "--json"]) == 0
    row, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert (row["letter"], row["promises"], row["red"]) == ("c", [1], "nothing is lost")
    assert last == {"steps": 1, "caught": 1, "uncaught": []}
    assert command.main(["nobody's"]) == command.WRONG_USE


def test_the_page_has_these_rows() -> None:
    """docs/removals.md is written anew whenever a row is."""
    assert command.main(["--check"]) == 0, "python -m tests.prove --write [the row]"


# --- what is red, and proves nothing ------------------------------------------------------------------------------

LOOKS = Check("test_gaps_are_committed_once_the_position_has_passed_them")
STORY = Row(Step.REOPEN, "doubt_is_success", Stories(3), (Promise.LOST,))


def _look_with(name: str, by: Check) -> Found:
    """What comes of a patch that is planted here."""
    PATCHES["planted"] = PLANTED[name]
    return tools.look(Row(Step.GAPS, "planted", by, ()), None, thoroughly=False)


def breaks_by_itself() -> None:
    """Takes nothing out: whoever calls it gets an error."""
    replace(Window, "advance", lambda: None)


def does_not_fit() -> None:
    """What it would replace is not there."""
    replace(Window, "advance_no_more", None)


def takes_it_out() -> None:
    """A removal, to compare with."""
    replace(Window, "advance", lambda self, position: None)


PLANTED = {patch.__name__: patch for patch in (breaks_by_itself, does_not_fit, takes_it_out)}


def test_a_patch_that_breaks_by_itself_catches_nothing(runner: Runner) -> None:
    """Only what the test itself says is not so counts, neither a TypeError nor a patch that fails."""
    found = {name: runner._apart(partial(_look_with, name, LOOKS)) for name in PLANTED}
    broke, _ = found["breaks_by_itself"]
    assert broke is not None
    assert broke.red is None
    assert broke.story[0].startswith(f"{tools.ANOTHER_REASON}: TypeError")
    nothing, said = found["does_not_fit"]
    assert nothing is None
    assert "advance_no_more" in said[-1]
    caught, _ = found["takes_it_out"]
    assert caught is not None
    assert caught.red is not None


@pytest.mark.parametrize(
    "says", ["raise ZeroDivisionError('unrelated')", "assert False", "import pytest; pytest.skip()"]
)
def test_a_test_that_is_not_green_anyway_catches_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str
) -> None:
    """With the step in place it is run, too, and the reason is told."""
    files = rows._files()
    planted = tmp_path / "test_planted.py"
    planted.write_text(f"def test_planted():\n    {says}\n", "utf-8")
    monkeypatch.setattr(rows, "_files", lambda: {**files, "test_planted": [planted]})
    found = Runner().one(Row(Step.GAPS, "gaps_stay_open", Check("test_planted"), ()))
    assert found.red is None
    assert found.story[0].startswith(tools.RED_ANYWAY)


@pytest.mark.parametrize(
    ("wrong", "status", "red"),
    [
        ("lost: payments:0:7 : no record", 0, "lost: payments:0:7 : no record"),
        ("lost: payments:0:7 : no record", 1, None),
        ("duplicated: payments:0:7 : twice", 0, None),
        ("stuck: nothing left to do", 0, None),
    ],
)
def test_a_story_must_break_what_the_row_names(
    monkeypatch: pytest.MonkeyPatch, wrong: str, status: int, red: str | None
) -> None:
    """In the first bad story, which is a good one with the step in place."""

    def simulate(*arguments: str) -> tools._Simulated:
        if "--without" in arguments:
            return tools._Simulated(1, f"seed 2 breaks a promise: {wrong}\nWRONG {wrong}\n")
        assert arguments == ("--seed", "2")
        return tools._Simulated(status, "")

    monkeypatch.setattr(tools, "_simulate", simulate)
    assert tools.look(STORY, None, thoroughly=False).red == red
