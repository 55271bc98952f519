"""The real lane, from any state that it was ever in: each step of it is taken once, and remembered.

A lane is a number here: lanes with one fingerprint have one number. Facts and commands are plain tuples, so that the
world is made of values: announcements are small numbers, times are ticks. Every step is a step of core/lane.py, taken
by a lane that was pickled when it was first met.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Collection
from dataclasses import replace
from enum import Enum
from hashlib import blake2b
from typing import Any, NamedTuple

import orjson

from gateway.core import facts
from gateway.core.consent import Consent
from gateway.core.entry import InputRecord
from gateway.core.events import Event
from gateway.core.holds import Holds
from gateway.core.lane import Lane
from gateway.core.metadata import CommitMetadata, IntentRef
from gateway.core.minimise import body_digest
from gateway.core.outcome import (
    First,
    LookupReply,
    LookupResult,
    LookupStatus,
    Loss,
    Lost,
    Receipt,
    Reply,
    Result,
)
from gateway.core.reasons import Reason
from gateway.core.records import Origin
from gateway.core.rules import Limits, Rules
from tests.core_cases import NOW
from tests.lane_world.inputs import digest, origin
from tests.model.fingerprint import Fingerprint, Name
from tests.model.shape import EXPIRES, TICK, Shape
from tests.model.state import Answer, Commit, Entry, Fact, First as Had, Intent, Said

MAX_TICKS_AT_ONCE = 20  # a lane that wakes again and again at one moment is spinning
INTENTS_PARTITION = 3
_SHARED = (Enum, Rules, Limits, Origin, InputRecord, Event, Consent, Holds)  # never changed: told by identity


class Step(NamedTuple):
    """What a lane does with a fact."""

    lane: int
    commands: tuple[tuple[Any, ...], ...]


class _Frozen(NamedTuple):
    """A lane as it was when it was first met, and its names for things."""

    pickled: bytes
    now: int
    names: dict[str, int]  # its batches
    lookups: tuple[int, ...]  # on their way, oldest first
    must_wake: bool = False  # whether its alarm rings now


class LaneBrokeError(Exception):
    """The lane raised an error."""


class Machines:
    """All lanes of one world that were ever met."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._fingerprint = Fingerprint(shape.hour)
        self._numbers: dict[bytes, int] = {}
        self._frozen: list[_Frozen] = []
        self._steps: dict[tuple[int, Fact], Step] = {}
        self._aged: dict[int, int] = {}
        self._opened: dict[Any, Step] = {}
        self._views: dict[int, dict[str, Any]] = {}
        self._shared: dict[int, Any] = {}
        self._digests: dict[bytes, int] = {}
        self._rests: list[dict[str, Any]] = []  # what intents say beside times and names
        self.purposes: list[tuple[str, ...]] = []  # by digest, what a body that is sent permits
        self.bodies: list[bytes] = []  # by digest

    def __len__(self) -> int:
        return len(self._frozen)

    # --- steps --------------------------------------------------------------------------------------------

    def open(self, commit: Commit, view: int) -> Step:
        """A new lane, from what is committed."""
        asked = (commit, view)
        if asked not in self._opened:
            names = {f"old/{number}": number for number in range(len(commit.live))}
            refs = tuple(IntentRef(INTENTS_PARTITION, number) for number in names.values())
            intents = [self._intent(each, f"old/{number}", NOW) for number, each in enumerate(commit.live)]
            metadata = CommitMetadata(commit.settled, refs, 0)
            opened = facts.Opened(commit.offset, metadata, intents, self._shape.views[view].holds, 1)
            lane = Lane(self._shape.rules, opened, NOW)
            self._opened[asked] = self._take(_Frozen(b"", NOW, names, ()), lane, lane.start(NOW))
        return self._opened[asked]

    def step(self, number: int, fact: Fact) -> Step:
        """Hand a fact to a lane."""
        asked = (number, fact)
        if asked not in self._steps:
            frozen = self._frozen[number]
            lane = self._thaw(frozen)
            said = _FACTS[fact[0]](self, frozen, *fact[1:])
            if fact[0] == "told":
                frozen = frozen._replace(lookups=_without(frozen.lookups, fact[1]))
            try:
                self._steps[asked] = self._take(frozen, lane, lane.handle(said, frozen.now))
            except Exception as error:
                raise LaneBrokeError(f"the lane fails: {type(error).__name__}: {error}") from error
        return self._steps[asked]

    def age(self, number: int) -> int:
        """The same lane a tick later, before it notices."""
        if number not in self._aged:
            frozen = self._frozen[number]
            later = frozen._replace(now=frozen.now + TICK)
            self._aged[number] = self._intern(later, self._thaw(frozen), frozen.pickled)[0]
        return self._aged[number]

    def names(self, number: int) -> Collection[int]:
        """The announcements that it remembers."""
        return self._frozen[number].names.values()

    def must_wake(self, number: int) -> bool:
        """Whether its alarm rings now."""
        return self._frozen[number].must_wake

    def view(self, number: int) -> dict[str, Any]:
        """What it tells health and metrics; and when it wakes."""
        if number not in self._views:
            frozen = self._frozen[number]
            lane = self._thaw(frozen)
            self._views[number] = {**lane.view(), "wakes": lane.wake_at(frozen.now) is not None}
        return self._views[number]

    def _take(self, frozen: _Frozen, lane: Lane, commands: list[facts.Command]) -> Step:
        """Note what the lane has become, after it was woken as often as it wants."""
        for _ in range(MAX_TICKS_AT_ONCE):
            wake_at = lane.wake_at(frozen.now)
            if wake_at is None or wake_at > frozen.now:
                break
            commands = [*commands, *lane.handle(facts.Tick(frozen.now), frozen.now)]
        else:
            raise LaneBrokeError("a lane that has nothing to do sleeps")
        asked = tuple(command.lookup_id for command in commands if isinstance(command, facts.LookUp))
        frozen = frozen._replace(lookups=frozen.lookups + asked)
        number, names = self._intern(frozen, lane, None)
        return Step(number, tuple(self._told(command, names) for command in commands))

    # --- freezing -----------------------------------------------------------------------------------------

    def _intern(self, frozen: _Frozen, lane: Lane, pickled: bytes | None) -> tuple[int, dict[str, int]]:
        tokens = self._fingerprint.of(lane, frozen.now)
        names = _numbered(frozen.names, [token.batch_id for token in tokens if type(token) is Name])
        written = repr([names[token.batch_id] if type(token) is Name else token for token in tokens])
        told = blake2b(written.encode(), digest_size=16).digest()
        number = self._numbers.get(told)
        if number is None:
            number = self._numbers[told] = len(self._frozen)
            wake_at = lane.wake_at(frozen.now)
            pickled = pickled or self._freeze(lane)
            self._frozen.append(_Frozen(pickled, frozen.now, names, frozen.lookups, bool(wake_at and wake_at <= frozen.now)))
        return number, names

    def _freeze(self, lane: Lane) -> bytes:
        out = io.BytesIO()
        _Pickler(out, self._shared).dump(lane)
        return out.getvalue()

    def _thaw(self, frozen: _Frozen) -> Lane:
        return _Unpickler(io.BytesIO(frozen.pickled), self._shared).load()

    # --- what a lane is told ------------------------------------------------------------------------------

    def _fetched(self, frozen: _Frozen, offsets: tuple[int, ...], position: int, view: int, broken: int) -> facts.Fact:
        inputs = [self._shape.inputs[offset] for offset in offsets]
        records = [record for record in inputs if record is not None]
        records = [_unreadable(record) if record.offset == broken else record for record in records]
        consents = self._shape.views[view].consents
        subjects = {record.event.subject_ref for record in records if record.event is not None}
        return facts.Fetched(records, position, {s: consents[s] for s in subjects if s in consents})

    def _slots(self, frozen: _Frozen, count: int) -> facts.Fact:
        return facts.SlotsGranted(count)

    def _produced(self, frozen: _Frozen, numbers: tuple[int, ...]) -> facts.Fact:
        return facts.Produced([IntentRef(INTENTS_PARTITION, number) for number in numbers])

    def _committed(self, frozen: _Frozen) -> facts.Fact:
        return facts.Committed()

    def _doubtful(self, frozen: _Frozen) -> facts.Fact:
        return facts.CommitDoubtful()

    def _fenced(self, frozen: _Frozen, view: int, age: int, subjects: frozenset[str]) -> facts.Fact:
        seen = self._shape.views[view]
        return facts.FenceReached(frozen.now - age * TICK, {s: seen.consents[s] for s in subjects}, seen.holds)

    def _not_fenced(self, frozen: _Frozen) -> facts.Fact:
        return facts.FenceFailed()

    def _answered(self, frozen: _Frozen, number: int, answer: Answer) -> facts.Fact:
        batch_id = next(name for name, n in frozen.names.items() if n == number)
        if answer.status == 0:
            return facts.Answered(batch_id, Lost(Loss.TIMEOUT))
        results = None
        if answer.results is not None:
            results = tuple(
                Result(key, status, first and self._first(first, frozen.now), f"receipt-{key}", problem)
                for key, status, first, problem in answer.results
            )
        reply = Reply(answer.status, True, "application/json", None, results, answer.problem, b"d" * 32, "genie-1")
        return facts.Answered(batch_id, reply)

    def _told_of(self, frozen: _Frozen, place: int, reply: tuple[Any, ...] | None) -> facts.Fact:
        lookup_id = frozen.lookups[place]
        if reply is None:
            return facts.LookedUp(lookup_id, None)
        ago, results = reply
        said = []
        for key, status, had in results:
            first = had and self._first(had, frozen.now)
            receipt = first and Receipt(f"receipt-{key}", first.received_at, b"d" * 32, "genie-1")
            said.append(LookupResult(key, LookupStatus(status), first, receipt))
        return facts.LookedUp(lookup_id, LookupReply(0 if ago is None else frozen.now - ago * TICK, tuple(said)))

    def _ticked(self, frozen: _Frozen) -> facts.Fact:
        return facts.Tick(frozen.now)

    def _closing(self, frozen: _Frozen) -> facts.Fact:
        return facts.Closing(frozen.now + TICK)

    def _first(self, had: Had, now: int) -> First:
        return First(had.origin, digest("event", had.source), self.digest_of(had.digest), now)

    def _intent(self, intent: Intent, batch_id: str, now: int) -> dict[str, Any]:
        """As it is read from the intents topic."""
        announced_at = now - intent.age * TICK
        return {
            "batch_id": batch_id,
            "announced_at": announced_at,
            "expires_at": announced_at + EXPIRES,
            **self._rests[intent.rest],
        }

    # --- what a lane asks for -----------------------------------------------------------------------------

    def _told(self, command: facts.Command, names: dict[str, int]) -> tuple[Any, ...]:
        match command:
            case facts.Produce(ledger, parked, intents):
                said = tuple(self._said(record) for record in ledger)
                told = tuple((names[intent["batch_id"]], self._announced(intent)) for intent in intents)
                keys = tuple((each.key, each.record is None) for each in parked)
                return ("produce", said, told, keys)
            case facts.Commit(offset, metadata):
                read = CommitMetadata.decode(metadata, offset)
                return ("commit", offset, read.settled, tuple(ref.offset for ref in read.intents))
            case facts.Send(batch_id, entries, expires_at):
                sent = tuple((entry.idempotency_key, self._sent(entry.body)) for entry in entries)
                return ("send", names[batch_id], sent)
            case facts.StartFence(subjects):
                return ("fence", subjects)
            case facts.LookUp(_, keys):
                return ("look up", tuple(keys))
            case facts.FetchMore(limit):
                return ("fetch", limit)
            case facts.WantSlots(count):
                return ("want slots", count)
            case facts.FreeSlots(count):
                return ("free slots", count)
            case facts.Alert() | facts.Reopen() | facts.Closed():
                return (type(command).__name__,)
        raise AssertionError(command)

    def _said(self, record: Any) -> Said:
        told = record["body_digest"]
        replay = record["replay_of"]
        return Said(
            record["input"]["offset"],
            record["idempotency_key"],
            Reason(record["reason"]).outcome.value,
            record["reason"],
            record["transmitted"],
            None if told is None else self.number_of(told),
            replay and f"{replay['topic']}:{replay['partition']}:{replay['offset']}",
        )

    def _announced(self, intent: Any) -> Intent:
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

    def number_of(self, told: bytes) -> int:
        """A small number for a body's digest."""
        number = self._digests.setdefault(told, len(self._digests))
        if number == len(self.purposes):
            self.purposes.append(())
            self.bodies.append(told)
        return number

    def digest_of(self, number: int) -> bytes:
        """The digest of a body."""
        return self.bodies[number]


