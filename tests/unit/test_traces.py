"""Where a lane goes on by what ledger and intents say of it alone."""

import random
from collections.abc import Iterable
from typing import Any

import pytest

from gateway.core.coverage import COUNTERS
from gateway.core.metadata import MAX_LIVE_INTENTS, MAX_WINDOW, CommitMetadata, IntentRef
from gateway.core.traces import CLOCKS_DIFFER_MS, KEPT, Log, Resumed, Traces, UnsafeStartError

END = 10 * KEPT
APPENDED = 1_700_000_000_000
EARLIER = APPENDED - 1_000_000_000  # when an earlier log of the topic was written
JUST_BEFORE = APPENDED - CLOCKS_DIFFER_MS // 2


def intent(*offsets: int, at: int = APPENDED, digest: bytes = b"d") -> dict[str, Any]:
    entries = [{"offset": offset, "body_digest": digest} for offset in offsets]
    return {"announced_at": at, "expires_at": at + 30, "entries": entries}


def traces(settled: Iterable[int] = (), *intents: dict[str, Any]) -> Traces:
    made = Traces(Log(0, END, APPENDED))
    for offset in settled:
        made.settle(offset, APPENDED)
    for number, each in enumerate(intents):
        made.announce(each, IntentRef(0, number))
    return made


def resumed(made: Traces, start: int = 0, end: int = END, *, force: bool = False) -> tuple[int, CommitMetadata]:
    found = made.resume(start, end, force=force)
    return found.offset, found.metadata


def test_the_first_offset_without_a_ledger_record_is_the_watermark() -> None:
    """In whatever order the ledger's partitions are read."""
    settled = [0, 1, 2, 4, 5, 9]
    random.Random(1).shuffle(settled)
    assert resumed(traces(settled)) == (3, CommitMetadata(settled=(4, 5, 9)))
    assert resumed(traces(range(7))) == (7, CommitMetadata())


def test_what_was_announced_and_is_not_settled_is_live() -> None:
    """An intent all of whose records are settled is not; one that has one unsettled record is."""
    made = traces([0, 2], intent(0), intent(1, 2), intent(2))
    assert resumed(made) == (1, CommitMetadata(settled=(2,), intents=(IntentRef(0, 1),)))


def test_a_lane_that_never_settled_anything_has_its_intents() -> None:
    """What it sent first may have been received."""
    assert resumed(traces([], intent(0, 4))) == (0, CommitMetadata(intents=(IntentRef(0, 0),)))


def test_the_intent_that_expires_last_stands_for_all_of_the_same_body() -> None:
    """Attempts of an hour of outage need one name; another body needs its own."""
    made = traces(
        [], *(intent(0, at=APPENDED + at) for at in range(1_000)), intent(0, at=APPENDED + 5, digest=b"other")
    )
    assert resumed(made) == (0, CommitMetadata(intents=(IntentRef(0, 1_000), IntentRef(0, 999))))


def test_memory_stays_bounded_however_long_the_ledger_is() -> None:
    """Below the window all is settled, so nothing of it is kept, and what is found always fits the metadata."""
    made = traces(offset for offset in range(3 * KEPT) if offset % 2 or offset < 2 * KEPT)
    assert len(made._settled) <= KEPT
    offset, metadata = resumed(made)
    assert offset == 3 * KEPT - MAX_WINDOW
    assert len(metadata.settled) == MAX_WINDOW // 2
    assert CommitMetadata.decode(metadata.encode(offset), offset) == metadata


def test_announcements_count_for_the_window_too() -> None:
    """Nothing is announced a window or more beyond the watermark, so one announced offset bounds it from below."""
    offset, metadata = resumed(traces([0], intent(KEPT)))
    assert offset == KEPT - MAX_WINDOW + 1
    assert metadata.intents == (IntentRef(0, 0),)


def test_more_live_intents_than_can_be_named_are_refused() -> None:
    """To forget one would leave a provision unrecorded."""
    made = traces([], *(intent(number) for number in range(MAX_LIVE_INTENTS + 1)))
    with pytest.raises(UnsafeStartError, match=f"{MAX_LIVE_INTENTS + 1} announced batches"):
        resumed(made, force=True)


def test_a_ledger_of_another_log_is_refused() -> None:
    """A topic that was made anew has other records at the same offsets."""
    with pytest.raises(UnsafeStartError, match="made anew"):
        resumed(traces(range(8)), end=7, force=True)
    assert resumed(traces(range(8)), end=8) == (8, CommitMetadata())


def test_records_that_left_the_log_unsettled_are_refused_unless_forced() -> None:
    """Lost records, and those of them that GeNiE may hold, are for a person to judge."""
    made = traces([0, 1, 4, 9], intent(3))
    with pytest.raises(UnsafeStartError, match=r"3 offsets below 6, .* 1 of them were announced"):
        resumed(made, start=6)
    assert made.resume(6, END, force=True) == Resumed(6, CommitMetadata(settled=(9,)), gone=3, gone_announced=1)
    with pytest.raises(UnsafeStartError, match="10 offsets below 20"):
        resumed(traces(range(10)), start=20)
    assert resumed(traces(range(10)), start=10) == (10, CommitMetadata())


