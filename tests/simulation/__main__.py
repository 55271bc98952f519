"""`python -m tests.simulation --seeds 100`: so many stories, two at a time; the last line is the result as JSON.

`--seed k` plays one and tells it. What is left out of a story, or of the gateway (`--without`), is said beside it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

HASH_SEED = "0"  # strings must hash the same in each run, for sets of them are iterated


def main(arguments: Sequence[str]) -> int:
    if os.environ.get("PYTHONHASHSEED") != HASH_SEED:
        os.environ["PYTHONHASHSEED"] = HASH_SEED
        os.execv(sys.executable, [sys.executable, "-m", "tests.simulation", *arguments])  # noqa: S606 - ourselves
    from tests.simulation import campaign
    from tests.simulation.params import OFF, Params

    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description="Deterministic simulation.")
    parser.add_argument("--seeds", type=int, default=100, help="how many stories")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--seed", type=int, help="play this one story, and tell it")
    parser.add_argument("--events", type=int, help="so many events in each story, whatever its seed draws")
    parser.add_argument("--hosts", type=int, help="so many gateways")
    parser.add_argument("--faults", type=_numbers, help="only these faults of the story: their numbers, or none")
    parser.add_argument("--inputs", type=_numbers, help="only these bursts, consents, replays and holds")
    parser.add_argument("--off", type=_names, default=(), help=f"parts left out: {','.join(OFF)}")
    parser.add_argument("--without", help="a step taken out of the gateway (tests/promises/removals.py)")
    parser.add_argument("--no-shrink", action="store_true", help="tell a bad story as it is")
    given = parser.parse_args(arguments)
    if unknown := set(given.off) - set(OFF):
        parser.error(f"no such parts: {', '.join(sorted(unknown))}; there are {', '.join(OFF)}")
    if given.without and given.without not in campaign.removable():
        parser.error(f"no such step: {given.without}; there are {', '.join(sorted(campaign.removable()))}")
    one = given.seed if given.seed is not None else given.first
    params = Params(one, given.events, given.hosts, given.faults, given.inputs, given.off, given.without)
    if given.seed is not None:
        return campaign.tell_one(params)
    return campaign.run(params, given.seeds, shorten=not given.no_shrink)


def _numbers(text: str) -> tuple[int, ...]:
    return () if text == "none" else tuple(map(int, text.split(",")))


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(",")))


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
