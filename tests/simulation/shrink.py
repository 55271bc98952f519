"""From a story that breaks a promise to a short one that does: fewer faults, parts, events and gateways.

Knows which stories to try. Must not know what is in them: it asks whether a story is as bad as the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.simulation.params import OFF, Params

MOST_TRIES = 80
FEWEST_EVENTS = 1

Bad = Callable[[Params], bool]


class _Tries:
    """Stops to believe in a shorter story after so many tries."""

    def __init__(self, bad: Bad) -> None:
        self._bad = bad
        self._left = MOST_TRIES

    def bad(self, params: Params) -> bool:
        self._left -= 1
        return self._left >= 0 and self._bad(params)


def shrink(params: Params, faults: int, bad: Bad) -> Params:
    """The shortest that is found; `faults` is how many the story has."""
    tries = _Tries(bad)
    params = _fewer_faults(replace(params, faults=params.faults or tuple(range(faults))), tries)
    for step in (_without_parts, _fewer_events, _fewer_hosts):
        params = step(params, tries)
    return _fewer_faults(params, tries)


def _fewer_faults(params: Params, tries: _Tries) -> Params:
    """Halves first, then one after the other."""
    kept = params.faults or ()
    size = len(kept)
    while size:
        for part in _parts(kept, size):
            fewer = replace(params, faults=tuple(number for number in kept if number not in part))
            if tries.bad(fewer):
                params, kept = fewer, fewer.faults or ()
        size = min(size // 2, len(kept))
    return params


def _parts(numbers: tuple[int, ...], size: int) -> Iterator[tuple[int, ...]]:
    return (numbers[at : at + size] for at in range(0, len(numbers), size))


def _without_parts(params: Params, tries: _Tries) -> Params:
    for name in OFF:
        fewer = replace(params, off=(*params.off, name))
        if name not in params.off and tries.bad(fewer):
            params = fewer
    return params


def _fewer_events(params: Params, tries: _Tries) -> Params:
    events = params.shape.events
    step = events // 2
    while step >= FEWEST_EVENTS and events > FEWEST_EVENTS:
        fewer = replace(params, events=events - step)
        if tries.bad(fewer):
            params, events = fewer, events - step
            step = min(step, events // 2)
        else:
            step //= 2
    return params


def _fewer_hosts(params: Params, tries: _Tries) -> Params:
    while params.shape.hosts > 1 and tries.bad(fewer := replace(params, hosts=params.shape.hosts - 1)):
        params = fewer
    return params
