"""One thing happens: whoever it happens to hears of it, and an owner carries out what its lane then asks for.

An owner is a driver: it adds no judgement. What only it can see (slots, fetched records, a transaction's writes) it
does at once, because nobody else could tell when; what others can see or prevent waits to be the next thing.
"""

from __future__ import annotations

from typing import Any

from tests.model import invariants
from tests.model import kafka as brokers
from tests.model.machine import Machines
from tests.model.partner import Judged
from tests.model.shape import OLD, Shape, Trouble
from tests.model.state import Announced, Commit, Entry, Fact, Fence, Intent, Owner, Request, State
from tests.model.story import Telling

GONE = Owner(steps=-1)


class Turn:
    """A state while something happens in it; what does is `told`, if anybody wants to know."""

    def __init__(self, shape: Shape, machines: Machines, state: State, told: Telling | None) -> None:
        self.shape, self.machines = shape, machines
        self.version, self.kafka, self.books, travelling, owners, self.left = state
        self.travelling, self.owners = list(travelling), list(owners)
        self._told = told

    def state(self) -> State:
        """The state after it."""
        for place in reversed(range(len(self.owners))):
            if self.owners[place] is GONE:
                del self.owners[place]
                if self._told is not None:
                    self._told.end(place)
                self.kafka = brokers.without_owner(self.kafka, place)
        travelling = tuple(sorted(self.travelling))
        return State(self.version, self.kafka, self.books, travelling, tuple(self.owners), self.left)

    def tell(self, sentence: str, place: int | None = None) -> None:
        """Part of the story; about the owner at this place, if it begins with `it`."""
        if self._told is not None:
            self._told.tell(sentence, place)

    def spend(self, trouble: Trouble) -> None:
        """One trouble less is left."""
        place = list(self.shape.troubles).index(trouble)
        self.left = (*self.left[:place], self.left[place] - 1, *self.left[place + 1 :])

    def may(self, trouble: Trouble) -> bool:
        """Whether this trouble is left."""
        troubles = list(self.shape.troubles)
        return trouble in troubles and self.left[troubles.index(trouble)] > 0

    # --- owners -------------------------------------------------------------------------------------------

    def set(self, place: int, **changes: Any) -> Owner:
        """Change an owner."""
        owner = self.owners[place] = self.owners[place]._replace(**changes)
        return owner

    def start(self) -> None:
        """A process starts, and is to open the lane."""
        self.owners = [*(owner._replace(stale=True) for owner in self.owners), Owner()]
        if self._told is not None:
            self._told.start()

    def end(self, place: int) -> None:
        """A process is gone; what it sent travels on."""
        for request in self.owners[place].sent:
            self.let_travel(request)
        self.owners[place] = GONE

    def let_travel(self, request: Request) -> None:
        """Nobody waits for it any more; if GeNiE has all of it, it changes nothing."""
        had = {stored.key for stored in self.books}
        if request.age < OLD and not all(entry.key in had for entry in request.entries):
            self.travelling.append(request._replace(number=0))

    def take_over(self, place: int) -> None:
        """Fence all older owners."""
        self.kafka = brokers.take_over(self.kafka, place)

    def read(self, place: int) -> None:
        """Read what is committed."""
        self.set(place, read=brokers.read_committed(self.kafka))

    def open(self, place: int) -> None:
        """Both is done: the lane begins, and its first command is to commit the opening."""
        owner = self.owners[place]
        commit = owner.read
        assert commit is not None
        view = self.version if owner.view is None else owner.view
        step = self.machines.open(commit, view)
        announced = tuple(Announced(number, intent, True) for number, intent in enumerate(commit.live))
        self.set(place, lane=step.lane, read=None, position=commit.offset, announced=announced)
        self.obey(place, step.commands)

    def hear(self, place: int, *fact: Any) -> None:
        """Hand a fact to an owner's lane, and carry out what it asks for."""
        if self.owners[place].lane < 0:  # it is over
            return
        step = self.machines.step(self.owners[place].lane, fact)
        self.set(place, lane=step.lane)
        self.obey(place, step.commands, fact)

    def obey(self, place: int, commands: tuple[tuple[Any, ...], ...], fact: Fact = ()) -> None:
        """Carry out commands; what can be answered at once is, after all of them."""
        owner = self.owners[place]
        answers: list[Fact] = []
        fence = owner.fence
        if fact and fact[0] in ("fenced", "not fenced"):
            self.set(place, fence=None)
        for command in commands:
            match command:
                case ("want slots", count):
                    owner = self.owners[place]
                    self.set(place, slots=owner.slots + count)
                    answers.append(("slots", count))
                case ("free slots", count):
                    self.set(place, slots=self.owners[place].slots - count)
                case ("fetch", count):
                    self.set(place, fetch=count)
                case ("produce", *_):
                    self.set(place, produce=command)
                case ("commit", offset, settled, numbers):
                    self.ask_to_commit(place, offset, settled, numbers)
                case ("fence", subjects):
                    durable = frozenset(each.number for each in self.owners[place].announced if each.durable)
                    self.set(place, fence=Fence(subjects, durable=durable))
                    self.tell("it asks for a fence", place)
                case ("send", number, entries, age):
                    self.send(place, number, entries, age, fence if fact[:1] == ("fenced",) else None)
                case ("look up", keys):
                    self.set(place, lookups=(*self.owners[place].lookups, keys))
                    self.tell(f"it looks up {', '.join(keys)}", place)
                case ("closed" | "reopen",):
                    self.close(place, command[0])
                    return
        for answer in answers:
            self.hear(place, *answer)
        self.go_on(place)

    def close(self, place: int, how: str) -> None:
        """The lane is over: the process that should have it starts anew, any other ends."""
        if how == "reopen" and self.owners[place].stale and self.may(Trouble.STUBBORN):
            for request in self.owners[place].sent:
                self.let_travel(request)
            self.owners[place] = Owner(stale=True)
            self.tell("it drops its producer and wants to open the lane again", place)
            return
        self.tell("it drops its producer and lets go of the lane", place)
        self.end(place)

    def go_on(self, place: int) -> None:
        """What nobody else can see is done at once."""
        owner = self.owners[place]
        if owner.lane < 0:
            return
        if owner.produce is not None:
            self.produce(place, owner.produce)
        elif owner.fetch and owner.position < self.shape.ends[self.version]:
            self.fetch(place)
        else:
            known = self.machines.names(owner.lane)
            self.set(place, announced=tuple(each for each in owner.announced if each.number in known))

    def fetch(self, place: int) -> None:
        """Deliver what is there."""
        owner, inputs = self.owners[place], self.shape.inputs[: self.shape.ends[self.version]]
        offsets, position = [], owner.position
        while position < len(inputs) and len(offsets) < owner.fetch:
            if inputs[position] is not None:
                offsets.append(position)
            position += 1
        view = self.version if owner.view is None else owner.view
        self.set(place, position=position, fetch=0)
        self.hear(place, "fetched", tuple(offsets), position, view, owner.broken)

    # --- transactions -------------------------------------------------------------------------------------

    def produce(self, place: int, command: tuple[Any, ...]) -> None:
        """Write a transaction, unless the last one's markers are to be waited for, or a newer owner is there."""
        _, ledger, intents, parked = command
        if self.kafka.holder != place:
            self.tell("its transaction is refused, for another process has taken over", place)
            self.set(place, produce=None)
            self.hear(place, "doubtful")
            return
        if self.kafka.before is not None:
            return
        fenced = self.owners[place].first_fence
        invariants.at_produce(self.shape, ledger, parked, None if fenced is None else range(fenced, self.version + 1))
        numbers = tuple(number for number, _ in intents)
        self.kafka = brokers.begin(self.kafka, ledger, numbers)
        announced = [each for each in self.owners[place].announced if each.number not in numbers]
        announced += [Announced(number, intent, False, self.version) for number, intent in intents]
        self.set(place, produce=None, announced=tuple(sorted(announced)))
        if self.owners[place].fence is not None:  # it began too early for these
            fence = self.owners[place].fence
            self.set(place, fence=fence._replace(durable=fence.durable - set(numbers)))
        for said in ledger:
            self.tell(f"it settles record {said.offset} as {said.reason}", place)
        for number, intent in intents:
            self.tell(f"it announces batch {number}: {_named(intent.entries)}", place)
        if self.kafka.strays:  # one could end the transaction before it is whole
            self.set(place, written=numbers)
        else:
            self.hear(place, "produced", numbers)

    def ask_to_commit(self, place: int, offset: int, settled: tuple[int, ...], numbers: tuple[int, ...]) -> None:
        """Send the commit on its way."""
        intents = {each.number: each.intent for each in self.owners[place].announced}
        live = tuple(intents[number] for number in numbers)
        self.kafka = brokers.ask_to_commit(self.kafka, Commit(offset, settled, live))
        self.set(place, commits=True)
        names = ", ".join(f"batch {number}" for number in numbers) or "none"
        self.tell(
            f"it sends a commit of offset {offset}, settled beyond it {list(settled)}, live intents: {names}", place
        )

    def end_transaction(self, late: bool) -> None:
        """A commit arrives."""
        kafka = self.kafka
        transaction = kafka.transaction
        assert transaction is not None
        invariants.at_commit(self.shape, kafka, transaction, self.books, self.left)
        self.kafka = brokers.end(kafka, late)
        invariants.at_rest(self.shape, self.kafka, self.books)
        if kafka.holder >= 0:
            owner = self.owners[kafka.holder]
            numbers = transaction.numbers
            announced = [each._replace(durable=each.durable or each.number in numbers) for each in owner.announced]
            self.set(kafka.holder, announced=tuple(announced))

    # --- GeNiE --------------------------------------------------------------------------------------------

    def send(self, place: int, number: int, sent: tuple[tuple[str, int], ...], age: int, fence: Fence | None) -> None:
        """Put a batch on its way."""
        owner = self.owners[place]
        announced = next(each for each in owner.announced if each.number == number)
        offsets = {entry.key: entry.offset for entry in announced.intent.entries}
        entries = tuple(Entry(offsets[key], key, digest) for key, digest in sent)
        request = Request(age, number, entries)
        invariants.at_send(self.shape, fence, request, announced, self.machines.words.purposes)
        sent = announced._replace(since=0)
        known = tuple(sent if each is announced else each for each in owner.announced)
        self.set(place, sent=(*owner.sent, request), announced=known)
        self.tell(f"it sends batch {number}: {_named(entries)}", place)

    def answer(self, place: int, request: Request, *answer: Any) -> None:
        """The owner hears an answer; its slot is free."""
        owner = self.owners[place]
        sent = tuple(each for each in owner.sent if each is not request)
        self.set(place, sent=sent, slots=owner.slots - 1)
        self.hear(place, "answered", request.number, *answer)

    def accept(self, judged: Judged) -> None:
        """GeNiE has taken a batch in."""
        before = self.books
        invariants.rule(not judged.confused, "a key keeps its body")
        for entry, stored in judged.accepted:
            invariants.at_acceptance(self.shape, self.kafka, before, entry)
            before = (*before, stored)
            self.tell(f"GeNiE takes record {entry.offset}")
        self.books = judged.books
        if judged.accepted:
            invariants.at_rest(self.shape, self.kafka, self.books)
            travelling, self.travelling = self.travelling, []
            for request in travelling:
                self.let_travel(request)

    # --- time ---------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Time passes; whoever has an alarm for it wakes."""
        hour = max(self.shape.old, self.shape.hour)
        self.travelling = [r._replace(age=r.age + 1) for r in self.travelling if r.age + 1 < OLD]
        if Trouble.STALE in self.shape.troubles:
            self.books = tuple(each._replace(age=min(OLD, each.age + 1)) for each in self.books)
        self.kafka = _aged_kafka(self.kafka, hour)
        self.owners = [self._aged(owner, hour) for owner in self.owners]
        for place in reversed(range(len(self.owners))):  # from the last, because one that is over is taken out
            owner = self.owners[place]
            if owner.lane >= 0 and self.machines.must_wake(owner.lane):
                self.hear(place, "tick")

    def _aged(self, owner: Owner, hour: int) -> Owner:
        announced = tuple(each._replace(intent=_older(each.intent, hour)) for each in owner.announced)
        sent = tuple(request._replace(age=min(OLD, request.age + 1)) for request in owner.sent)
        lane = self.machines.age(owner.lane) if owner.lane >= 0 else -1
        read = owner.read and _aged_commit(owner.read, hour)
        owner = owner._replace(announced=announced, sent=sent, lane=lane, read=read)
        if owner.produce is not None:
            kind, ledger, intents, parked = owner.produce
            intents = tuple((number, _older(intent, hour)) for number, intent in intents)
            owner = owner._replace(produce=(kind, ledger, intents, parked))
        if owner.fence is not None and owner.fence.must is not None:
            owner = owner._replace(fence=owner.fence._replace(age=1))
        return owner


def _older(intent: Intent, hour: int) -> Intent:
    return intent._replace(age=min(hour, intent.age + 1))


def _aged_commit(commit: Commit, hour: int) -> Commit:
    return commit._replace(live=tuple(_older(intent, hour) for intent in commit.live))


def _aged_kafka(kafka: brokers.Kafka, hour: int) -> brokers.Kafka:
    transaction = kafka.transaction
    if transaction is not None and transaction.commit is not None:
        transaction = transaction._replace(commit=_aged_commit(transaction.commit, hour))
    before = kafka.before and _aged_commit(kafka.before, hour)
    return kafka._replace(committed=_aged_commit(kafka.committed, hour), transaction=transaction, before=before)


def _named(entries: tuple[Entry, ...]) -> str:
    return ", ".join(f"record {entry.offset} as body {entry.digest}" for entry in entries)
