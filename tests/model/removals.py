"""The lane and its driver without one of their steps, each by one function: the named world must then turn red.

Patches for a process of their own (`without` forks one); `FOUND_IN` says in which world each is found. Where a step is
the driver's (opening, fencing, fences, doubt), it is taken out of the model of it: turn.py, happenings.py, kafka.py;
what core/ does is taken out by tests/promises/core_removals.py.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace as changed
from typing import Any

from gateway.core.batching import Batch
from gateway.core.entry import Entry
from gateway.core.rounds import Rounds
from tests.model import happenings, shape, words
from tests.model import kafka as brokers
from tests.model.state import Kafka, Transaction
from tests.model.turn import Turn
from tests.model.words import Moment, Words
from tests.promises import core_removals
from tests.promises.patching import Named, replace

NAMED = Named()
FOUND_IN: dict[str, str] = {
    "a_body_for_each_attempt": "one event",
    "a_hold_parks_nothing": "holds",
    "a_hold_pauses_nothing": "holds",
    "a_refusal_is_an_acceptance": "batches of two subjects",
    "a_retry_is_a_rejection": "batches of two subjects",
    "another_body_after_an_unknown": "scope changes",
    "any_order": "scope changes",
    "ask_at_once": "one event",
    "believe_any_lookup": "lookups of the past",
    "believe_anybody": "refusals after an unknown attempt",
    "expires_from_the_sending": "one event",
    "give_up_at_once": "given up",
    "no_live_intents": "one event",
    "no_settled_set": "window and settled set",
    "other_body_than_announced": "scope changes",
    "overtake_at_the_fence": "a batch across a change",
    "overtake_the_unknown": "newer scores and lost records",
    "replay_without_asking": "replay",
    "retry_on_the_old_decision": "scope changes",
    "send_before_the_intent": "one event",
    "watermark_at_the_position": "window and settled set",
    "withhold_without_a_fence": "newer scores and lost records",
    "withhold_without_asking": "one event",
}
NAMED.update({name: core_removals.NAMED[name] for name in FOUND_IN})


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


# --- (b) names --------------------------------------------------------------------------------------------------


@found_in("producer's duplicates")
def a_key_for_each_record() -> None:
    """The idempotency key depends on the record's place, and not on the event alone."""

    def made(offset: int, name: str, replays: bool) -> Any:
        record = plain(offset, name, replays)
        return record and changed(record, idempotency_key=f"key-{offset}")

    plain = replace(shape, "_input", made)


# --- (c) one transaction ----------------------------------------------------------------------------------------


@found_in("one event")
def ledger_outside_the_transaction() -> None:
    """Ledger records are written beside the transaction that commits their offset."""

    def begin(kafka: Kafka, ledger: Any, numbers: tuple[int, ...]) -> Kafka:
        written = tuple(sorted([*kafka.ledger, *ledger]))
        return kafka._replace(ledger=written, transaction=Transaction((), numbers))

    replace(brokers, "begin", begin)


# --- (d) fence and final decision ---------------------------------------------------------------------------------


@found_in("scope changes")
def no_fence() -> None:
    """The final decision takes the local view as it is."""
    replace(happenings, "view_behind_fence", lambda acknowledged: 0)


@found_in("closing")
def fence_before_the_announcement() -> None:
    """A batch is decided behind a fence that was under way when its announcement was committed."""

    def join(self: Rounds, batches: Iterable[Batch] = (), checks: Iterable[Entry] = ()) -> None:
        (self._now or self._next).batches.extend(batches)
        self._next.checks.extend(checks)

    def fenced(self: Words, moment: Moment, view: int, age: int, subjects: Collection[str]) -> Any:
        return plain(self, moment, view, age, self._shape.views[view].consents)  # also of whoever joined later

    plain = words._FACTS["fenced"]
    words._FACTS["fenced"] = fenced
    replace(Rounds, "join", join)


# --- (g) doubtful commit ------------------------------------------------------------------------------------------


@found_in("doubtful commits")
def doubt_is_asked_again() -> None:
    """After a doubt the request to commit is sent again, and nothing is opened anew."""

    def doubt(turn: Turn, place: int) -> None:
        turn.tell("it does not hear whether its commit arrived, and asks again")
        turn.kafka = turn.kafka._replace(strays=turn.kafka.strays + 1)

    happenings.ACTS["doubt"] = doubt


@found_in("window and settled set")
def doubt_is_success() -> None:
    """After a doubt the lane goes on as if the transaction were committed."""

    def doubt(turn: Turn, place: int) -> None:
        turn.tell("it does not hear whether its commit arrived, and goes on")
        turn.set(place, commits=False)
        turn.hear(place, "committed")

    happenings.ACTS["doubt"] = doubt
