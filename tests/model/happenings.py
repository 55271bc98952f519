"""What each thing that can happen does, to the world and to whoever hears of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.model import kafka as brokers
from tests.model import partner
from tests.model.partner import Whim
from tests.model.state import Answer
from tests.model.turn import Turn

OPENING: tuple[str, ...] = ("takes over", "reads")  # the order is the point


def _markers(turn: Turn) -> None:
    turn.tell("the markers of the transaction are written")
    turn.kafka = brokers.write_markers(turn.kafka)
    _all_go_on(turn)


def _all_go_on(turn: Turn) -> None:
    for place in range(len(turn.owners)):
        turn.go_on(place)


def _commit(turn: Turn, late: bool) -> None:
    turn.tell("a commit arrives" + (", its markers are not written yet" if late else ""))
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
    turn.tell("it takes the lane over: older owners can commit nothing more", place)
    turn.take_over(place)
    _next_step(turn, place)


def _reads(turn: Turn, place: int, view: int | None = None, broken: int = -1) -> None:
    turn.tell("it reads what is committed" + ("" if view is None else ", its view of consents is old"), place)
    turn.set(place, view=view, broken=broken)
    turn.read(place)
    _next_step(turn, place)


def _next_step(turn: Turn, place: int) -> None:
    owner = turn.set(place, steps=turn.owners[place].steps + 1)
    if owner.steps == len(OPENING):
        turn.open(place)


def _change(turn: Turn) -> None:
    change = turn.shape.changes[turn.version]
    turn.tell(change.sentence)
    turn.version += 1
    if change.arrive:
        _all_go_on(turn)


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


def _refused_by_a_proxy(turn: Turn, place: int, nth: int) -> None:
    request = turn.owners[place].sent[nth]
    turn.tell(f"a proxy answers batch {request.number} with an unsigned 403; the batch may still arrive")
    turn.let_travel(request)
    turn.answer(place, request, Answer(403, verified=False))


def _late(turn: Turn, nth: int) -> None:
    request = turn.travelling.pop(nth)
    turn.tell("a batch that nobody waits for any more arrives")
    turn.accept(partner.judge(turn.shape, turn.books, request.entries))


def _looked_up(turn: Turn, place: int, nth: int, how: str) -> None:
    keys = turn.owners[place].lookups[nth]
    reply = partner.look_up_stale(turn.books, keys) if how == "stale" else partner.look_up(turn.books, keys, how)
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
    turn.tell("its fence reads the end offsets of consents and controls", place)
    turn.set(place, fence=fence._replace(must=turn.version, view=view_behind_fence(turn.version)), view=None)
    if turn.version == len(turn.shape.changes):  # nothing more can come between, so nobody can tell when it arrives
        _fence_reached(turn, place)


def view_behind_fence(acknowledged: int) -> int:
    """The view that a fence brings holds all that was acknowledged when the end offsets were read."""
    return acknowledged


def _fence_reached(turn: Turn, place: int, newer: int | None = None) -> None:
    owner = turn.owners[place]
    if newer is not None:
        assert owner.fence is not None
        owner = turn.set(place, fence=owner.fence._replace(view=newer))
    fence = owner.fence
    assert fence is not None
    turn.tell("its fence is reached" + ("" if newer is None else ", and what came since is known too"), place)
    if owner.first_fence is None:
        turn.set(place, first_fence=fence.must)
    turn.hear(place, "fenced", fence.view, fence.age, fence.subjects)


def _fence_failed(turn: Turn, place: int) -> None:
    turn.tell("its fence fails", place)
    turn.hear(place, "not fenced")


def _tick(turn: Turn) -> None:
    turn.tell("time passes")
    turn.tick()


def _kill(turn: Turn, place: int) -> None:
    turn.tell("it is killed", place)
    turn.end(place)


def _close(turn: Turn, place: int) -> None:
    turn.tell("it is told to close", place)
    turn.hear(place, "closing")


def _fenced(turn: Turn, place: int) -> None:
    turn.tell("its commit is refused, for another process has taken over", place)
    turn.set(place, commits=False)
    turn.hear(place, "doubtful")


def _written(turn: Turn, place: int) -> None:
    numbers = turn.owners[place].written
    turn.tell("its writes are all acknowledged", place)
    turn.set(place, written=None)
    turn.hear(place, "produced", numbers)


def _committed(turn: Turn, place: int) -> None:
    turn.tell("its transaction is committed already", place)
    turn.set(place, commits=False)
    turn.hear(place, "committed")


def _doubt(turn: Turn, place: int) -> None:
    turn.tell("it does not hear whether its commit arrived", place)
    turn.set(place, commits=False)
    turn.hear(place, "doubtful")


ACTS: dict[str, Callable[..., None]] = {
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
    "refused by a proxy": _refused_by_a_proxy,
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
    "written": _written,
    "committed": _committed,
}
