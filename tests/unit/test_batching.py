"""What rides together: bounds of a batch, one key once, one policy version, nobody before their turn."""

from dataclasses import replace

from gateway.core import facts
from gateway.core.outcome import LookupStatus
from gateway.core.policy import Clause
from tests.core_cases import POLICY, day, ms
from tests.lane_story import LOST, OPTED_OUT, Story, record, replay, signed, state

EARLIER = day("2026-02-05")
# Of two versions both are proven to contain the clause.
TWO_PROVEN = replace(
    POLICY, versions={**POLICY.versions, EARLIER: replace(POLICY.versions[EARLIER], clause=Clause.YES)}
)


def keys(send: facts.Send) -> list[int]:
    return [int(entry.idempotency_key.removeprefix("key-")) for entry in send.entries]


def sends(story: Story) -> list[list[int]]:
    """What goes now, batch by batch."""
    story.announce()
    story.decide()
    return [keys(send) for send in story.all(facts.Send)]


def sent(story: Story) -> facts.Send:
    """The one batch that goes, taken."""
    assert len(sends(story)) == 1
    return story.take(facts.Send)


def test_a_batch_is_filled_to_its_bound_and_not_beyond() -> None:
    """Heads in the order of the partition, each with what rides behind it."""
    story = Story(batch=3)
    story.deliver(record(0, 1), record(1, 2), record(2, 1), record(3, 3), record(4, 2))
    assert keys(sent(story)) == [0, 2, 1]
    assert keys(sent(story)) == [3]


def test_what_does_not_fit_behind_its_head_goes_with_the_next_batch() -> None:
    """A line is cut where the batch is full, and its rest waits until that batch is done."""
    story = Story(batch=2)
    story.deliver(record(0), record(1), record(2))
    first = sent(story)
    assert keys(first) == [0, 1]
    story.wait(1_000)
    assert not story.all(facts.WantSlots)
    story.answer(first)
    assert keys(story.send()) == [2]


def test_an_intent_cites_one_policy_version() -> None:
    """What was consented to under another goes in a batch of its own, also behind one of its subject."""
    story = Story(policy=TWO_PROVEN)
    older = state(2, policy_version=EARLIER, consented_at=ms("2026-02-10"))
    story.deliver(record(0, 1), record(1, 2), record(2, 3), s2=older)
    produce = story.announce()
    assert [intent["policy_version"] for intent in produce.intents] == [day("2026-02-25")]
    story.decide(s2=older)
    assert keys(story.take(facts.Send)) == [0]
    produce = story.announce()
    assert [intent["policy_version"] for intent in produce.intents] == [EARLIER]


def test_two_records_with_one_key_go_one_after_the_other() -> None:
    """In one batch GeNiE could not tell which of them it answers; those behind the second wait with it."""
    story = Story()
    story.deliver(record(0, 1), record(1, 2, number=0), record(2, 2))
    assert sends(story) == [[0]]


def test_one_that_must_wait_holds_only_those_behind_it() -> None:
    """The first of a line is checked; the second would overtake it; other subjects go."""
    story = Story()
    story.deliver(record(0, 1), record(1, 1), record(2, 2), s1=None)
    story.announce()
    assert story.all(facts.StartFence)[0].subjects == {"subject-1a"}
    story.decide()  # consent came meanwhile
    story.decide()
    assert keys(story.take(facts.Send)) == [2]
    assert keys(sent(story)) == [0, 1]


def test_what_is_withheld_behind_what_is_sent_rides_to_the_fence_beside_it() -> None:
    """Its own check ends it, whatever becomes of the batch."""
    story = Story()
    other = replace(record(1), event=replace(record(1).event, creditor_is_us=False))
    story.deliver(record(0), other)
    story.announce()
    assert story.all(facts.StartFence)[0].subjects == {"subject-1a"}
    story.decide()
    story.decide()
    assert keys(story.take(facts.Send)) == [0]
    assert story.settle() == {1: ("creditor_not_us", "no")}


def test_a_replay_in_second_place_asks_only_when_it_is_first() -> None:
    """The one before it may be of the same event."""
    story = Story(mixed=True)
    story.deliver(record(0, 1), replay(1, 3, 1))
    first = sent(story)
    assert keys(first) == [0]
    story.wait(story.limits.skew_ms)
    assert not story.all(facts.LookUp)
    story.answer(first)
    story.grant()
    story.wait(story.limits.skew_ms)
    assert story.take(facts.LookUp).keys == ("key-000003",)


def test_a_batch_that_failed_goes_again_in_halves_also_beside_others() -> None:
    """No new record makes a batch larger than the smallest that one of its entries may ride in."""
    story = Story(batch=8)
    story.deliver(*(record(n, n) for n in range(4)))
    story.answer(story.send(), signed(422))
    story.deliver(*(record(n, n) for n in range(4, 8)))
    story.wait(100)
    assert sends(story) == [[0, 1]]
    story.answer(story.take(facts.Send))
    assert sends(story) == [[2, 3]]
    story.answer(story.take(facts.Send))
    assert sends(story) == [[4, 5, 6, 7]]


def test_a_small_batch_does_not_grow_by_whoever_joins_it_later() -> None:
    """One that may ride alone waits for a batch of its own, and takes nobody with it."""
    story = Story(batch=8)
    story.deliver(record(0, 1), record(1, 2))
    story.answer(story.send(), signed(422))
    story.deliver(record(2, 3))
    story.wait(100)
    assert sends(story) == [[0]]


def test_another_body_than_the_one_that_may_be_there_is_checked_before_anything_is_asked() -> None:
    """The consent may change back until the fence."""
    story = Story()
    before = story.sent(record(0))
    story.answer(before, LOST)
    story.wait(100)
    story.deliver(record(1, 2))
    story.announce()
    story.decide(s1=OPTED_OUT)
    assert keys(story.take(facts.Send)) == [1]
    story.until_lookup()
    story.look_up(LookupStatus.NOT_RECEIVED)
    assert keys(story.send(s1=OPTED_OUT)) == [0]


def test_batches_bear_names_that_no_other_machine_gives() -> None:
    """Lane, epoch, time of opening, number."""
    story = Story(batch=1)
    opened_at = story.now
    story.deliver(record(0, 1), record(1, 2))
    produce = story.announce()
    assert [intent["batch_id"] for intent in produce.intents] == [
        f"lease.payments:0/1/{opened_at}/1",
        f"lease.payments:0/1/{opened_at}/2",
    ]
