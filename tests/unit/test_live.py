"""Live intents: which the next commit must name, and what those of an earlier owner say of a delivered entry."""

from dataclasses import replace
from typing import Any

import pytest

from gateway.core.entry import Announcement, Entry
from gateway.core.facts import Opened
from gateway.core.holds import Holds
from gateway.core.live import ContradictionError, LiveIntents
from gateway.core.metadata import CommitMetadata, IntentRef
from tests.lane_story import record, undecodable

LANE = "lease.payments:0"


def named(offset: int, **changes: Any) -> dict[str, Any]:
    return {
        "offset": offset,
        "idempotency_key": f"key-{offset:06}",
        "body_digest": b"digest",
        "items": ["payment_history"],
        "permitted_purposes": ["inquiry_handling"],
        "consent_record_id": "record-1",
        "consent_version": 1,
        "consented_at": 5,
    } | changes


def intent(announced_at: int, expires_at: int, *entries: dict[str, Any]) -> dict[str, Any]:
    times = {"announced_at": announced_at, "expires_at": expires_at}
    return {"batch_id": f"batch-{announced_at}", "policy_version": 20_000, "entries": entries, **times}


def recovered(*intents: dict[str, Any], settled: tuple[int, ...] = (), offset: int = 0, most: int = 9) -> LiveIntents:
    refs = tuple(IntentRef(0, n) for n in range(len(intents)))
    opened = Opened(offset, CommitMetadata(settled, refs), intents, Holds(), 2)
    return LiveIntents(LANE, opened, most)


def test_an_entry_takes_over_all_that_live_intents_say_of_it() -> None:
    """It may have been received since the first announcement, and until the last one expires."""
    early = intent(100, 130, named(3, body_digest=b"early"))
    live = recovered(early, intent(200, 220, named(3)), intent(150, 230, named(3, body_digest=b"other")))
    entry = Entry(record(3), must_ask=True)
    live.remember(entry)
    assert [held.digest for held in entry.held] == [b"early", b"digest", b"other"]
    assert (entry.last_expires, entry.decided_at) == (230, 200)
    assert (entry.unknown_since, entry.first_failed_at, entry.sends) == (100, 100, 1)
    assert (entry.maybe_received, entry.must_ask) == (True, False)
    assert live.refs() == (IntentRef(0, 0), IntentRef(0, 1), IntentRef(0, 2))
    entry.release()
    assert live.refs() == ()


def test_an_entry_that_nobody_names_is_left_alone() -> None:
    """It was never sent."""
    live = recovered(intent(100, 130, named(3)))
    entry = Entry(record(4), must_ask=True)
    live.remember(entry)
    assert (entry.held, entry.maybe_received, entry.must_ask, entry.sends) == ((), False, True, 0)


def test_an_intent_lives_until_all_that_it_names_is_delivered_and_done() -> None:
    """Before that it waits, and fetching goes on whatever is full."""
    live = recovered(intent(100, 130, named(3), named(4)))
    assert live.awaits_delivery
    entries = [Entry(record(3)), Entry(record(4))]
    for entry in entries:
        live.remember(entry)
    assert not live.awaits_delivery
    entries[0].release()
    assert (len(live), live.refs()) == (1, (IntentRef(0, 0),))
    entries[1].release()
    assert (len(live), live.refs()) == (0, ())


def test_what_is_settled_already_keeps_no_intent_alive() -> None:
    """Neither below the committed offset nor in the settled set."""
    live = recovered(intent(100, 130, named(3)), intent(200, 230, named(6)), settled=(6,), offset=4)
    assert not live.awaits_delivery
    assert live.refs() == ()


def test_the_offset_that_is_committed_is_not_settled_yet() -> None:
    """It is the first that is delivered again."""
    assert recovered(intent(100, 130, named(4)), offset=4).awaits_delivery


def test_a_record_that_cannot_be_decoded_any_more_has_its_key_from_the_intent() -> None:
    """Else nobody could ask GeNiE about it."""
    live, entry = recovered(intent(100, 130, named(3))), Entry(undecodable(3))
    live.remember(entry)
    assert entry.record == replace(undecodable(3), idempotency_key="key-000003")


def test_another_key_for_the_same_offset_is_a_contradiction() -> None:
    """The key file was changed, or the record was."""
    live = recovered(intent(100, 130, named(3)))
    with pytest.raises(ContradictionError) as refused:
        live.remember(Entry(record(3, number=9)))
    assert str(refused.value) == (
        "lane lease.payments:0: a live intent names another idempotency key for offset 3. "
        "Restore the key it was made with, or find out what replaced the record."
    )


def test_a_named_offset_that_was_passed_is_a_contradiction() -> None:
    """Something removed a record that GeNiE may hold."""
    live = recovered(intent(100, 130, named(3), named(8)))
    live.check_delivered(3)
    with pytest.raises(ContradictionError) as refused:
        live.check_delivered(4)
    assert str(refused.value) == (
        "lane lease.payments:0: live intents name offsets below 4 that are gone. "
        "Find out what removed them, and ask GeNiE what it holds; then run "
        "`gateway lanes init --lane lease.payments:0 --from ledger --force --reason ... --ticket ...`."
    )


def test_no_more_are_announced_than_the_metadata_can_name() -> None:
    """Those that nobody holds any more make room."""
    live = recovered(most=2)
    one, two, three = (Announcement(str(n), n, n, IntentRef(0, n), holders=1) for n in range(3))
    live.add(one)
    assert not live.is_full
    live.add(two)
    assert live.is_full
    with pytest.raises(AssertionError, match="more live intents than the metadata can name"):
        live.add(three)
    one.holders = 0
    live.add(three)
    assert (live.is_full, live.refs()) == (True, (IntentRef(0, 1), IntentRef(0, 2)))
