"""Each step that a model or a test without Kafka looks after: taken out, it is noticed. A test of the tests."""

import json

import pytest

from tests.model import removals
from tests.prove import __main__ as command
from tests.prove import table
from tests.prove.rows import ROWS, Check, Model, Row
from tests.prove.runner import Runner
from tests.prove.steps import Promise, Step
from tests.prove.tools import Found

QUICK = [row for row in ROWS if isinstance(row.by, Model) or (isinstance(row.by, Check) and not row.by.needs_kafka)]


@pytest.mark.parametrize("row", QUICK, ids=lambda row: row.name)
def test_without_a_step_something_turns_red(row: Row) -> None:
    """A rule or a promise of the model is broken, or the named test fails."""
    found = Runner().one(row)
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
