"""What tells two lanes apart: all that a lane holds, but not the names it gave, and ages only as far as they matter.

Walks every field of every object that the lane holds, so a field that is new is a difference. Two kinds of things are
left out: what a lane only writes down and never asks for, and numbers that only make names. Times count from now, and
those that are long past are all alike.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Any

from gateway.core import batching, cycle, entry, fates, judge, lane, rounds, settling, waiting
from gateway.core.batching import Batch
from gateway.core.consent import Consent
from gateway.core.decide import Permit
from gateway.core.entry import Announcement, Ending, Entry, Held, InputRecord, Made
from gateway.core.holds import Holds
from gateway.core.rules import Limits, Rules
from tests.model.shape import EXPIRES, TICK

UNSET = "unset"  # of times: 0 or None

# Written down only, or parts of names, or another way to something that is walked anyway.
_SKIPPED: dict[type[Any], tuple[str, ...]] = {
    lane.Lane: ("_commands", "_epoch", "_rules", "_limits", "_origin"),
    batching.Batching: ("_made", "_prefix", "_limits"),
    waiting.Lookups: ("_serial",),
    cycle.Cycle: ("_opens", "_began_at", "_limits"),
    settling.Settling: ("_limits",),
    judge.Judge: ("_rules",),
    fates.Fates: ("_limits", "taken_at"),  # its order among first failures is told at the end
    entry.Entry: ("sends", "decided_at"),
    entry.Announcement: ("batch_id", "ref"),  # its name stands for it
    entry.Ending: ("decided_at", "receipt"),
}
_EXPIRIES = {(Announcement, "expires_at"), (Entry, "last_expires")}
_SINCE = {(Announcement, "announced_at"), (Entry, "first_failed_at"), (Entry, "unknown_since")}
_ALARMS = {
    (cycle.Cycle, "_next_at"),
    (cycle.Cycle, "_next_gap_at"),
    (rounds.Rounds, "next_at"),
    (lane.Lane, "_stopped_until"),
    (lane.Lane, "_closing"),
}

Tokens = list[Any]


class Name:
    """Stands for an announcement, whatever its batch is called."""

    __slots__ = ("batch_id",)

    def __init__(self, batch_id: str) -> None:
        self.batch_id = batch_id


class Fingerprint:
    """Takes fingerprints of the lanes of one world.

    After `hour` ticks nothing gets any older (0: no age matters), and `old` ticks after its announcement an attempt is
    too old for GeNiE and for any lookup.
    """

    def __init__(self, hour: int, old: int) -> None:
        self._hour = hour
        self._old = old
        self._plans: dict[type[Any], list[tuple[str, Callable[[Walk, Any], None]]]] = {}

    def of(self, machine: lane.Lane, now: int) -> Tokens:
        """Tokens that are equal for lanes that do the same from now on, once each Name has been given a number."""
        walk = Walk(self, now)
        walk.visit(machine)
        if self._hour:
            walk.since(machine._fates.taken_at)
            failed = [e for e in walk.entries.values() if e.first_failed_at]
            walk.tokens.append(tuple(e.record.offset for e in failed if machine._fates.taken_at > e.first_failed_at))
        return walk.tokens

    def plan(self, kind: type[Any], thing: Any) -> list[tuple[str, Callable[[Walk, Any], None]]]:
        """How each field of a class is walked."""
        if kind not in self._plans:
            names = sorted({*_slots(kind), *getattr(thing, "__dict__", ())})
            skipped = _SKIPPED.get(kind, ())
            assert set(skipped) <= set(names), f"{kind.__name__} has other fields now: {names}"
            self._plans[kind] = [(name, self._way(kind, name)) for name in names if name not in skipped]
        return self._plans[kind]

    def _way(self, kind: type[Any], name: str) -> Callable[[Walk, Any], None]:
        if (kind, name) in _EXPIRIES:
            return Walk.expiry
        if (kind, name) in _SINCE:
            return Walk.since if self._hour else Walk.whether
        if (kind, name) in _ALARMS:
            return Walk.alarm
        if (kind, name) == (lane.Lane, "_in_flight"):
            return Walk.batches
        if (kind, name) == (waiting.Lookups, "_asked"):
            return Walk.values
        return Walk.visit

    @property
    def longest(self) -> int:
        """In ms."""
        return self._hour * TICK

    @property
    def oldest(self) -> int:
        """What is left of the oldest attempt, ms; it is below 0."""
        return EXPIRES - self._old * TICK


class Walk:
    """One walk over one lane."""

    def __init__(self, fingerprint: Fingerprint, now: int) -> None:
        self.tokens: Tokens = []
        self.entries: dict[int, Entry] = {}
        self._fingerprint = fingerprint
        self._now = now
        self._seen: set[int] = set()

    def visit(self, thing: Any) -> None:
        """Whatever it is."""
        way = _WAYS.get(type(thing))
        if way is not None:
            way(self, thing)
        elif isinstance(thing, Enum):
            self.tokens.append(thing.name)
        else:
            self._object(thing)

    def expiry(self, time: int) -> None:
        """Once it is surely too late, it is no matter for how long."""
        self.tokens.append(max(time - self._now, self._fingerprint.oldest) if time else UNSET)

    def since(self, time: int) -> None:
        """As far back as an hour."""
        self.tokens.append(max(time - self._now, -self._fingerprint.longest) if time else UNSET)

    def whether(self, time: int) -> None:
        """No age of it matters."""
        self.tokens.append(bool(time))

    def alarm(self, time: int | None) -> None:
        """What is over is over."""
        self.tokens.append(max(time - self._now, 0) if time else UNSET)

    def _plain(self, thing: Any) -> None:
        self.tokens.append(thing)

    def _list(self, things: Any) -> None:
        if things and type(things[0]) is tuple and type(things[0][-1]) is Entry:
            things = sorted(things, key=_place)  # a heap: its order in memory says nothing
        self.tokens.append(len(things))
        for thing in things:
            self.visit(thing)

    def _tuple(self, things: Any) -> None:
        if len(things) == 3 and type(things[-1]) is Entry:  # what waits: when, offset, entry
            self.alarm(things[0])
            self.visit(things[-1])
            return
        self._list(things)

    def _dict(self, things: dict[Any, Any]) -> None:
        self.tokens.append(len(things))
        for name, value in sorted(things.items(), key=_first):
            self.visit(name)
            self.visit(value)

    def batches(self, things: dict[str, Batch]) -> None:
        """By what is in them."""
        self._list(sorted(things.values(), key=_first_offset))

    def values(self, things: dict[int, Any]) -> None:
        """In the order in which they were asked; their numbers are only names."""
        self._list(list(things.values()))

    def _set(self, things: set[Any]) -> None:
        self.tokens.append(tuple(sorted(things)))

    def _entry(self, one: Entry) -> None:
        offset = one.record.offset
        self.tokens.append(offset)
        if offset not in self.entries:
            self.entries[offset] = one
            self._object(one)

    def _announcement(self, one: Announcement) -> None:
        self.tokens.append(Name(one.batch_id))
        if id(one) not in self._seen:
            self.tokens.append(one.ref is not None)
        self._object(one)

    def _record(self, record: InputRecord) -> None:
        self.tokens.append((record.offset, record.idempotency_key, record.event is None))

    def _consent(self, consent: Consent) -> None:
        self.tokens.append((consent.subject_ref, consent.version))

    def _holds(self, holds: Holds) -> None:
        self.tokens.append(tuple((hold.hold_id, hold.scope.value, hold.value) for hold in holds.all))

    def _held(self, held: Held) -> None:
        self.tokens += (held.digest, held.consent_record_id, held.consent_version)  # the digest stands for the scope
        self.visit(held.announcement)

    def _permit(self, permit: Permit) -> None:
        self._consent(permit.consent)

    def _made(self, made: Made) -> None:
        self.tokens.append(made.digest)

    def _nothing(self, thing: Any) -> None:
        """What is the same in every lane of a world."""

    def _object(self, thing: Any) -> None:
        if id(thing) not in self._seen:
            self._seen.add(id(thing))
            self._value(thing)

    def _value(self, thing: Any) -> None:
        kind = type(thing)
        self.tokens.append(kind.__name__)
        for name, way in self._fingerprint.plan(kind, thing):
            way(self, getattr(thing, name))


_WAYS: dict[type[Any], Callable[[Walk, Any], None]] = {
    **dict.fromkeys((int, str, bytes, bool, type(None)), Walk._plain),
    **dict.fromkeys((list, deque), Walk._list),
    tuple: Walk._tuple,
    dict: Walk._dict,
    set: Walk._set,
    frozenset: Walk._set,
    Entry: Walk._entry,
    Announcement: Walk._announcement,
    InputRecord: Walk._record,
    Held: Walk._held,
    Made: Walk._made,
    Permit: Walk._permit,
    Ending: Walk._value,
    Consent: Walk._consent,
    Holds: Walk._holds,
    Rules: Walk._nothing,
    Limits: Walk._nothing,
}


def _slots(kind: type[Any]) -> list[str]:
    return [name for base in kind.__mro__ for name in getattr(base, "__slots__", ())]


def _first(item: tuple[Any, Any]) -> Any:
    return item[0]


def _place(item: tuple[Any, ...]) -> tuple[Any, ...]:
    return item[:-1]


def _first_offset(batch: Batch) -> int:
    return batch.entries[0].record.offset
