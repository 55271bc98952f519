"""Steps of the lane that core/ takes, each taken out by one function. Nothing here knows who runs the lane: the patches
fit the model, the simulation and a real gateway alike, in a process of their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace as changed
from typing import Any

from gateway.core import facts, fates, lane, outcome
from gateway.core.batching import Batching, Passed
from gateway.core.cycle import Cycle
from gateway.core.entry import Entry, State
from gateway.core.fates import Fates
from gateway.core.judge import Judge
from gateway.core.lane import Lane
from gateway.core.live import LiveIntents
from gateway.core.metadata import CommitMetadata
from gateway.core.minimise import body_digest
from gateway.core.order import SubjectOrder
from gateway.core.policy import Policy
from gateway.core.reasons import Reason
from gateway.core.settling import Settling
from gateway.core.slots import Slots
from gateway.core.window import Window
from tests.promises.patching import Named, replace, replace_everywhere

NAMED = Named()
ALWAYS = 1 << 60  # a moment after everything, and a count above every other


# --- (a) open ---------------------------------------------------------------------------------------------------


@NAMED
def openings_are_not_counted() -> None:
    """The commit does not say how often the lane was opened in vain."""
    plain = CommitMetadata.encode
    replace(CommitMetadata, "encode", lambda self, offset: plain(changed(self, opens=0), offset))


# --- (b) names --------------------------------------------------------------------------------------------------


@NAMED
def a_body_for_each_attempt() -> None:
    """The body says which attempt it is of."""

    def make(self: Judge, entry: Entry, permit: Any) -> Any:
        entry.made = None
        made = plain(self, entry, permit)
        body = made.body[:-1] + b',"attempt":%d}' % entry.sends
        entry.made = changed(made, body=body, digest=body_digest(body))
        return entry.made

    plain = replace(Judge, "make", make)


# --- (c) one transaction ----------------------------------------------------------------------------------------


@NAMED
def send_before_the_intent() -> None:
    """A batch is fenced and sent while its announcement is still being committed."""

    def begin_transaction(self: Lane, now: int) -> None:
        was_open = self._cycle.is_open
        plain(self, now)
        if self._cycle.is_open and not was_open:
            self._rounds.join(batches=self._cycle._batches)

    def end(self: Cycle, now: int) -> Any:
        plain_end(self, now)
        return ()

    plain = replace(Lane, "_begin_transaction", begin_transaction)
    plain_end = replace(Cycle, "end", end)


@NAMED
def no_live_intents() -> None:
    """The commit does not say which intents may have been sent."""
    plain = CommitMetadata.encode
    replace(CommitMetadata, "encode", lambda self, offset: plain(changed(self, intents=()), offset))


@NAMED
def no_settled_set() -> None:
    """The commit does not say what is settled beyond its offset."""
    replace(Window, "settled_beyond", lambda self: [])


@NAMED
def watermark_at_the_position() -> None:
    """The offset that is committed passes records that are not settled."""
    replace(Window, "watermark", property(lambda self: self.position))


@NAMED
def gaps_stay_open() -> None:
    """Offsets that Kafka never delivers are waited for."""
    replace(Window, "advance", lambda self, position: None)


@NAMED
def announced_without_a_slot() -> None:
    """A batch is announced whether or not a request to GeNiE may begin."""

    def form_batches(self: Lane, now: int) -> Any:
        self._slots.held += 1
        return plain(self, now)

    plain = replace(Lane, "_form_batches", form_batches)
    replace(Slots, "balance", lambda self, wanted: None)
    plain_may = replace(Lane, "_may_announce", lambda self, now: plain_may(self, now) and bool(self._order.ready))


@NAMED
def expires_from_the_sending() -> None:
    """A batch is signed with an expires of its own, however long ago it was announced."""

    def decide_batch(self: Lane, batch: Any, fact: Any, now: int) -> None:
        batch.announcement.expires_at = now + self._limits.expires_ms
        plain(self, batch, fact, now)

    plain = replace(Lane, "_decide_batch", decide_batch)


# --- (d) fence and final decision, (e) send ----------------------------------------------------------------------


@NAMED
def decisions_never_get_old() -> None:
    """What a fence has brought counts however long ago it was read."""

    def handle(self: Lane, fact: Any, now: int) -> Any:
        return plain(self, changed(fact, read_at=now) if isinstance(fact, facts.FenceReached) else fact, now)

    plain = replace(Lane, "handle", handle)


@NAMED
def retry_on_the_old_decision() -> None:
    """What was permitted once stays permitted."""

    def judge(self: Judge, entry: Entry, now: int, expires_at: int) -> Any:
        return entry.permit or plain(self, entry, now, expires_at)

    plain = replace(Judge, "judge", judge)


@NAMED
def other_body_than_announced() -> None:
    """A body is sent although another one was announced."""
    replace(Judge, "is_as_announced", lambda self, entry, permit: bool(self.make(entry, permit)))


@NAMED
def withhold_without_a_fence() -> None:
    """What looks as if it will not be provided ends at once."""

    def take_passed(self: Batching) -> Passed:
        passed = plain(self)
        return Passed([], passed.asks + passed.checks)

    def look_up_later(self: Lane, entry: Entry, ending: Any, now: int) -> None:
        said = self._judge.judge(entry, now, now + self._limits.expires_ms)
        if entry.state is State.CHECKING and isinstance(said, Reason):
            self._end(entry, fates.not_provided(entry, said, now), now)
        else:
            plain_look_up(self, entry, ending, now)

    plain = replace(Batching, "take_passed", take_passed)
    plain_look_up = replace(Lane, "_look_up_later", look_up_later)


# --- (f) unknown outcome ------------------------------------------------------------------------------------------


@NAMED
def withhold_without_asking() -> None:
    """A record that may have been received is withheld at once, without wait and lookup."""
    replace_everywhere(fates.is_sure, lambda ending: True)


@NAMED
def believe_any_lookup() -> None:
    """`not_received` counts whatever moment it speaks of."""

    def looked_up(self: Fates, entry: Entry, result: Any, as_of: int, now: int) -> Any:
        return plain(self, entry, result, ALWAYS, now)

    plain = replace(Fates, "looked_up", looked_up)


@NAMED
def ask_at_once() -> None:
    """Nothing is waited for before a lookup, and its answer counts whatever moment it speaks of."""

    def look_up_later(self: Lane, entry: Entry, ending: Any, now: int) -> None:
        entry.last_expires = 0
        plain(self, entry, ending, now)

    plain = replace(Lane, "_look_up_later", look_up_later)


@NAMED
def give_up_at_once() -> None:
    """What is unknown for too long is parked although GeNiE may yet accept it."""

    def look_up_later(self: Lane, entry: Entry, ending: Any, now: int) -> None:
        if ending is None and self._fates._is_given_up(entry, now):
            self._done(entry, fates._outcome_unknown(entry, now))
        else:
            plain(self, entry, ending, now)

    plain = replace(Lane, "_look_up_later", look_up_later)


@NAMED
def another_body_after_an_unknown() -> None:
    """What may have been received goes again with another body."""
    replace(Judge, "may_send", lambda self, entry, permit: bool(self.make(entry, permit)))


@NAMED
def replay_without_asking() -> None:
    """A replay is sent without asking first whether GeNiE has it already."""
    replace(lane, "Entry", lambda record, must_ask: Entry(record))


@NAMED
def believe_anybody() -> None:
    """An answer counts although GeNiE has not signed it."""
    plain = outcome.classify

    def classify(answer: Any, sent: Any) -> Any:
        return plain(changed(answer, verified=True) if isinstance(answer, outcome.Reply) else answer, sent)

    replace_everywhere(plain, classify)


@NAMED
def a_refusal_is_an_acceptance() -> None:
    """What GeNiE rejects, or is to get again, counts as accepted."""
    rows = {
        "rejected": {outcome._Match.NONE: Reason.ACCEPTED},
        "retry": dict.fromkeys(outcome._Match, Reason.ACCEPTED),
    }
    replace(outcome, "_ENTRIES", outcome._ENTRIES | rows)


@NAMED
def a_retry_is_a_rejection() -> None:
    """What GeNiE is to get again is parked at once."""
    row = {"retry": dict.fromkeys(outcome._Match, Reason.REJECTED_BY_GENIE)}
    replace(outcome, "_ENTRIES", outcome._ENTRIES | row)


@NAMED
def no_bisection() -> None:
    """A batch that GeNiE refuses is sent again as it was."""
    plain = outcome.classify

    def classify(answer: Any, sent: Any) -> Any:
        return changed(plain(answer, sent), bisect=False)

    replace_everywhere(plain, classify)


# --- (h) order, (i) holds -----------------------------------------------------------------------------------------


class _AnyOrder(SubjectOrder):
    """A line for each entry."""

    __slots__ = ()

    def join(self, entry: Entry) -> None:
        self._lines[entry.record.offset] = [entry]  # type: ignore[index]  # that is the removal
        if entry.state is State.QUEUED:
            self._may_start(entry)

    def leave(self, entry: Entry) -> None:
        del self._lines[entry.record.offset]  # type: ignore[arg-type]  # the same

    def requeue(self, entry: Entry) -> None:
        entry.state = State.QUEUED
        self._may_start(entry)

    def line(self, head: Entry) -> Iterator[Entry]:
        return iter((head,))


@NAMED
def any_order() -> None:
    """A subject's entries do not wait for each other."""
    replace(lane, "SubjectOrder", _AnyOrder)


