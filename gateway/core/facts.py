"""What a lane is told (facts) and what it asks for (commands). Frozen nouns and verbs; nothing happens here.

A driver answers each command with the fact named beside it; it adds no judgement of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.core.consent import ConsentState
from gateway.core.entry import InputRecord
from gateway.core.holds import Holds
from gateway.core.metadata import CommitMetadata, IntentRef
from gateway.core.outcome import Answer, LookupReply, Stop
from gateway.core.values import value

# --- facts ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Opened:
    """The lane was taken over: what is committed, and the live intents read at exactly the offsets named there."""

    offset: int
    metadata: CommitMetadata
    intents: Sequence[Mapping[str, Any]]
    holds: Holds
    epoch: int


@dataclass(frozen=True, slots=True)
class Fetched:
    """Delivered records in order, the consumer's position behind them, and their subjects' consents as seen now."""

    records: Sequence[InputRecord]
    position: int
    consents: Mapping[str, ConsentState]


@dataclass(frozen=True, slots=True)
class SlotsGranted:
    """HTTP slots, at least one and at most as many as asked for."""

    count: int


@dataclass(frozen=True, slots=True)
class Produced:
    """All records of the open transaction are acknowledged; where its intents lie, in their order."""

    intents: Sequence[IntentRef]


@dataclass(frozen=True, slots=True)
class Committed:
    """The transaction is surely committed."""


@dataclass(frozen=True, slots=True)
class CommitDoubtful:
    """The transaction may or may not be committed."""


@dataclass(frozen=True, slots=True)
class FenceReached:
    """The view holds all that was acknowledged before `read_at` (ms, taken before the end offsets were read)."""

    read_at: int
    consents: Mapping[str, ConsentState]
    holds: Holds


@dataclass(frozen=True, slots=True)
class FenceFailed:
    """The view could not be proven fresh."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of sending a batch."""

    batch_id: str
    answer: Answer


@dataclass(frozen=True, slots=True)
class LookedUp:
    """A verified answer to a lookup, or None."""

    lookup_id: int
    reply: LookupReply | None


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed; `genie_ok_at`: when GeNiE last took an entry of any lane of this process, ms."""

    genie_ok_at: int = 0


@dataclass(frozen=True, slots=True)
class Closing:
    """Stop taking; settle what is in flight until `deadline` (ms), then close."""

    deadline: int


Fact = (
    Fetched
    | SlotsGranted
    | Produced
    | Committed
    | CommitDoubtful
    | FenceReached
    | FenceFailed
    | Answered
    | LookedUp
    | Tick
    | Closing
)

# --- commands ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FetchMore:
    """Deliver at most so many records -> Fetched."""

    limit: int


@dataclass(frozen=True, slots=True)
class WantSlots:
    """Acquire at most so many HTTP slots -> SlotsGranted."""

    count: int


@dataclass(frozen=True, slots=True)
class FreeSlots:
    """Give back slots that no batch will use."""

    count: int


@dataclass(frozen=True, slots=True)
class Parked:
    """A parked record with its key; `record` None is a tombstone."""

    key: str
    record: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Produce:
    """Begin a transaction, produce these, wait for every acknowledgement -> Produced or CommitDoubtful."""

    ledger: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    parked: Sequence[Parked] = field(default_factory=tuple)
    intents: Sequence[Mapping[str, Any]] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class Commit:
    """Add the offset and its metadata to the transaction and commit it -> Committed or CommitDoubtful."""

    offset: int
    metadata: str


@dataclass(frozen=True, slots=True)
class StartFence:
    """Prove the view fresh as of a moment after now -> FenceReached with these subjects, or FenceFailed."""

    subjects: frozenset[str]


@value(frozen=True, slots=True)
class OutgoingEntry:
    """One entry of a batch; `body` is canonical JSON."""

    idempotency_key: str
    origin: str
    source_digest: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class Send:
    """POST a batch signed with `expires_at`; its slot is free once it is answered -> Answered."""

    batch_id: str
    entries: Sequence[OutgoingEntry]
    expires_at: int


@dataclass(frozen=True, slots=True)
class LookUp:
    """Ask GeNiE about these keys -> LookedUp."""

    lookup_id: int
    keys: Sequence[str]


@dataclass(frozen=True, slots=True)
class Alert:
    """Lanes stop for a while: a person must look."""

    stop: Stop


@dataclass(frozen=True, slots=True)
class Reopen:
    """Drop the producer and open again from what is committed; this machine takes no more facts."""


@dataclass(frozen=True, slots=True)
class Closed:
    """All is settled that can be; close the producer."""


Command = FetchMore | WantSlots | FreeSlots | Produce | Commit | StartFence | Send | LookUp | Alert | Reopen | Closed
