"""Facts and commands as plain tuples, and back: what the world says and hears of a lane, without its names and times.

Announcements are small numbers, bodies are numbers, times are ticks before now.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import orjson

from gateway.core import facts
from gateway.core.entry import InputRecord
from gateway.core.metadata import CommitMetadata, IntentRef
from gateway.core.minimise import body_digest
from gateway.core.outcome import First, LookupReply, LookupResult, LookupStatus, Loss, Lost, Receipt, Reply, Result
from gateway.core.reasons import Reason
from tests.lane_world.inputs import digest
from tests.model.shape import EXPIRES, TICK, Shape
from tests.model.state import Answer, Commit, Entry, Fact, Intent, Said
from tests.model.state import First as Had

INTENTS_PARTITION = 3
Command = tuple[Any, ...]


class Moment(NamedTuple):
    """A lane's own time and names."""

    now: int
    names: Mapping[str, int]  # the numbers of its batches
    lookups: tuple[int, ...]  # on their way, oldest first


class Words:
    """The tongue of one world."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._numbers: dict[bytes, int] = {}
        self._bodies: list[bytes] = []  # digests by number
        self._rests: list[dict[str, Any]] = []  # what intents say beside times and names
        self.purposes: dict[int, tuple[str, ...]] = {}  # what a body that was sent permits

    def number_of(self, told: bytes) -> int:
        """A small number for a body's digest."""
        number = self._numbers.setdefault(told, len(self._numbers))
        if number == len(self._bodies):
            self._bodies.append(told)
        return number

    # --- what a lane is told ------------------------------------------------------------------------------

    def opened(self, commit: Commit, view: int, now: int) -> tuple[facts.Opened, Moment]:
        """What a lane starts from."""
        names = {f"old/{number}": number for number in range(len(commit.live))}
        refs = tuple(IntentRef(INTENTS_PARTITION, number) for number in names.values())
        intents = [self._intent(intent, name, now) for name, intent in zip(names, commit.live, strict=True)]
        metadata = CommitMetadata(commit.settled, refs, 0)
        return facts.Opened(commit.offset, metadata, intents, self._shape.views[view].holds, 1), Moment(now, names, ())

    def fact(self, fact: Fact, moment: Moment) -> facts.Fact:
        """As the lane is told it."""
        kind, *about = fact
        return _FACTS[kind](self, moment, *about)

    def _fetched(self, moment: Moment, offsets: tuple[int, ...], position: int, view: int, broken: int) -> facts.Fact:
        inputs = [self._shape.inputs[offset] for offset in offsets]
        records = [record for record in inputs if record is not None]
        records = [_unreadable(record) if record.offset == broken else record for record in records]
        consents = self._shape.views[view].consents
        subjects = {record.event.subject_ref for record in records if record.event is not None}
        return facts.Fetched(records, position, {subject: consents[subject] for subject in subjects})

    def _slots(self, moment: Moment, count: int) -> facts.Fact:
        return facts.SlotsGranted(count)

    def _produced(self, moment: Moment, numbers: tuple[int, ...]) -> facts.Fact:
        return facts.Produced([IntentRef(INTENTS_PARTITION, number) for number in numbers])

    def _committed(self, moment: Moment) -> facts.Fact:
        return facts.Committed()

    def _doubtful(self, moment: Moment) -> facts.Fact:
        return facts.CommitDoubtful()

    def _fenced(self, moment: Moment, view: int, age: int, subjects: frozenset[str]) -> facts.Fact:
        seen = self._shape.views[view]
        consents = {subject: seen.consents[subject] for subject in subjects}
        return facts.FenceReached(moment.now - age * TICK, consents, seen.holds)

    def _not_fenced(self, moment: Moment) -> facts.Fact:
        return facts.FenceFailed()

    def _answered(self, moment: Moment, number: int, answer: Answer) -> facts.Fact:
        batch_id = next(name for name, n in moment.names.items() if n == number)
        if answer.status == 0:
            return facts.Answered(batch_id, Lost(Loss.TIMEOUT))
        results = None
        if answer.results is not None:
            results = tuple(
                Result(key, status, self._first(first, moment.now), f"receipt-{key}", problem)
                for key, status, first, problem in answer.results
            )
        reply = Reply(
            answer.status, answer.verified, "application/json", None, results, answer.problem, b"d" * 32, "genie-1"
        )
        return facts.Answered(batch_id, reply)

    def _told(self, moment: Moment, place: int, reply: tuple[Any, ...] | None) -> facts.Fact:
        lookup_id = moment.lookups[place]
        if reply is None:
            return facts.LookedUp(lookup_id, None)
        ago, results = reply
        said = []
        for key, status, had in results:
            first = self._first(had, moment.now)
            receipt = first and Receipt(f"receipt-{key}", first.received_at, b"d" * 32, "genie-1")
            said.append(LookupResult(key, LookupStatus(status), first, receipt))
        as_of = 0 if ago is None else moment.now - ago * TICK
        return facts.LookedUp(lookup_id, LookupReply(as_of, tuple(said)))

    def _ticked(self, moment: Moment) -> facts.Fact:
        return facts.Tick(moment.now)

    def _closing(self, moment: Moment) -> facts.Fact:
        return facts.Closing(moment.now + TICK)

    def _first(self, had: Had | None, now: int) -> First | None:
        return had and First(had.origin, digest("event", had.source), self._bodies[had.digest], now)

    def _intent(self, intent: Intent, batch_id: str, now: int) -> dict[str, Any]:
        """As it is read from the intents topic."""
        announced_at = now - intent.age * TICK
        times = {"announced_at": announced_at, "expires_at": announced_at + EXPIRES}
        return {"batch_id": batch_id, **times, **self._rests[intent.rest]}

    # --- what a lane asks for -----------------------------------------------------------------------------

    def command(self, command: facts.Command, moment: Moment) -> Command:
        """As the world hears it."""
        return _COMMANDS[type(command)](self, moment, command)

    def _produce(self, moment: Moment, command: facts.Produce) -> Command:
        ledger = tuple(self._said(record) for record in command.ledger)
        intents = tuple((moment.names[intent["batch_id"]], self._announced(intent)) for intent in command.intents)
        parked = tuple((each.key, each.record is None) for each in command.parked)
        return ("produce", ledger, intents, parked)

    def _commit(self, moment: Moment, command: facts.Commit) -> Command:
        said = CommitMetadata.decode(command.metadata, command.offset)
        return ("commit", command.offset, said.settled, tuple(ref.offset for ref in said.intents))

    def _send(self, moment: Moment, command: facts.Send) -> Command:
        sent = tuple((entry.idempotency_key, self._sent(entry.body)) for entry in command.entries)
        age = (moment.now + EXPIRES - command.expires_at) // TICK
        return ("send", moment.names[command.batch_id], sent, age)

    def _said(self, record: Mapping[str, Any]) -> Said:
        told, replay = record["body_digest"], record["replay_of"]
        return Said(
            record["input"]["offset"],
            record["idempotency_key"],
            record["outcome"],
            record["reason"],
            record["transmitted"],
            None if told is None else self.number_of(told),
            replay and f"{replay['topic']}:{replay['partition']}:{replay['offset']}",
        )

    def _announced(self, intent: Mapping[str, Any]) -> Intent:
        entries = tuple(
            Entry(each["offset"], each["idempotency_key"], self.number_of(each["body_digest"]))
            for each in intent["entries"]
        )
        rest = {name: intent[name] for name in ("policy_version", "entries")}
        if rest not in self._rests:
            self._rests.append(rest)
        return Intent(0, entries, self._rests.index(rest))

    def _sent(self, body: bytes) -> int:
        number = self.number_of(body_digest(body))
        self.purposes[number] = tuple(orjson.loads(body)["permitted_purposes"])
        return number


