"""The stages that need a broker run on a few events, and say what they cost."""

import asyncio

from load.stages import RECIPES, Size, run

FEW = Size(subjects=50, events=100, rounds=1)


async def test_a_stage_on_kafka_costs_something(kafka: str) -> None:
    """Reading, looking up, proving and committing each need more than nothing."""
    names = [recipe.name for recipe in RECIPES if recipe.on_kafka]
    stages = await asyncio.to_thread(run, names, FEW, kafka)
    assert [stage.name for stage in stages if stage.us > 0] == names
