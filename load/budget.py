"""Where each microsecond of an event goes: the stages side by side, and what is left over.

Knows which stage lies inside which. Must not know how a budget is shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from load.stages.stage import Stage

REST_OF = {  # what of a stage lies in none of its parts
    "intake": ("names", "its names and digests, and the record that a lane takes"),
    "lane": ("lane", "the lane's state machine, what it remembers, the ledger's and intents' mappings"),
    "send": ("http", "HTTP, TLS and its sockets"),
}
LOOP = "loop"


@dataclass(frozen=True, slots=True)
class Part:
    """A share of an event's cost that no other part holds, in CPU µs an event."""

    name: str
    sentence: str
    us: float


def parts(stages: Sequence[Stage], measured_us: float | None) -> list[Part]:
    """All parts, in an event's order; `measured_us`: what a gateway that runs needs for an event, if that is known."""
    found = list(_parts(stages))
    if measured_us is not None:
        rest = max(0.0, measured_us - sum(part.us for part in found))
        found.append(Part(LOOP, "the event loop, the driver, and what is in no stage", rest))
    return found


def _parts(stages: Sequence[Stage]) -> Iterator[Part]:
    for stage in stages:
        if not stage.counts:
            continue
        inside = sum(each.us for each in stages if each.within == stage.name)
        if inside:
            name, sentence = REST_OF[stage.name]
            yield Part(name, sentence, max(0.0, stage.us - inside))
        else:
            yield Part(stage.name, stage.sentence, stage.us)
