"""Each step that a test on a real Kafka looks after: taken out of the test's process, it is noticed."""

import pytest

from tests.prove.rows import ROWS, Check, Row
from tests.prove.runner import Runner

ROWS_HERE = [row for row in ROWS if isinstance(row.by, Check) and row.by.needs_kafka and not row.by.tests_itself]


@pytest.fixture(scope="module")
def runner(kafka: str) -> Runner:
    """One that looks once whether the tests of a file are green as it is."""
    return Runner(kafka)


@pytest.mark.parametrize("row", ROWS_HERE, ids=lambda row: row.name)
def test_without_a_step_something_turns_red(row: Row, runner: Runner) -> None:
    """The named test fails. (Those of the promises try it themselves.)"""
    found = runner.one(row)
    assert found.red is not None, "\n".join(found.story)
