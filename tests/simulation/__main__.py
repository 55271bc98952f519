"""`python -m tests.simulation --seeds 100`: so many stories, two at a time; the last line is the result as JSON.

`--seed k` plays one and tells it. What is left out of a story, or of the gateway (`--without`), is said beside it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

MOST_SEEDS, LAST_SEED = 1_000_000, 10**9
LONGEST = 12  # digits that are looked at
HASH_SEED = "0"  # strings must hash the same in each run, for sets of them are iterated


def main(arguments: Sequence[str]) -> int:
    if os.environ.get("PYTHONHASHSEED") != HASH_SEED:
        os.environ["PYTHONHASHSEED"] = HASH_SEED
        os.execv(sys.executable, [sys.executable, "-m", "tests.simulation", *arguments])  # noqa: S606 - ourselves
    from tests.simulation import campaign
    from tests.simulation.params import OFF, Params
    from tests.simulation.shape import MOST_EVENTS, MOST_FAULTS, MOST_HOSTS, draw

    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description="Deterministic simulation.")
    parser.add_argument("--seeds", type=_from(1, MOST_SEEDS), default=100, help="how many stories")
    parser.add_argument("--first", type=_from(0, LAST_SEED), default=1, help="the first seed")
    parser.add_argument("--seed", type=_from(0, LAST_SEED), help="play this one story, and tell it")
    parser.add_argument("--events", type=_from(0, MOST_EVENTS), help="so many events in each story, not as drawn")
    parser.add_argument("--hosts", type=_from(1, MOST_HOSTS), help="so many gateways")
    parser.add_argument("--faults", type=_numbers(MOST_FAULTS - 1), help="only these faults: their numbers, or none")
    parser.add_argument("--inputs", type=_numbers(2 * MOST_EVENTS), help="only these bursts, changes, replays, holds")
    parser.add_argument("--off", type=_names, default=(), help=f"parts left out: {','.join(OFF)}")
    parser.add_argument("--without", help="a step taken out of the gateway (tests/promises/removals.py)")
    parser.add_argument("--no-shrink", action="store_true", help="tell a bad story as it is")
    given = parser.parse_args(arguments)
    if unknown := set(given.off) - set(OFF):
        parser.error(f"no such parts: {', '.join(sorted(unknown))}; there are {', '.join(OFF)}")
    if given.without and given.without not in campaign.removable():
        parser.error(f"no such step: {given.without}; there are {', '.join(sorted(campaign.removable()))}")
    if given.seed is not None and max(given.faults or (), default=-1) >= (there := draw(given.seed).faults):
        parser.error(f"the story of seed {given.seed} has {there} faults, counted from 0")
    one = given.seed if given.seed is not None else given.first
    params = Params(one, given.events, given.hosts, given.faults, given.inputs, given.off, given.without)
    if given.seed is not None:
        return campaign.tell_one(params)
    return campaign.run(params, given.seeds, shorten=not given.no_shrink)


def _from(least: int, most: int) -> Callable[[str], int]:
    """A whole number within these bounds."""

    def number(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and len(text) <= LONGEST and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} to {most}")
        return int(text)

    return number


def _numbers(last: int) -> Callable[[str], tuple[int, ...]]:
    number = _from(0, last)
    return lambda text: () if text == "none" else tuple(map(number, text.split(",")))


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(",")))


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