_FACTS: dict[str, Callable[..., facts.Fact]] = {
    "fetched": Words._fetched,
    "slots": Words._slots,
    "produced": Words._produced,
    "committed": Words._committed,
    "doubtful": Words._doubtful,
    "fenced": Words._fenced,
    "not fenced": Words._not_fenced,
    "answered": Words._answered,
    "told": Words._told,
    "tick": Words._ticked,
    "closing": Words._closing,
}
_COMMANDS: dict[type[Any], Callable[[Words, Moment, Any], Command]] = {
    facts.Produce: Words._produce,
    facts.Commit: Words._commit,
    facts.Send: Words._send,
    facts.StartFence: lambda self, moment, command: ("fence", command.subjects),
    facts.LookUp: lambda self, moment, command: ("look up", tuple(command.keys)),
    facts.FetchMore: lambda self, moment, command: ("fetch", command.limit),
    facts.WantSlots: lambda self, moment, command: ("want slots", command.count),
    facts.FreeSlots: lambda self, moment, command: ("free slots", command.count),
    facts.Alert: lambda self, moment, command: ("alert",),
    facts.Reopen: lambda self, moment, command: ("reopen",),
    facts.Closed: lambda self, moment, command: ("closed",),
}


def _unreadable(record: InputRecord) -> InputRecord:
    return replace(record, event=None, reason=Reason.UNKNOWN_SCHEMA_ID, idempotency_key="", subject_ref=None)
