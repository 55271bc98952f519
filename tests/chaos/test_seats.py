"""Which ends of a gateway are right, because of what was done to it."""

from pathlib import Path

import pytest

from tests.chaos.journal import Journal
from tests.chaos.points import Deed, Point
from tests.chaos.seats import ChaosError, Seat

WRONG_USE = 2


@pytest.mark.integration
async def test_an_end_that_nobody_brought_about_fails_the_run(tmp_path: Path) -> None:
    """A gateway that refuses its settings was not hurt by us."""
    with Journal(tmp_path / "journal.jsonl") as journal:
        seat = Seat("one", {}, tmp_path, journal)
        with pytest.raises(ChaosError, match=f"one ended with status {WRONG_USE}"):
            await seat.run()
    assert seat.kills == 0


def test_an_order_that_was_carried_out_is_counted(tmp_path: Path) -> None:
    """What a process did to itself stands in a file that outlives it; a stop is no kill."""
    with Journal(tmp_path / "journal.jsonl") as journal:
        seat = Seat("one", {}, tmp_path, journal)
        seat.order(Point.FENCED, Deed.KILL)
        assert (tmp_path / "one.order").read_text("ascii") == "fenced kill"
        (tmp_path / "one.done").write_text("11 fenced kill\n12 sending stop\n", "ascii")
        assert seat.done == [(11, "fenced", "kill"), (12, "sending", "stop")]
        assert seat.kills == 1
        seat.countermand()
    assert not (tmp_path / "one.order").exists()
