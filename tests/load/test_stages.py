"""The stages that need no broker run on a few events, and say what they cost."""

import gc

import pytest

from load.budget import REST_OF
from load.stages import RECIPES, Size, UnknownStageError, run, table
from load.stages.sizes import sizes

FEW = Size(subjects=50, events=100, rounds=1)
HERE = [recipe.name for recipe in RECIPES if not recipe.on_kafka]


@pytest.fixture(scope="module")
def measured() -> dict[str, float]:
    """All of them, once."""
    return {stage.name: stage.us for stage in run(HERE, FEW)}


@pytest.mark.parametrize("name", HERE)
def test_a_stage_costs_something(measured: dict[str, float], name: str) -> None:
    """It does its work, and what it needed for an event is above nothing."""
    assert measured[name] > 0


def test_a_part_names_a_stage() -> None:
    """What lies within another stage lies within one that there is."""
    names = {recipe.name for recipe in RECIPES}
    assert {recipe.within for recipe in RECIPES} - {None} <= names


def test_what_a_stage_does_besides_its_parts_has_a_name() -> None:
    """No cost of a stage with parts is left without a word for it."""
    assert {recipe.within for recipe in RECIPES} - {None} == set(REST_OF)


def test_the_table_has_a_line_for_each_stage() -> None:
    """And one for its head."""
    stages = run(["decode"], FEW)
    assert len(table(stages).splitlines()) == 2


def test_an_unknown_stage_is_refused() -> None:
    """The error lists those that there are."""
    with pytest.raises(UnknownStageError, match="decode"):
        run(["teleport"], FEW)


def test_the_collector_is_as_before() -> None:
    """What a measurement sets for the whole process, it sets back."""
    before = gc.get_threshold()
    run(["metrics"], FEW)
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)


def test_an_event_weighs_something_at_every_place() -> None:
    """Bytes of input, intent, ledger, request and consent are all there."""
    assert all(value > 0 for value in sizes(50).to_json().values())
