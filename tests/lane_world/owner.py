"""One owner of the lane: carries out the machine's commands like a driver, with a clock of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gateway.core import facts
from gateway.core.entry import InputRecord
from gateway.core.lane import Lane
from gateway.core.outcome import LookupResult, LookupStatus
from tests.lane_world import promises
from tests.lane_world.genie import garble, journey
from tests.lane_world.kafka import Slots

if TYPE_CHECKING:
    from tests.lane_world.world import World

MAX_IDLE_TICKS = 100  # in a row: a lane that wakes and does nothing is spinning


class Owner:
    """A process that holds the lane, or believes so; carries out its commands like a driver."""

    def __init__(self, world: World) -> None:
        self.world, self.shape, self.rng = world, world.shape, world.rng
        self.epoch = world.kafka.take_over()
        most = self.shape.limits.skew_ms * (5 if self._may(self.shape.clocks_wrong) else 1)
        self.offset_of_clock = self.rng.randint(-most, most)
        self.slots = Slots(self.shape.slots)
        self.gone = False
        self.frozen_until = 0
        self.fence_began = 0
        self._position = world.kafka.offset
        self._alarm = 0
        self._idle_ticks = 0
        kafka = world.kafka
        holds = world.holds.at(world.now)
        opened = facts.Opened(kafka.offset, kafka.metadata, kafka.live_intents(), holds, self.epoch)
        world.tell(f"owner {self.epoch} opens at {kafka.offset}, {len(opened.intents)} live intents")
        world.happened["opened with live intents"] += bool(opened.intents)
        self.lane = Lane(world.rules, opened, self.now())

    def now(self) -> int:
        """This process's clock."""
        return self.world.now + self.offset_of_clock

    def start(self) -> None:
        """Begin to work."""
        self._obey(self.lane.start(self.now()))
        self._set_alarm()

    def is_idle(self) -> bool:
        """Whether it has nothing left to do."""
        return self.lane.wake_at(self.now()) is None and self.slots.free == self.shape.slots

    def hear(self, fact: facts.Fact, as_of: int = 0) -> None:
        """Hand a fact to the lane and carry out what it asks for."""
        if self.gone:
            return
        if self.world.now < self.frozen_until:
            self.world.later(self.frozen_until - self.world.now, lambda: self.hear(fact, as_of))
            return
        commands = self.lane.handle(fact, self.now())
        self._mind_spinning(fact, commands)
        for command in commands:
            if isinstance(command, facts.Send):
                fence = fact if isinstance(fact, facts.FenceReached) else None
                promises.at_send(self.world, self, command, fence, as_of)
        self._obey(commands)
        self._set_alarm()

    def _mind_spinning(self, fact: facts.Fact, commands: list[facts.Command]) -> None:
        self._idle_ticks = self._idle_ticks + 1 if isinstance(fact, facts.Tick) and not commands else 0
        spins = self._idle_ticks > MAX_IDLE_TICKS
        promises.check(not spins, "a lane that has nothing to do sleeps", self.world, view=self.lane.view())
        promises.check(self.lane.view()["unsettled"] <= self.shape.limits.window, "the window is bounded", self.world)

    def _set_alarm(self) -> None:
        self._alarm += 1
        alarm, wake_at = self._alarm, self.lane.wake_at(self.now())
        if wake_at is not None:
            self.world.later(max(1, wake_at - self.now()), lambda: self._tick(alarm))

    def _tick(self, alarm: int) -> None:
        if alarm == self._alarm:
            self.hear(facts.Tick(0 if self.world.is_troubled else self.now()))

    def _soon(self, most: int, act: Callable[[], None]) -> None:
        self.world.later(self.rng.randrange(1, most), act)

    def _may(self, likelihood: float) -> bool:
        return self.world.is_troubled and self.rng.random() < likelihood

    def _obey(self, commands: list[facts.Command]) -> None:
        for command in commands:
            _CALLS[type(command)](self, command)

    # --- Kafka --------------------------------------------------------------------------------------------

    def _fetch(self, command: facts.FetchMore) -> None:
        world, partition = self.world, self.world.partition
        if self._position >= len(partition):
            return
        ready_at = world.arrivals[self._position]
        if ready_at > world.now:
            world.later(ready_at - world.now, lambda: self._fetch(command))
            return
        records: list[InputRecord] = []
        while (
            self._position < len(partition)
            and world.arrivals[self._position] <= world.now
            and len(records) < command.limit
        ):
            if partition[self._position] is not None:
                records.append(world.read(self._position, self.epoch))
            self._position += 1
        stale = world.now - self.rng.randrange(3_000)
        subjects = {record.event.subject_ref for record in records if record.event is not None}
        fact = facts.Fetched(records, self._position, {s: world.consents.at(s, stale) for s in subjects})
        self._soon(20, lambda: self.hear(fact))

    def _produce(self, command: facts.Produce) -> None:
        self._soon(10, lambda: self._produced(command))

    def _produced(self, command: facts.Produce) -> None:
        if self.gone:
            return
        refs = self.world.kafka.produce(self.epoch, command)
        if refs is None or self._may(self.shape.produce_fails):
            self.world.happened["produce failed"] += 1
            self._soon(10, lambda: self.hear(facts.CommitDoubtful()))
        else:
            self._soon(10, lambda: self.hear(facts.Produced(refs)))

    def _commit(self, command: facts.Commit) -> None:
        lost = self._may(self.shape.commit_doubtful)

        def arrive() -> None:
            world = self.world
            if lost or not world.kafka.commit(self.epoch, command):
                world.tell(f"owner {self.epoch}: commit at {command.offset} is doubtful and lost", "doubtful and lost")
                self._soon(10, lambda: self.hear(facts.CommitDoubtful()))
                return
            for intent in world.kafka.live_intents():
                world.announced_in.setdefault(intent["batch_id"], world.step)
            promises.at_commit(world)
            if self._may(self.shape.commit_doubtful):
                world.tell(
                    f"owner {self.epoch}: commit at {command.offset} is doubtful but there", "doubtful but there"
                )
                self._soon(10, lambda: self.hear(facts.CommitDoubtful()))
            else:
                world.tell(f"owner {self.epoch}: committed {command.offset}, {len(world.kafka.ledger)} in the ledger")
                self._soon(10, lambda: self.hear(facts.Committed()))

        self._soon(20, arrive)

    def _fence(self, command: facts.StartFence) -> None:
        world, began, read_at = self.world, self.world.step, self.now()
        span = self.rng.randrange(1, 50)
        if self._may(self.shape.fence_slow):
            span = self.rng.randrange(1, 2 * self.shape.limits.decision_age_ms)
        if self._may(self.shape.fence_fails):
            world.happened["fence failed"] += 1
            world.later(span, lambda: self.hear(facts.FenceFailed()))
            return
        as_of = world.now + self.rng.randrange(span)

        def reach() -> None:
            self.fence_began = began
            consents = {subject: world.consents.at(subject, as_of) for subject in command.subjects}
            self.hear(facts.FenceReached(read_at, consents, world.holds.at(as_of)), as_of)

        world.later(span, reach)

    # --- GeNiE --------------------------------------------------------------------------------------------

    def _want_slots(self, command: facts.WantSlots) -> None:
        self.slots.acquire(command.count, lambda granted: self._soon(5, lambda: self.hear(facts.SlotsGranted(granted))))

    def _free_slots(self, command: facts.FreeSlots) -> None:
        self.slots.release(command.count)

    def _send(self, command: facts.Send) -> None:
        world = self.world
        trouble = self.shape.send_trouble if world.is_troubled else 0.0
        travel = journey(self.rng, trouble, self.shape.late, self.shape.limits.expires_ms)
        world.happened["sent"] += 1
        intent = next(i for i in world.kafka.intents.values() if i["batch_id"] == command.batch_id)
        offsets = {each["idempotency_key"]: each["offset"] for each in intent["entries"]}
        keys = [(offsets[entry.idempotency_key], entry.idempotency_key) for entry in command.entries]
        world.tell(f"owner {self.epoch}: sends {command.batch_id} {keys}, {travel}")
        said: list[Any] = []

        def arrive() -> None:
            answer = world.genie.take(command.entries, offsets, command.expires_at, world.now)
            said.append(garble(self.rng, answer) if travel.damaged else answer)
            world.tell(f"GeNiE answers {command.batch_id}: {said}")
            promises.at_commit(world)

        def answered() -> None:
            answer = travel.answer or said[0]
            self.slots.release(1)
            self.hear(facts.Answered(command.batch_id, answer))

        if travel.arrives_in is not None:
            world.later(travel.arrives_in, arrive)
        world.later(travel.answered_in, answered)

    def _look_up(self, command: facts.LookUp) -> None:
        world = self.world
        promises.check(len(set(command.keys)) == len(command.keys), "each key is asked once", world, keys=command.keys)
        self.slots.acquire(1, lambda _: self._soon(60, lambda: self._looked_up(command)))

    def _looked_up(self, command: facts.LookUp) -> None:
        world = self.world
        reply = world.genie.look_up(command.keys, world.now)
        if self._may(self.shape.lookup_trouble):
            results = [r for r in reply.results if self.rng.random() < 0.7]
            at = self.rng.randrange(len(results)) if results else 0
            if results and results[at].status is LookupStatus.NOT_RECEIVED:
                results[at] = LookupResult(results[at].idempotency_key, LookupStatus.PROCESSING)
                world.happened["processing"] += 1
            reply = replace(reply, results=tuple(results))
        lost = self._may(self.shape.lookup_trouble / 2)
        world.tell(f"owner {self.epoch}: lookup of {command.keys}: {'lost' if lost else reply}", "lookups")
        self.slots.release(1)
        self._soon(60, lambda: self.hear(facts.LookedUp(command.lookup_id, None if lost else reply)))

    # --- ends ---------------------------------------------------------------------------------------------

    def _alert(self, command: facts.Alert) -> None:
        self.world.happened["stopped"] += 1

    def _end(self, command: facts.Command) -> None:
        world = self.world
        world.tell(f"owner {self.epoch}: {type(command).__name__}")
        self.gone = True
        if world.owner is self:
            world.open_anew(self.rng.randrange(2_000))


_CALLS: dict[type[Any], Callable[[Owner, Any], None]] = {
    facts.FetchMore: Owner._fetch,
    facts.WantSlots: Owner._want_slots,
    facts.FreeSlots: Owner._free_slots,
    facts.Produce: Owner._produce,
    facts.Commit: Owner._commit,
    facts.StartFence: Owner._fence,
    facts.Send: Owner._send,
    facts.LookUp: Owner._look_up,
    facts.Alert: Owner._alert,
    facts.Reopen: Owner._end,
    facts.Closed: Owner._end,
}
