"""From delivery to settlement: what may be settled of what is finished."""

from gateway.core.entry import Entry
from gateway.core.facts import Opened
from gateway.core.holds import Holds
from gateway.core.metadata import CommitMetadata
from gateway.core.rules import Limits
from gateway.core.settling import Settling
from tests.lane_story import record

WINDOW = 4


def test_what_lies_at_the_end_of_the_window_waits_for_the_watermark() -> None:
    """While the first is not finished nothing from the window's end on is settled, whatever is settled before it."""
    settling = Settling(Limits(window=WINDOW), Opened(0, CommitMetadata(), (), Holds(), 1))
    entries = {offset: Entry(record(offset)) for offset in (0, 1, WINDOW)}
    for entry in entries.values():
        assert settling.deliver(entry.record)
    settling.finish(entries[1])
    settling.finish(entries[WINDOW])
    assert settling.take() == [entries[1]]
    settling.finish(entries[0])
    assert settling.take() == [entries[0], entries[WINDOW]]