@NAMED
def overtake_the_unknown() -> None:
    """A sent record that can't be decoded any more holds back nothing."""
    replace(SubjectOrder, "bar", lambda self, offset: None)


@NAMED
def overtake_at_the_fence() -> None:
    """Of a batch goes what is as announced, though an entry before it of the same subject goes later."""
    plain = Lane._set_aside
    replace(Lane, "_set_aside", lambda self, *about: plain(self, *about) or True)


@NAMED
def a_hold_parks_nothing() -> None:
    """A hold on a subject is not looked at."""
    replace(Judge, "_is_held", lambda self, event, now: False)


@NAMED
def a_hold_pauses_nothing() -> None:
    """A hold on more than a subject is not looked at."""
    replace(Judge, "pauses", lambda self, now: False)


# --- (j) bounds, (k) close ----------------------------------------------------------------------------------------


@NAMED
def no_window() -> None:
    """However far the watermark is behind, more is delivered."""
    replace(Settling, "room", lambda self, any_ready, must_deliver: self._limits.fetch)


@NAMED
def more_live_intents_than_fit() -> None:
    """Announcements are not counted."""
    replace(LiveIntents, "is_full", property(lambda self: False))


@NAMED
def close_at_once() -> None:
    """A lane that is to close waits for nothing that is on its way."""

    def finish_closing(self: Lane, now: int) -> None:
        if self._closing is not None and not self._cycle.is_open:
            self._over = True
            self._commands.append(facts.Closed())

    replace(Lane, "_finish_closing", finish_closing)


# --- only what the policy lists -----------------------------------------------------------------------------------


@NAMED
def unregistered_inputs() -> None:
    """Every input of a score passes."""
    replace(Policy, "registered_inputs", lambda self, record: record["inputs"])
