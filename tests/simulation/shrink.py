"""From a story that breaks a promise to a short one that does: fewer faults, parts, bursts of events and gateways.

Knows which stories to try. Must not know what is in them: it asks whether a story is as bad as the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.simulation.params import OFF, Params

MOST_TRIES = 150

Bad = Callable[[Params], bool]


class _Tries:
    """Stops to believe in a shorter story after so many tries."""

    def __init__(self, bad: Bad) -> None:
        self._bad = bad
        self._left = MOST_TRIES

    def bad(self, params: Params) -> bool:
        self._left -= 1
        return self._left >= 0 and self._bad(params)


def shrink(params: Params, faults: int, inputs: int, bad: Bad) -> Params:
    """The shortest that is found; `faults` and `inputs` are how many the story has, as far as it came."""
    tries = _Tries(bad)
    params = replace(params, faults=_all(params.faults, faults), inputs=_all(params.inputs, inputs) if inputs else None)
    steps = (_fewer_hosts, _fewer_faults, _without_parts, _fewer_inputs)
    for step in (*steps, _fewer_hosts, _fewer_faults, _fewer_inputs):
        params = step(params, tries)
    return params


def _all(kept: tuple[int, ...] | None, count: int) -> tuple[int, ...]:
    return tuple(range(count)) if kept is None else kept


def _fewer_faults(params: Params, tries: _Tries) -> Params:
    faults = _fewer(params.faults or (), lambda kept: tries.bad(replace(params, faults=kept)))
    return replace(params, faults=faults)


def _fewer_inputs(params: Params, tries: _Tries) -> Params:
    if params.inputs is None:
        return params
    inputs = _fewer(params.inputs, lambda kept: tries.bad(replace(params, inputs=kept)))
    return replace(params, inputs=inputs)


def _fewer(kept: tuple[int, ...], bad: Callable[[tuple[int, ...]], bool]) -> tuple[int, ...]:
    """Halves first, then one after the other."""
    size = len(kept)
    while size:
        for part in _parts(kept, size):
            fewer = tuple(number for number in kept if number not in part)
            if bad(fewer):
                kept = fewer
        size = min(size // 2, len(kept))
    return kept


def _parts(numbers: tuple[int, ...], size: int) -> Iterator[tuple[int, ...]]:
    return (numbers[at : at + size] for at in range(0, len(numbers), size))


def _without_parts(params: Params, tries: _Tries) -> Params:
    for name in OFF:
        fewer = replace(params, off=(*params.off, name))
        if name not in params.off and tries.bad(fewer):
            params = fewer
    return params


def _fewer_hosts(params: Params, tries: _Tries) -> Params:
    while params.shape.hosts > 1 and tries.bad(fewer := replace(params, hosts=params.shape.hosts - 1)):
        params = fewer
    return params
