"""The lane keeps the promises in any small world: crashes, doubts, late acceptances, withdrawals, poison.

See tests/lane_world for the world and for what is checked at each commit, each send and at the end.
"""

from collections import Counter

import pytest

from tests.lane_world import run

SEEDS = 480
SHARES = 6  # so that several workers may take some
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


@pytest.mark.parametrize("share", range(SHARES))
def test_every_world_keeps_the_promises(share: int) -> None:
    """Nothing is lost, doubled, unrecorded, out of order or without consent, and every trouble is met."""
    happened: Counter[str] = Counter()
    for seed in range(share, SEEDS, SHARES):
        happened.update(run(seed))
    assert happened.keys() >= MUST_HAPPEN, MUST_HAPPEN - happened.keys()
