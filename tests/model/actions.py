"""What can happen next in a state, and how it does. The first that is no trouble is what happens in a calm world."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tests.model import invariants, kafka as brokers, partner
from tests.model.machine import Machines
from tests.model.partner import Whim
from tests.model.shape import OLD, Shape, Trouble
from tests.model.state import Answer, Owner, State
from tests.model.turn import Turn

OPENING: tuple[str, ...] = ("takes over", "reads")  # the order is the point
REFUSALS = {Trouble.REFUSED: 429, Trouble.CHOKED: 400, Trouble.STOP: 403}
MOODS = (Trouble.RETRY, Trouble.REJECTED, Trouble.SUPERSEDED)
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
        books = tuple(sorted(partner.had_before(self.shape, self.machines)))
        return State(0, brokers.Kafka(), books, (), (), tuple(self.shape.troubles.values()))

    def act(self, state: State, action: Action, told: list[str] | None = None) -> State:
        """The state after an action; raises BrokenPromiseError or LaneBrokeError."""
        turn = Turn(self.shape, self.machines, state, told)
        if action.trouble is not None:
            turn.spend(action.trouble)
        _ACTS[action.name](turn, *action.args)
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
            step = OPENING[owner.steps]
            if step != "takes over" or brokers.may_take_over(state.kafka):
                trouble = Trouble.STUBBORN if owner.stale and step == OPENING[0] else None
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
        if owner.commits and place != state.kafka.holder:
            yield Action("fenced", (place,))
        if owner.fence is not None and owner.fence.must is None:
            yield Action("fence read", (place,))
        elif owner.fence is not None:
            yield Action("fence reached", (place,))

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
            if not owner.stale and self._may(state, Trouble.KILL):
                yield Action("kill", (place,), Trouble.KILL)
            if owner.lane >= 0:
                yield from self._owner_troubles(state, place, owner)

    def _owner_troubles(self, state: State, place: int, owner: Owner) -> Iterator[Action]:
        if not owner.stale and self._may(state, Trouble.CLOSE):
            yield Action("close", (place,), Trouble.CLOSE)
        if owner.commits and self._may(state, Trouble.DOUBT):
            yield Action("doubt", (place,), Trouble.DOUBT)
        if owner.fence is not None and self._may(state, Trouble.FENCE):
            yield Action("fence failed", (place,), Trouble.FENCE)
        for nth, request in enumerate(owner.sent):
            if self._may(state, Trouble.LOST):
                yield Action("lost", (place, nth), Trouble.LOST)
                if request.age < OLD:
                    yield Action("answer lost", (place, nth), Trouble.LOST)
            for trouble, status in REFUSALS.items():
                if self._may(state, trouble):
                    yield Action("refused", (place, nth, status), trouble)
            for mood in MOODS:
                if request.age < OLD and self._may(state, mood):
                    for at in range(len(request.entries)):
                        yield Action("taken", (place, nth, Whim(mood, at)), mood)
        for nth in range(len(owner.lookups)):
            if self._may(state, Trouble.LOOKUP_LOST):
                yield Action("lookup lost", (place, nth), Trouble.LOOKUP_LOST)
            if self._may(state, Trouble.PROCESSING):
                yield Action("looked up", (place, nth, "processing"), Trouble.PROCESSING)
            if self._may(state, Trouble.STALE):
                yield Action("looked up", (place, nth, "stale"), Trouble.STALE)


# --- what each of them does ------------------------------------------------------------------------------------


def _markers(turn: Turn) -> None:
    turn.tell("the markers of the transaction are written")
    turn.kafka = brokers.write_markers(turn.kafka)
    for place in range(len(turn.owners)):
        turn.go_on(place)


def _commit(turn: Turn, late: bool) -> None:
    turn.tell("the commit arrives" + (", its markers are not written yet" if late else ""))
    turn.end_transaction(late)
    place = turn.kafka.holder
    if place >= 0 and turn.owners[place].commits:
        turn.set(place, commits=False)
        turn.hear(place, "committed")


def _stray(turn: Turn) -> None:
    turn.tell("an old request to end the transaction arrives, and ends the one that is open now")
    turn.kafka = turn.kafka._replace(strays=turn.kafka.strays - 1)
    turn.end_transaction(False)


def _start(turn: Turn) -> None:
    turn.tell("a process starts")
    turn.start()


def _takes_over(turn: Turn, place: int) -> None:
    turn.tell("it takes the lane over: older owners can commit nothing more")
    turn.take_over(place)
    _next_step(turn, place)


def _reads(turn: Turn, place: int, view: int | None = None, broken: int = -1) -> None:
    turn.tell("it reads what is committed" + ("" if view is None else ", its view of consents is old"))
    turn.set(place, view=view, broken=broken)
    turn.read(place)
    _next_step(turn, place)


def _next_step(turn: Turn, place: int) -> None:
    owner = turn.set(place, steps=turn.owners[place].steps + 1)
    if owner.steps == len(OPENING):
        turn.open(place)


def _change(turn: Turn) -> None:
    turn.tell(turn.shape.changes[turn.version].sentence)
    turn.version += 1


def _taken(turn: Turn, place: int, nth: int, whim: Whim | None = None) -> None:
    request = turn.owners[place].sent[nth]
    judged = partner.judge(turn.shape, turn.books, request.entries, whim)
    said = ", ".join(f"{key}: {status}" for key, status, *_ in judged.answer.results or ())
    turn.tell(f"batch {request.number} arrives, and GeNiE answers {said}")
    turn.accept(judged)
    turn.answer(place, request, judged.answer)


def _expired(turn: Turn, place: int, nth: int) -> None:
    request = turn.owners[place].sent[nth]
    turn.tell(f"batch {request.number} arrives too late: GeNiE refuses it")
    turn.answer(place, request, Answer(401, None, partner.EXPIRED))


def _lost(turn: Turn, place: int, nth: int) -> None:
    request = turn.owners[place].sent[nth]
    turn.tell(f"no answer comes to batch {request.number}, which may still arrive")
    turn.let_travel(request)
    turn.answer(place, request, Answer())


def _answer_lost(turn: Turn, place: int, nth: int) -> None:
    request = turn.owners[place].sent[nth]
    turn.tell(f"batch {request.number} arrives, but the answer is lost")
    turn.accept(partner.judge(turn.shape, turn.books, request.entries))
    turn.answer(place, request, Answer())


def _refused(turn: Turn, place: int, nth: int, status: int) -> None:
    request = turn.owners[place].sent[nth]
    turn.tell(f"GeNiE refuses batch {request.number} with {status}")
    turn.answer(place, request, Answer(status, None, partner.CHOKED))


def _late(turn: Turn, nth: int) -> None:
    request = turn.travelling.pop(nth)
    turn.tell("a batch that nobody waits for any more arrives")
    turn.accept(partner.judge(turn.shape, turn.books, request.entries))


def _looked_up(turn: Turn, place: int, nth: int, how: str) -> None:
    keys = turn.owners[place].lookups[nth]
    if how == "stale":
        reply = partner.look_up_stale(turn.books, keys)
    else:
        reply = partner.look_up(turn.books, keys, how)
    said = ", ".join(f"{key}: {status}" for key, status, _ in reply[1])
    turn.tell(f"GeNiE answers a lookup{', as of earlier' if how == 'stale' else ''}: {said}")
    _told(turn, place, nth, reply)


def _lookup_lost(turn: Turn, place: int, nth: int) -> None:
    turn.tell("the answer to a lookup is lost")
    _told(turn, place, nth, None)


def _told(turn: Turn, place: int, nth: int, reply: tuple[Any, ...] | None) -> None:
    lookups = turn.owners[place].lookups
    turn.set(place, lookups=lookups[:nth] + lookups[nth + 1 :])
    turn.hear(place, "told", nth, reply)


def _fence_read(turn: Turn, place: int) -> None:
    fence = turn.owners[place].fence
    assert fence is not None
    turn.tell("its fence reads the end offsets of consents and controls")
    turn.set(place, fence=fence._replace(must=turn.version, view=view_behind_fence(turn.version)), view=None)
    if turn.version == len(turn.shape.changes):  # nothing more can come between, so nobody can tell when it arrives
        _fence_reached(turn, place)


def view_behind_fence(acknowledged: int) -> int:
    """The view that a fence brings holds all that was acknowledged when the end offsets were read."""
    return acknowledged


def _fence_reached(turn: Turn, place: int) -> None:
    fence = turn.owners[place].fence
    assert fence is not None
    turn.tell("its fence is reached")
    turn.hear(place, "fenced", fence.view, fence.age, fence.subjects)


def _fence_failed(turn: Turn, place: int) -> None:
    turn.tell("its fence fails")
    turn.hear(place, "not fenced")


def _tick(turn: Turn) -> None:
    turn.tell("time passes")
    turn.tick()


def _kill(turn: Turn, place: int) -> None:
    turn.tell("it is killed")
    turn.end(place)


def _close(turn: Turn, place: int) -> None:
    turn.tell("it is told to close")
    turn.hear(place, "closing")


def _fenced(turn: Turn, place: int) -> None:
    turn.tell("its commit is refused, for another process has taken over")
    turn.set(place, commits=False)
    turn.hear(place, "doubtful")


def _doubt(turn: Turn, place: int) -> None:
    turn.tell("it does not hear whether its commit arrived")
    turn.set(place, commits=False)
    turn.hear(place, "doubtful")


_ACTS: dict[str, Callable[..., None]] = {
    "markers": _markers,
    "commit": _commit,
    "stray": _stray,
    "start": _start,
    "takes over": _takes_over,
    "reads": _reads,
    "change": _change,
    "taken": _taken,
    "expired": _expired,
    "lost": _lost,
    "answer lost": _answer_lost,
    "refused": _refused,
    "late": _late,
    "looked up": _looked_up,
    "lookup lost": _lookup_lost,
    "fence read": _fence_read,
    "fence reached": _fence_reached,
    "fence failed": _fence_failed,
    "tick": _tick,
    "kill": _kill,
    "close": _close,
    "doubt": _doubt,
    "fenced": _fenced,
}
