"""The world as a value: nested named tuples, equal when nothing tells them apart. Knows no step."""

from __future__ import annotations

from typing import Any, NamedTuple

Fact = tuple[Any, ...]  # its kind, then what machine.py makes a fact of


class Entry(NamedTuple):
    """One entry of an intent."""

    offset: int
    key: str
    digest: int


class Intent(NamedTuple):
    """An intent: how many ticks ago it was announced, whom it names, and the number of what else it says."""

    age: int
    entries: tuple[Entry, ...]
    rest: int


class Commit(NamedTuple):
    """What a commit says: offset, settled set and live intents."""

    offset: int = 0
    settled: tuple[int, ...] = ()
    live: tuple[Intent, ...] = ()


class Said(NamedTuple):
    """One ledger record."""

    offset: int
    key: str | None
    outcome: str
    reason: str
    transmitted: str
    digest: int | None
    replay_of: str | None


class Transaction(NamedTuple):
    """What is written and not decided; `commit` is there once the request to end it is on its way."""

    ledger: tuple[Said, ...]
    numbers: tuple[int, ...]  # of its intents, in the lane that wrote them
    commit: Commit | None = None


class Kafka(NamedTuple):
    """What is committed, who may commit, and the transaction that is open."""

    committed: Commit = Commit()
    ledger: tuple[Said, ...] = ()  # by offset
    holder: int = -1  # which of the owners took over last
    transaction: Transaction | None = None
    before: Commit | None = None  # markers are late: what a reader sees that does not wait for them
    strays: int = 0  # requests to end a transaction of this epoch that still travel, though nobody waits for them


class First(NamedTuple):
    """What GeNiE first took under a key."""

    origin: str
    source: str  # the record's name
    digest: int


class Stored(NamedTuple):
    """One key of GeNiE's books."""

    key: str
    offset: int | None  # of the record that it came from; None: before this story
    first: First
    status: str
    age: int  # in ticks, as far as it matters


class Request(NamedTuple):
    """A batch on its way to GeNiE; its owner waits for the answer as long as it holds it."""

    age: int  # of its announcement, ticks
    number: int  # of its announcement, in the lane that sent it
    entries: tuple[Entry, ...]


class Answer(NamedTuple):
    """What comes back: status 0 is nothing; results are (key, status, first, problem)."""

    status: int = 0
    results: tuple[tuple[str, str, First | None, str | None], ...] | None = None
    problem: str | None = None
    verified: bool = True


class Announced(NamedTuple):
    """An announcement that a lane remembers."""

    number: int
    intent: Intent
    durable: bool
    since: int = 0  # how many changes were acknowledged when it was written; 0 again once it is sent


class Fence(NamedTuple):
    """A fence that was asked for; once the end offsets are read, what it must bring, and what it brings."""

    subjects: frozenset[str]
    must: int | None = None
    view: int = 0
    age: int = 0
    durable: frozenset[int] = frozenset()  # announcements that were committed when it was asked for


class Owner(NamedTuple):
    """A process that holds the lane, or believes so."""

    stale: bool = False  # another process was started after it
    steps: int = 0  # of the opening that are done
    lane: int = -1
    read: Commit | None = None  # what it read of what is committed, until its lane is open
    view: int | None = None  # the version of the view of consents that it is stuck at, for a start
    broken: int = -1  # the offset that it can't decode
    position: int = 0
    fetch: int = 0  # how many it waits for
    slots: int = 0
    announced: tuple[Announced, ...] = ()
    produce: tuple[Any, ...] | None = None  # waits for the markers of the transaction before
    written: tuple[int, ...] | None = None  # all is written, but the offset is not in the transaction yet
    commits: bool = False  # waits for the answer to its commit
    fence: Fence | None = None
    first_fence: int | None = None  # what the first fence of its lane brought at least
    sent: tuple[Request, ...] = ()
    lookups: tuple[tuple[str, ...], ...] = ()


class State(NamedTuple):
    """All that exists around one lane."""

    version: int  # how many changes are acknowledged
    kafka: Kafka
    books: tuple[Stored, ...]  # GeNiE's, by key
    travelling: tuple[Request, ...]  # requests that nobody waits for any more
    owners: tuple[Owner, ...]  # in the order in which they started
    left: tuple[int, ...]  # of each trouble
