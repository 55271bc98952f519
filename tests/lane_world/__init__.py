"""A small world around one lane, in plain Python and virtual time: an honest Kafka, consents that change at any
moment, a GeNiE that keeps its contract but loses, delays and garbles, owners that crash, freeze and come back.

What it finds that others do not: the model knows a handful of records, and time in ticks. Here dozens of records of
several customers meet windows, byte budgets and live intents that are full, damaged answers and clocks apart, in ms.
The simulation has all that around a whole gateway; the lane alone plays hundreds of seeds in seconds, as a property
test (tests/property/test_lane_properties.py).

`run(seed)` plays one story and raises BrokenPromiseError, with the story, when a promise is broken.
"""

from tests.lane_world.promises import BrokenPromiseError
from tests.lane_world.shape import Shape
from tests.lane_world.world import World, run

__all__ = ["BrokenPromiseError", "Shape", "World", "run"]