def test_without_any_trace_nothing_is_guessed() -> None:
    """A lane that never began may have been meant to start anywhere."""
    with pytest.raises(UnsafeStartError, match="neither ledger nor intents"):
        resumed(traces(), force=True)


def test_a_record_that_hangs_in_a_topic_made_anew_is_not_taken_for_settled() -> None:
    """Its offset was settled in the earlier log: to believe that would lose it, and its live intent."""
    made = Traces(Log(0, 6_000, APPENDED))
    for offset in range(5_000):
        made.settle(offset, EARLIER + offset)
    for offset in range(6_000):
        if offset != 4_500:
            made.settle(offset, APPENDED + offset)
    made.announce(intent(4_500, at=APPENDED + 4_500), IntentRef(0, 7))
    found = made.resume(0, 6_000, force=False)
    assert (found.offset, found.ignored) == (4_500, 5_000)
    assert found.metadata == CommitMetadata(tuple(range(4_501, 6_000)), (IntentRef(0, 7),))


def test_an_intent_of_an_earlier_log_is_not_live() -> None:
    """No lane could open with it: the record at its offset has another key."""
    made = traces([0, 1, 3], intent(2, at=EARLIER))
    assert resumed(made) == (2, CommitMetadata(settled=(3,)))


def test_an_earlier_log_that_was_longer_moves_nothing() -> None:
    """The window is counted from the newest trace of the log that is there now."""
    made = Traces(Log(0, 3, APPENDED))
    for offset in range(3 * KEPT):
        made.settle(offset, EARLIER)
    with pytest.raises(UnsafeStartError, match="made anew"):
        made.resume(0, 3, force=True)
    made.settle(0, APPENDED)
    assert made.resume(0, 3, force=False) == Resumed(1, CommitMetadata(), ignored=3 * KEPT)


def test_what_has_left_the_log_was_appended_before_its_first_record() -> None:
    """That is no other log: retention took the records, and the ledger has them."""
    made = Traces(Log(5, END, APPENDED))
    for offset in range(5):
        made.settle(offset, EARLIER)
    made.settle(6, APPENDED)
    assert made.resume(5, END, force=False) == Resumed(5, CommitMetadata(settled=(6,)))


def test_a_ledger_record_from_just_before_the_log_is_refused() -> None:
    """It is of an earlier log, or of another broker's clock: nobody knows, so no force helps."""
    made = traces(range(3))
    made.settle(1, JUST_BEFORE)
    with pytest.raises(UnsafeStartError, match="1 ledger records are about records appended up to 10 s before"):
        resumed(made, force=True)


def test_an_intent_from_just_before_the_log_is_named_unless_there_was_an_earlier_log() -> None:
    """A gateway's clock may be behind the brokers'; to forget a true one leaves a provision unrecorded."""
    made = traces([0], intent(1, at=JUST_BEFORE))
    assert resumed(made) == (1, CommitMetadata(intents=(IntentRef(0, 0),)))
    made.settle(0, EARLIER)
    with pytest.raises(UnsafeStartError, match="the topic was made anew within 10 s"):
        resumed(made, force=True)


@pytest.mark.parametrize("end", [600_000, 6_000_000, 600_000_000])
def test_what_a_mistaken_start_jumped_over_is_counted(end: int) -> None:
    """It may never have been taken; nothing of it is kept but its number, right but for what one counter stands for."""
    made = Traces(Log(0, end, APPENDED))
    for offset in (*range(1_000), *range(500_000, 516_000, 2)):
        made.settle(offset, APPENDED)
        made.settle(offset, APPENDED)
    found = made.resume(0, end, force=True)
    assert found.offset == 515_999 - MAX_WINDOW
    assert found.unrecorded == pytest.approx(found.offset - 1_000, abs=2 * (end // COUNTERS + 1))


def test_nothing_is_counted_where_all_is_settled() -> None:
    """In any order, and also where the log is longer than there are counters."""
    settled = list(range(3 * KEPT))
    random.Random(1).shuffle(settled)
    assert traces(settled).resume(0, END, force=False) == Resumed(3 * KEPT, CommitMetadata())


def test_a_lane_that_may_have_begun_later_is_started_before_that_only_by_force() -> None:
    """What it left out would be provided after later records of the same subjects."""
    made = traces(range(5_000, 5_101))
    with pytest.raises(UnsafeStartError, match="nothing is recorded of the offsets 0 to 4999"):
        resumed(made)
    offset, metadata = resumed(made, force=True)
    assert (offset, len(metadata.settled)) == (0, 101)


def test_the_only_record_of_a_log_may_be_settled() -> None:
    """The lane goes on behind it, and nothing seems to be missing."""
    made = Traces(Log(0, 1, APPENDED))
    made.settle(0, APPENDED)
    assert made.resume(0, 1, force=False) == Resumed(1, CommitMetadata())
