"""The lane and its driver without one of their steps, each by one function: the named world must then turn red.

Patches for a process of their own (`without` forks one); `FOUND_IN` says in which world each is found. Where a step is
the driver's (opening, fencing, fences, doubt), it is taken out of the model of it: turn.py, happenings.py, kafka.py.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace as changed
from typing import Any

from gateway.core import fates, lane
from gateway.core.batching import Batching, Passed
from gateway.core.cycle import Cycle
from gateway.core.entry import Entry, State
from gateway.core.fates import Fates
from gateway.core.judge import Judge
from gateway.core.lane import Lane
from gateway.core.metadata import CommitMetadata
from gateway.core.order import SubjectOrder
from gateway.core.reasons import Reason
from gateway.core.window import Window
from tests.model import happenings
from tests.model import kafka as brokers
from tests.model.shape import EXPIRES, NEVER
from tests.model.state import Kafka, Transaction
from tests.model.turn import Turn
from tests.promises.patching import Named, replace, replace_everywhere

NAMED = Named()
FOUND_IN: dict[str, str] = {}


def found_in(world: str) -> Any:
    """The world that must turn red."""

    def note(patch: Any) -> Any:
        FOUND_IN[patch.__name__] = world
        return NAMED(patch)

    return note


# --- (a) open ---------------------------------------------------------------------------------------------------


@found_in("zombies")
def read_before_taking_over() -> None:
    """What is committed is read before older owners are fenced."""
    replace(happenings, "OPENING", ("reads", "takes over"))


@found_in("zombies")
def an_id_for_each_process() -> None:
    """No owner is fenced: each has a transactional id of its own."""

    def produce(self: Turn, place: int, command: tuple[Any, ...]) -> None:
        self.kafka = self.kafka._replace(holder=place)
        plain(self, place, command)

    plain = replace(Turn, "produce", produce)


@found_in("doubtful commits")
def no_wait_for_markers() -> None:
    """What is committed is read although the markers of the last transaction are not written."""
    replace(brokers, "may_take_over", lambda kafka: True)
    replace(brokers, "read_committed", lambda kafka: kafka.before or kafka.committed)


# --- (c) one transaction ----------------------------------------------------------------------------------------


@found_in("one event")
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


@found_in("one event")
def no_live_intents() -> None:
    """The commit does not say which intents may have been sent."""
    plain = CommitMetadata.encode
    replace(CommitMetadata, "encode", lambda self, offset: plain(changed(self, intents=()), offset))


@found_in("window and settled set")
def no_settled_set() -> None:
    """The commit does not say what is settled beyond its offset."""
    replace(Window, "settled_beyond", lambda self: [])


@found_in("window and settled set")
def watermark_at_the_position() -> None:
    """The offset that is committed passes records that are not settled."""
    replace(Window, "watermark", property(lambda self: self.position))


@found_in("one event")
def ledger_outside_the_transaction() -> None:
    """Ledger records are written beside the transaction that commits their offset."""

    def begin(kafka: Kafka, ledger: Any, numbers: tuple[int, ...]) -> Kafka:
        written = tuple(sorted([*kafka.ledger, *ledger]))
        return kafka._replace(ledger=written, transaction=Transaction((), numbers))

    replace(brokers, "begin", begin)


# --- (d) fence and final decision, (e) send ----------------------------------------------------------------------


@found_in("scope changes")
def no_fence() -> None:
    """The final decision takes the local view as it is."""
    replace(happenings, "view_behind_fence", lambda acknowledged: 0)


@found_in("scope changes")
def retry_on_the_old_decision() -> None:
    """What was permitted once stays permitted."""

    def judge(self: Judge, entry: Entry, now: int, expires_at: int) -> Any:
        return entry.permit or plain(self, entry, now, expires_at)

    plain = replace(Judge, "judge", judge)


@found_in("scope changes")
def other_body_than_announced() -> None:
    """A body is sent although another one was announced."""
    replace(Judge, "is_as_announced", lambda self, entry, permit: bool(self.make(entry, permit)))


@found_in("one event")
def expires_from_the_sending() -> None:
    """A batch is signed with an expires of its own, however long ago it was announced."""

    def decide_batch(self: Lane, batch: Any, fact: Any, now: int) -> None:
        batch.announcement.expires_at = now + EXPIRES
        plain(self, batch, fact, now)

    plain = replace(Lane, "_decide_batch", decide_batch)


@found_in("newer scores and lost records")
def withhold_without_a_fence() -> None:
    """What looks as if it will not be provided ends at once."""

    def take_passed(self: Batching) -> Passed:
        passed = plain(self)
        return Passed([], passed.asks + passed.checks)

    def look_up_later(self: Lane, entry: Entry, ending: Any, now: int) -> None:
        said = self._judge.judge(entry, now, now + EXPIRES)
        if entry.state is State.CHECKING and isinstance(said, Reason):
            self._end(entry, fates.not_provided(entry, said, now), now)
        else:
            plain_look_up(self, entry, ending, now)

    plain = replace(Batching, "take_passed", take_passed)
    plain_look_up = replace(Lane, "_look_up_later", look_up_later)


# --- (f) unknown outcome ------------------------------------------------------------------------------------------


@found_in("one event")
def withhold_without_asking() -> None:
    """A record that may have been received is withheld at once, without wait and lookup."""
    replace_everywhere(fates.is_sure, lambda ending: True)


@found_in("processing")
def believe_any_lookup() -> None:
    """`not_received` counts whatever moment it speaks of."""

    def looked_up(self: Fates, entry: Entry, result: Any, as_of: int, now: int) -> Any:
        return plain(self, entry, result, NEVER * NEVER, now)

    plain = replace(Fates, "looked_up", looked_up)


@found_in("processing")
def ask_at_once() -> None:
    """Nothing is waited for before a lookup, and its answer counts whatever moment it speaks of."""

    def look_up_later(self: Lane, entry: Entry, ending: Any, now: int) -> None:
        entry.last_expires = 0
        plain(self, entry, ending, now)

    plain = replace(Lane, "_look_up_later", look_up_later)


@found_in("given up")
def give_up_at_once() -> None:
    """What is unknown for too long is parked although GeNiE may yet accept it."""

    def look_up_later(self: Lane, entry: Entry, ending: Any, now: int) -> None:
        if ending is None and self._fates._is_given_up(entry, now):
            self._done(entry, fates._outcome_unknown(entry, now))
        else:
            plain(self, entry, ending, now)

    plain = replace(Lane, "_look_up_later", look_up_later)


@found_in("scope changes")
def another_body_after_an_unknown() -> None:
    """What may have been received goes again with another body."""
    replace(Judge, "may_send", lambda self, entry, permit: bool(self.make(entry, permit)))


# --- (g) doubtful commit ------------------------------------------------------------------------------------------


@found_in("doubtful commits")
def doubt_is_asked_again() -> None:
    """After a doubt the request to commit is sent again, and nothing is opened anew."""

    def doubt(turn: Turn, place: int) -> None:
        turn.tell("it does not hear whether its commit arrived, and asks again")
        turn.kafka = turn.kafka._replace(strays=turn.kafka.strays + 1)

    happenings.ACTS["doubt"] = doubt


@found_in("doubtful commits")
def doubt_is_success() -> None:
    """After a doubt the lane goes on as if the transaction were committed."""

    def doubt(turn: Turn, place: int) -> None:
        turn.tell("it does not hear whether its commit arrived, and goes on")
        turn.set(place, commits=False)
        turn.hear(place, "committed")

    happenings.ACTS["doubt"] = doubt


# --- (h) order ----------------------------------------------------------------------------------------------------


class _AnyOrder(SubjectOrder):
    """A line for each entry."""

    __slots__ = ()

    def join(self, entry: Entry) -> None:
        self._lines[entry.record.offset] = deque([entry])  # type: ignore[index]  # that is the removal
        if entry.state is State.QUEUED:
            self._may_start(entry)

    def leave(self, entry: Entry) -> None:
        del self._lines[entry.record.offset]  # type: ignore[arg-type]  # the same

    def requeue(self, entry: Entry) -> None:
        entry.state = State.QUEUED
        self._may_start(entry)

    def line(self, head: Entry) -> Iterator[Entry]:
        return iter((head,))


@found_in("scope changes")
def any_order() -> None:
    """A subject's entries do not wait for each other."""
    replace(lane, "SubjectOrder", _AnyOrder)


@found_in("newer scores and lost records")
def overtake_the_unknown() -> None:
    """A sent record that can't be decoded any more holds back nothing."""
    replace(SubjectOrder, "bar", lambda self, offset: None)
