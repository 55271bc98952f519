"""What a lane remembers of one input record on its way from delivery to settlement.

Knows the record, what it was announced as, and how it ended. Must not know when anything happens to it: that
is core/lane.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from gateway.core.consent import ConsentState
from gateway.core.decide import Permit, Scope
from gateway.core.events import Event
from gateway.core.metadata import IntentRef
from gateway.core.outcome import Receipt
from gateway.core.reasons import Reason, Transmitted
from gateway.core.values import value


@dataclass(frozen=True, slots=True)
class ReplayOf:
    """The input record that a replay request points to."""

    topic: str
    partition: int
    offset: int
    request_id: str


@value(frozen=True, slots=True)
class InputRecord:
    """One delivered input record, decoded and checked: either an `event`, or the `reason` why there is none.

    `timestamp` is the append time (ms); `size` the bytes it may keep in memory; `origin` and `idempotency_key`
    are there with an event. `subject_ref` is None unless it was checked.
    """

    offset: int
    timestamp: int
    size: int
    source_digest: bytes
    event: Event | None = None
    reason: Reason | None = None
    subject_ref: str | None = None
    producer: str | None = None
    idempotency_key: str = ""
    origin: str = ""
    replay_of: ReplayOf | None = None


class State(Enum):
    """Where an entry is."""

    QUEUED = auto()  # waits for its turn
    CHECKING = auto()  # looks as if it will not be provided; a fence must confirm it
    ANNOUNCED = auto()  # in a batch whose intent is being committed or fenced
    SENDING = auto()  # in a batch on its way to GeNiE
    RETRYING = auto()  # waits for a time, then for its turn
    LOOKUP_WAIT = auto()  # waits until GeNiE can no longer accept it, to look it up
    LOOKING_UP = auto()  # a lookup is on its way
    DONE = auto()  # has its ending; not settled yet


@dataclass(slots=True)
class Announcement:
    """One intent of this lane; `holders` counts the entries for which it is still needed (live)."""

    batch_id: str
    announced_at: int
    expires_at: int
    ref: IntentRef | None = None  # known once produced
    holders: int = 0


@value(frozen=True, slots=True)
class Made:
    """A body that was built for a scope: a pure function of event, scope and mapping version."""

    scope: Scope
    body: bytes
    digest: bytes


@value(frozen=True, slots=True)
class Held:
    """What an entry was announced as, and the announcement that says so."""

    scope: Scope
    digest: bytes
    consent_record_id: str
    consent_version: int
    announcement: Announcement


@value(frozen=True, slots=True)
class Ending:
    """How an entry ended, or will end once a lookup has shown that GeNiE has not received it.

    `decided_at` is when the fence's end offsets were read, or when the record was judged without one. `consent` is what
    the ledger record names where nothing was announced: the state as last seen.
    """

    reason: Reason
    transmitted: Transmitted
    decided_at: int
    held: Held | None = None
    consent: ConsentState = None
    receipt: Receipt | None = None
    problem_type: str | None = None


@dataclass(slots=True)
class Entry:
    """One unsettled record of the window."""

    record: InputRecord
    state: State = State.QUEUED
    consent: ConsentState = None  # as last seen
    permit: Permit | None = None  # the last that was given
    made: Made | None = None
    held: tuple[Held, ...] = ()  # oldest first
    must_ask: bool = False  # a replay: what GeNiE has already is not sent again
    maybe_received: bool = False  # some attempt's outcome is unknown
    last_expires: int = 0  # until when GeNiE might accept such an attempt, ms
    decided_at: int = 0  # read time of the fence behind the last decision to send, ms
    batch_limit: int = 0  # the largest batch it may ride in; 0 is no limit of its own
    sends: int = 0
    unknowns: int = 0  # attempts whose outcome is unknown
    refusals: int = 0  # attempts that surely were not received
    asks: int = 0  # lookups without a usable answer
    first_failed_at: int = 0  # since when it is tried in vain, ms
    unknown_since: int = 0  # since when it is not known whether GeNiE has it, ms
    ending: Ending | None = None

    @property
    def event(self) -> Event:
        """The event; only entries that have one are ever announced."""
        if self.record.event is None:
            raise AssertionError("an entry without event has no turn")
        return self.record.event

    def announce(self, held: Held) -> None:
        """Hold a new announcement; it stands for the older one of the same body, unless that one expires later."""
        kept = []
        for older in self.held:
            if older.digest == held.digest and older.announcement.expires_at <= held.announcement.expires_at:
                older.announcement.holders -= 1
            else:
                kept.append(older)
        self.held = (*kept, held)
        held.announcement.holders += 1

    def release(self) -> None:
        """Let go of every announcement: surely nothing was received, or all is settled."""
        for held in self.held:
            held.announcement.holders -= 1
        self.held = ()
