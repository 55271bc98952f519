"""Mistakes of our own code end the lane at once and say what was wrong, before anything false is sent or recorded."""

from collections.abc import Callable

import pytest

from gateway.core.batching import Batch
from gateway.core.entry import Announcement, Entry, State
from gateway.core.facts import Opened, Produced
from gateway.core.fates import Fates
from gateway.core.holds import Holds
from gateway.core.live import LiveIntents
from gateway.core.metadata import CommitMetadata, IntentRef
from gateway.core.outcome import BatchOutcome, EntryOutcome, Meaning
from gateway.core.rounds import Rounds
from gateway.core.rules import Limits
from gateway.core.settling import ledger_records
from gateway.core.slots import Slots
from gateway.core.waiting import Lookups, Waiting
from tests.lane_story import Story, record
from tests.lane_world.world import ORIGIN
from tests.unit.test_entry import held


def without_a_ref() -> None:
    live = LiveIntents("lane", Opened(0, CommitMetadata(), (), Holds(), 1), 9)
    live.add(Announcement("batch", 0, 1, holders=1))
    live.refs()


def beyond_the_bound() -> None:
    LiveIntents("lane", Opened(0, CommitMetadata(), (), Holds(), 1), 0).add(Announcement("batch", 0, 1))


def final_without_reason() -> None:
    entry = Entry(record(0), held=(held(100),))
    outcome = BatchOutcome((EntryOutcome(Meaning.FINAL),))
    Fates(Limits()).answered(entry, outcome.entries[0], Batch(Announcement("b", 0, 1), [entry]), outcome, 0)


@pytest.mark.parametrize(
    ("mistake", "text"),
    [
        (lambda: Batch(Announcement("b", 0, 1), [Entry(record(0))]).outgoing(), "an entry is sent with its body"),
        (final_without_reason, "a final outcome has a reason"),
        (beyond_the_bound, "more live intents than the metadata can name"),
        (without_a_ref, "a live intent was produced"),
        (lambda: Rounds(0).take(), "no fence was asked for"),
        (lambda: ledger_records(ORIGIN, [Entry(record(0))], 0), "a finished entry has its ending"),
    ],
)
def test_a_mistake_is_named(mistake: Callable[[], object], text: str) -> None:
    """By what should have been so."""
    with pytest.raises(AssertionError) as made:
        mistake()
    assert str(made.value) == text


def test_each_intent_has_its_place_in_the_topic() -> None:
    """Neither a commit nor an opening goes on with fewer places than intents."""
    story = Story()
    story.deliver(record(0))
    story.grant()
    with pytest.raises(ValueError, match="zip"):
        story.tell(Produced([]))
    with pytest.raises(ValueError, match="zip"):
        LiveIntents("lane", Opened(0, CommitMetadata(intents=(IntentRef(0, 0),)), (), Holds(), 2), 9)


def test_an_entry_says_where_it_is() -> None:
    """While it waits, and while it is asked about."""
    entry, waiting, lookups = Entry(record(0)), Waiting(), Lookups()
    waiting.add(entry, State.RETRYING, 5)
    assert entry.state is State.RETRYING
    lookups.add(entry)
    assert entry.state is State.LOOKING_UP


def test_slots_that_come_in_two_parts_are_all_held() -> None:
    """What is missing is asked for once."""
    slots = Slots()
    wanted = slots.balance(3)
    assert wanted is not None
    assert (wanted.count, slots.balance(3)) == (3, None)
    slots.grant(1)
    missing = slots.balance(3)
    assert missing is not None
    assert missing.count == 2
    slots.grant(2)
    assert (slots.held, slots.balance(3)) == (3, None)
    slots.use()
    freed = slots.balance(0)
    assert freed is not None
    assert (freed.count, slots.held) == (2, 0)