_FACTS: dict[str, Callable[..., facts.Fact]] = {
    "fetched": Machines._fetched,
    "slots": Machines._slots,
    "produced": Machines._produced,
    "committed": Machines._committed,
    "doubtful": Machines._doubtful,
    "fenced": Machines._fenced,
    "not fenced": Machines._not_fenced,
    "answered": Machines._answered,
    "told": Machines._told_of,
    "tick": Machines._ticked,
    "closing": Machines._closing,
}


class _Pickler(pickle.Pickler):
    def __init__(self, out: io.BytesIO, shared: dict[int, Any]) -> None:
        super().__init__(out, pickle.HIGHEST_PROTOCOL)
        self._shared = shared

    def persistent_id(self, obj: Any) -> int | None:
        if not isinstance(obj, _SHARED):
            return None
        self._shared[id(obj)] = obj
        return id(obj)


class _Unpickler(pickle.Unpickler):
    def __init__(self, source: io.BytesIO, shared: dict[int, Any]) -> None:
        super().__init__(source)
        self._shared = shared

    def persistent_load(self, pid: int) -> Any:
        return self._shared[pid]


def _numbered(known: dict[str, int], met: list[str]) -> dict[str, int]:
    """Known names keep their numbers while they are met; new ones take the smallest that are free."""
    names = {name: known[name] for name in met if name in known}
    taken = set(names.values())
    for name in met:
        if name not in names:
            names[name] = next(n for n in range(len(taken) + 1) if n not in taken)
            taken.add(names[name])
    return names


def _without(numbers: tuple[int, ...], place: int) -> tuple[int, ...]:
    return numbers[:place] + numbers[place + 1 :]


def _unreadable(record: InputRecord) -> InputRecord:
    return replace(record, event=None, reason=Reason.UNKNOWN_SCHEMA_ID, idempotency_key="", subject_ref=None)
