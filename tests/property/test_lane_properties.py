"""The lane keeps the promises in any small world: crashes, doubts, late acceptances, withdrawals, poison.

See tests/lane_world for the world and for what is checked at each commit, each send and at the end.
"""

from collections import Counter
from functools import cache

import pytest

from tests.lane_world import run

SEEDS = 480
SHARES = 24  # tests/mutants takes one
MUST_HAPPEN = {
    "kills",
    "killed between acceptance and settlement",
    "freezes",
    "closings",
    "opened with live intents",
    "doubtful and lost",
    "doubtful but there",
    "produce failed",
    "fence failed",
    "lookups",
    "processing",
    "stopped",
    "a record cannot be decoded any more",
}


@cache
def played(seed: int) -> Counter[str]:
    """What happened in the world of a seed, in which every promise was kept."""
    return run(seed)


@pytest.mark.parametrize("share", range(SHARES))
def test_every_world_keeps_the_promises(share: int) -> None:
    """Nothing is lost, doubled, unrecorded, out of order or without consent."""
    for seed in range(share, SEEDS, SHARES):
        assert played(seed)


def test_every_trouble_is_met() -> None:
    """What the worlds are to survive has happened in some."""
    happened = sum((played(seed) for seed in range(SEEDS)), Counter[str]())
    assert happened.keys() >= MUST_HAPPEN, MUST_HAPPEN - happened.keys()
