"""Each step that a model or a test without Kafka looks after: taken out, it is noticed. A test of the tests."""

import pytest

from tests.model import removals
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


def test_a_test_that_passes_without_the_step_notices_nothing() -> None:
    """And its log is shown."""
    blind = Row(Step.GAPS, "gaps_stay_open", Check("test_one_name_leaves_no_trace_in_the_next"), ())
    found = Runner().one(blind)
    assert found.red is None
    assert any("1 passed" in line for line in found.story)
