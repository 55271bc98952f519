"""The real lane, from any state that it was ever in: each step of it is taken once, and remembered.

A lane is a number here: lanes with one fingerprint have one number. Every step is a step of core/lane.py, taken by a
lane that was pickled when it was first met.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Collection, Mapping
from enum import Enum
from hashlib import blake2b
from typing import Any, NamedTuple

from gateway.core import facts
from gateway.core.consent import Consent
from gateway.core.entry import InputRecord
from gateway.core.events import Event
from gateway.core.holds import Holds
from gateway.core.lane import Lane
from gateway.core.records import Origin
from gateway.core.rules import Limits, Rules
from tests.core_cases import NOW
from tests.model.fingerprint import Fingerprint, Name
from tests.model.shape import TICK, Shape
from tests.model.state import Commit, Fact
from tests.model.words import Command, Moment, Words

LANE_FAILS = "the lane fails: "  # a story that ends so ends in an error of the code, not in a broken promise
MAX_TICKS_AT_ONCE = 20  # a lane that wakes again and again at one moment is spinning
_SHARED = (Enum, Rules, Limits, Origin, InputRecord, Event, Consent, Holds)  # never changed: told by identity


class Step(NamedTuple):
    """What a lane does with a fact."""

    lane: int
    commands: tuple[Command, ...]


class _Frozen(NamedTuple):
    """A lane as it was when it was first met."""

    pickled: bytes
    moment: Moment
    must_wake: bool  # its alarm rings now


class LaneBrokeError(Exception):
    """The lane raised an error, or spins."""


class Machines:
    """All lanes of one world that were ever met."""

    def __init__(self, shape: Shape) -> None:
        self.words = Words(shape)
        self._shape = shape
        self._fingerprint = Fingerprint(shape.hour, shape.old)
        self._numbers: dict[bytes, int] = {}
        self._frozen: list[_Frozen] = []
        self._steps: dict[tuple[int, Fact], Step] = {}
        self._opened: dict[tuple[Commit, int], Step] = {}
        self._aged: dict[int, int] = {}
        self._views: dict[int, Mapping[str, Any]] = {}
        self._shared: dict[int, Any] = {}

    def __len__(self) -> int:
        return len(self._frozen)

    def open(self, commit: Commit, view: int) -> Step:
        """A new lane, from what is committed."""
        asked = (commit, view)
        if asked not in self._opened:
            opened, moment = self.words.opened(commit, view, NOW)
            lane = Lane(self._shape.rules, opened, NOW)
            self._opened[asked] = self._take(moment, lane, lane.start(NOW))
        return self._opened[asked]

    def step(self, number: int, fact: Fact) -> Step:
        """Hand a fact to a lane."""
        asked = (number, fact)
        if asked not in self._steps:
            frozen = self._frozen[number]
            lane, moment = self._thaw(frozen), frozen.moment
            said = self.words.fact(fact, moment)
            if isinstance(said, facts.LookedUp):
                moment = moment._replace(lookups=tuple(n for n in moment.lookups if n != said.lookup_id))
            try:
                self._steps[asked] = self._take(moment, lane, lane.handle(said, moment.now))
            except Exception as error:
                raise LaneBrokeError(f"{LANE_FAILS}{type(error).__name__}: {error}") from error
        return self._steps[asked]

    def age(self, number: int) -> int:
        """The same lane a tick later, before it notices."""
        if number not in self._aged:
            frozen = self._frozen[number]
            moment = frozen.moment._replace(now=frozen.moment.now + TICK)
            self._aged[number], _ = self._intern(moment, self._thaw(frozen))
        return self._aged[number]

    def must_wake(self, number: int) -> bool:
        """Whether its alarm rings now."""
        return self._frozen[number].must_wake

    def names(self, number: int) -> Collection[int]:
        """The announcements that it remembers."""
        return self._frozen[number].moment.names.values()

    def view(self, number: int) -> Mapping[str, Any]:
        """What it tells health and metrics, and whether it `wakes` by itself."""
        if number not in self._views:
            frozen = self._frozen[number]
            lane = self._thaw(frozen)
            self._views[number] = {**lane.view(), "wakes": lane.wake_at(frozen.moment.now) is not None}
        return self._views[number]

    def _take(self, moment: Moment, lane: Lane, commands: list[facts.Command]) -> Step:
        """Note what the lane has become, after it was woken as often as it wants."""
        for _ in range(MAX_TICKS_AT_ONCE):
            wake_at = lane.wake_at(moment.now)
            if wake_at is None or wake_at > moment.now:
                break
            commands = [*commands, *lane.handle(facts.Tick(moment.now), moment.now)]
        else:
            raise LaneBrokeError("a lane that has nothing to do sleeps")
        asked = tuple(command.lookup_id for command in commands if isinstance(command, facts.LookUp))
        number, names = self._intern(moment._replace(lookups=moment.lookups + asked), lane)
        named = moment._replace(names=names)
        return Step(number, tuple(self.words.command(command, named) for command in commands))

    def _intern(self, moment: Moment, lane: Lane) -> tuple[int, Mapping[str, int]]:
        """The number of a lane, and the numbers of its batches."""
        tokens = self._fingerprint.of(lane, moment.now)
        names = _numbered(moment.names, [token.batch_id for token in tokens if type(token) is Name])
        written = repr([names[token.batch_id] if type(token) is Name else token for token in tokens])
        told = blake2b(written.encode(), digest_size=16).digest()
        number = self._numbers.get(told)
        if number is None:
            number = self._numbers[told] = len(self._frozen)
            wake_at = lane.wake_at(moment.now)
            must_wake = wake_at is not None and wake_at <= moment.now
            self._frozen.append(_Frozen(self._freeze(lane), moment._replace(names=names), must_wake))
        return number, names

    def _freeze(self, lane: Lane) -> bytes:
        out = io.BytesIO()
        _Pickler(out, self._shared).dump(lane)
        return out.getvalue()

    def _thaw(self, frozen: _Frozen) -> Lane:
        lane: Lane = _Unpickler(io.BytesIO(frozen.pickled), self._shared).load()
        return lane


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


def _numbered(known: Mapping[str, int], met: list[str]) -> dict[str, int]:
    """Known names keep their numbers while they are met; new ones take the smallest that are free."""
    names = {name: known[name] for name in met if name in known}
    taken = set(names.values())
    for name in met:
        if name not in names:
            names[name] = next(n for n in range(len(taken) + 1) if n not in taken)
            taken.add(names[name])
    return names
