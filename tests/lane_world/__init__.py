"""A small world around one lane, in plain Python and virtual time: an honest Kafka, consents that change at any
moment, a GeNiE that keeps its contract but loses, delays and garbles, owners that crash, freeze and come back.

What it has beside tests/model and tests/simulation: long worlds of the lane alone, with many records, customers and
crashes each, more than the model can exhaust, at real limits and times in ms and not in ticks, and faster than a whole
gateway plays them. tests/property/test_lane_properties.py draws them by seed, and takes seconds.

`run(seed)` plays one story and raises BrokenPromiseError, with the story, when a promise is broken.
"""

from tests.lane_world.promises import BrokenPromiseError
from tests.lane_world.shape import Shape
from tests.lane_world.world import World, run

__all__ = ["BrokenPromiseError", "Shape", "World", "run"]
