"""The stages as a table for people.

Knows columns. Must not know how anything is measured.
"""

from __future__ import annotations

from collections.abc import Sequence

from load.stages.stage import Stage

HEAD = f"{'stage':<14}{'µs an event':>12}{'middle half':>16}{'yards':>9}   what"


def table(stages: Sequence[Stage]) -> str:
    """One line a stage; what lies inside another stage is indented."""
    return "\n".join([HEAD, *map(_line, stages)])


def _line(stage: Stage) -> str:
    name = f"  {stage.name}" if stage.within else stage.name
    spread = f"{stage.low_us:.2f}-{stage.high_us:.2f}"
    return f"{name:<14}{stage.us:>12.2f}{spread:>16}{stage.yards:>9.2f}   {stage.sentence}"
