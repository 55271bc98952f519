"""What can happen next in a state. The first that is no trouble is what happens in a calm world."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.model import happenings, partner
from tests.model import kafka as brokers
from tests.model.machine import Machines
from tests.model.partner import Whim
from tests.model.shape import OLD, Shape, Trouble
from tests.model.state import Owner, Request, State
from tests.model.story import Telling
from tests.model.turn import Turn

_REFUSALS = {Trouble.REFUSED: 429, Trouble.CHOKED: 400, Trouble.STOP: 403}
_MOODS = (Trouble.RETRY, Trouble.REJECTED, Trouble.SUPERSEDED)
_OF_OWNERS = {
    Trouble.KILL: "kill",
    Trouble.CLOSE: "close",
    Trouble.DOUBT: "doubt",
    Trouble.FENCE: "fence failed",
}
_OF_LOOKUPS = {
    Trouble.LOOKUP_LOST: ("lookup lost",),
    Trouble.PROCESSING: ("looked up", "processing"),
    Trouble.STALE: ("looked up", "stale"),
}
MOST_PROCESSES = 2


class Action(NamedTuple):
    """Something that can happen: what, to which owner or request, and the trouble that it is."""

    name: str
    args: tuple[Any, ...] = ()
    trouble: Trouble | None = None
    is_calm: bool = True


TICK = Action("tick")


def is_calm(action: Action) -> bool:
    """Whether it happens though nothing goes wrong."""
    return action.is_calm and action.trouble is None


class World:
    """The actions of one world."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.machines = Machines(shape)
        self._places = {trouble: place for place, trouble in enumerate(shape.troubles)}

    def first(self) -> State:
        """Nothing has happened yet."""
        books = tuple(sorted(partner.had_before(self.shape, self.machines.words)))
        return State(0, brokers.Kafka(), books, (), (), tuple(self.shape.troubles.values()))

    def act(self, state: State, action: Action, told: Telling | None = None) -> State:
        """The state after an action; raises BrokenPromiseError or LaneBrokeError."""
        turn = Turn(self.shape, self.machines, state, told)
        if action.trouble is not None:
            turn.spend(action.trouble)
        happenings.ACTS[action.name](turn, *action.args)
        return turn.state()

    def actions(self, state: State) -> Iterator[Action]:
        """All that can happen; calm ones first, time last of these."""
        yield from self._kafka(state)
        yield from self._openings(state)
        if state.version < len(self.shape.changes):
            yield Action("change", is_calm=self.shape.changes[state.version].must_come)
        for place, owner in enumerate(state.owners):
            yield from self._answers(state, place, owner)
        yield from self._time(state)
        yield from self._troubles(state)

    # --- calm ---------------------------------------------------------------------------------------------

    def _kafka(self, state: State) -> Iterator[Action]:
        kafka = state.kafka
        if kafka.before is not None:
            yield Action("markers")
        if kafka.transaction is not None and kafka.transaction.commit is not None and kafka.before is None:
            yield Action("commit", (False,))
            if self._may(state, Trouble.MARKERS):
                yield Action("commit", (True,), Trouble.MARKERS)
        if kafka.strays and kafka.transaction is not None and kafka.before is None:
            yield Action("stray")

    def _openings(self, state: State) -> Iterator[Action]:
        if all(owner.stale for owner in state.owners) and len(state.owners) < MOST_PROCESSES:
            yield Action("start")
        for place, owner in enumerate(state.owners):
            if owner.lane >= 0:
                continue
            step = happenings.OPENING[owner.steps]
            if step != "takes over" or brokers.may_take_over(state.kafka):
                trouble = Trouble.STUBBORN if owner.stale and step == happenings.OPENING[0] else None
                if trouble is None or self._may(state, trouble):
                    yield Action(step, (place,), trouble)
                if step == "reads" and state.version and self._may(state, Trouble.VIEW):
                    yield Action(step, (place, 0), Trouble.VIEW)
                if step == "reads" and self._may(state, Trouble.UNREADABLE):
                    for offset in self.shape.delivered:
                        yield Action(step, (place, None, offset), Trouble.UNREADABLE)

    def _answers(self, state: State, place: int, owner: Owner) -> Iterator[Action]:
        for nth, request in enumerate(owner.sent):
            if request.age:
                yield Action("expired", (place, nth))
            if request.age < OLD:
                yield Action("taken", (place, nth), is_calm=not request.age)
        for nth in range(len(owner.lookups)):
            yield Action("looked up", (place, nth, "not_received"))
        if owner.written is not None:
            yield Action("written", (place,))
        if owner.commits and place != state.kafka.holder:
            yield Action("fenced", (place,))
        if owner.commits and place == state.kafka.holder and state.kafka.transaction is None:
            yield Action("committed", (place,))
        if owner.fence is not None and owner.fence.must is None:
            yield Action("fence read", (place,))
        elif owner.fence is not None:
            yield Action("fence reached", (place,))
            if state.version > owner.fence.must:
                yield Action("fence reached", (place, state.version))

    def _time(self, state: State) -> Iterator[Action]:
        """Time passes: a trouble where GeNiE has not answered yet who may commit, for it may refuse then for ever."""
        holder = state.kafka.holder
        if holder < 0 or not state.owners[holder].sent:
            yield TICK
        elif self._may(state, Trouble.SLOW):
            yield Action(TICK.name, (), Trouble.SLOW)

    # --- troubles -----------------------------------------------------------------------------------------

    def _may(self, state: State, trouble: Trouble) -> bool:
        place = self._places.get(trouble)
        return place is not None and state.left[place] > 0

    def _troubles(self, state: State) -> Iterator[Action]:
        for nth, request in enumerate(state.travelling):
            if nth == 0 or request != state.travelling[nth - 1]:
                yield Action("late", (nth,), is_calm=False)
        if len(state.owners) == 1 and self._may(state, Trouble.TAKE_OVER) and not state.owners[0].stale:
            yield Action("start", (), Trouble.TAKE_OVER)
        for place, owner in enumerate(state.owners):
            can = {
                Trouble.KILL: not owner.stale,
                Trouble.CLOSE: not owner.stale and owner.lane >= 0,
                Trouble.DOUBT: owner.commits,
                Trouble.FENCE: owner.fence is not None,
            }
            for trouble, name in _OF_OWNERS.items():
                if can[trouble] and self._may(state, trouble):
                    yield Action(name, (place,), trouble)
            for nth, request in enumerate(owner.sent):
                yield from self._request_troubles(state, (place, nth), request)
            for nth in range(len(owner.lookups)):
                for trouble, (name, *more) in _OF_LOOKUPS.items():
                    if self._may(state, trouble):
                        yield Action(name, (place, nth, *more), trouble)

    def _request_troubles(self, state: State, which: tuple[int, int], request: Request) -> Iterator[Action]:
        if self._may(state, Trouble.LOST):
            yield Action("lost", which, Trouble.LOST)
            if request.age < OLD:
                yield Action("answer lost", which, Trouble.LOST)
        if self._may(state, Trouble.PROXY):
            yield Action("refused by a proxy", which, Trouble.PROXY)
        for trouble, status in _REFUSALS.items():
            if self._may(state, trouble):
                yield Action("refused", (*which, status), trouble)
        for mood in _MOODS:
            if request.age < OLD and self._may(state, mood):
                for at in range(len(request.entries)):
                    yield Action("taken", (*which, Whim(mood, at)), mood)
