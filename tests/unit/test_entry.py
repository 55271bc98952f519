"""What is remembered of a record: the announcements that it holds, and the consent that it rests on."""

from dataclasses import replace

import pytest

from gateway.core.decide import Scope
from gateway.core.entry import Announcement, Entry, Held
from gateway.core.reasons import Reason
from tests.lane_story import record, undecodable

SCOPE = Scope(("payment_history",), ("inquiry_handling",), 20_500, 1_234)


def held(expires_at: int, digest: bytes = b"digest") -> Held:
    return Held(SCOPE, digest, "consent-1", 2, Announcement("batch", expires_at - 30, expires_at))


def holders(*each: Held) -> list[int]:
    return [one.announcement.holders for one in each]


def test_a_later_announcement_of_the_same_body_stands_for_the_earlier() -> None:
    """One that expires at the same time does, too."""
    entry, one, two, three = Entry(record(0)), held(100), held(100), held(101)
    for each in (one, two, three):
        entry.announce(each)
    assert entry.held == (three,)
    assert holders(one, two, three) == [0, 0, 1]


def test_an_announcement_that_expires_later_is_kept_beside_a_newer_one() -> None:
    """GeNiE may accept it longer."""
    entry, late, newer = Entry(record(0)), held(101), held(100)
    entry.announce(late)
    entry.announce(newer)
    assert entry.held == (late, newer)
    assert holders(late, newer) == [1, 1]


def test_another_body_is_held_beside_the_first() -> None:
    """Either may have been received."""
    entry, one, other = Entry(record(0)), held(100), held(200, b"other")
    entry.announce(one)
    entry.announce(other)
    assert entry.held == (one, other)


def test_what_is_released_holds_no_announcement() -> None:
    """Each loses one holder, for others may hold it too."""
    entry, one, other = Entry(record(0)), held(100), held(200, b"other")
    other.announcement.holders = 4
    entry.announce(one)
    entry.announce(other)
    entry.release()
    assert entry.held == ()
    assert holders(one, other) == [0, 4]


def test_an_entry_without_event_has_none() -> None:
    """To ask for it is our own mistake."""
    assert Entry(record(0)).event == record(0).event
    with pytest.raises(AssertionError):
        _ = Entry(replace(undecodable(0), reason=Reason.NOT_AVRO)).event
