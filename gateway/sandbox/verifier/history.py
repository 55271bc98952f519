"""All that the topics hold, in compact form, and how it hangs together.

Knows the record kinds and which topic holds which. Must not know how topics are read, nor what is a defect.
Inputs come first: what is read after them is searched for their personal values.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from functools import lru_cache
from typing import Any, NamedTuple

from gateway import schemas
from gateway.sandbox.verifier.body import KINDS, EventKind
from gateway.sandbox.verifier.canary import Personal
from gateway.sandbox.verifier.consent import Change
from gateway.sandbox.verifier.holds import Holds
from gateway.sandbox.verifier.own import OwnRecords, Report
from gateway.sandbox.verifier.store import Chains, Partition, Spool

_OFFSET_BITS = 48  # an input's reference: number of its partition, then its offset
_OUTCOMES = ("PROVIDED", "DUPLICATE", "SUPERSEDED", "WITHHELD", "PARKED", "INVALID")
_CACHED_SUBJECTS = 65_536
_CHANGE = 3  # numbers kept of each consent record: appended at, partition, place

Decoded = tuple[str, Mapping[str, Any]]  # record kind and record


class Topic(Enum):
    """The topics that the verifier reads, in the order in which it needs them."""

    PAYMENTS = "lease.payments"
    SCORES = "norel.scores"
    REPLAYS = "genie.replay.requests"
    CONSENTS = "consent.records"
    CONTROLS = "genie.gateway.controls"
    INTENTS = "genie.provision.intents"
    LEDGER = "genie.provision.ledger"
    PARKED = "genie.provision.parked"


INPUTS = frozenset({Topic.PAYMENTS, Topic.SCORES, Topic.REPLAYS})


class Raw(NamedTuple):
    """One record of a topic, as a read_committed reader gets it."""

    topic: str
    partition: int
    offset: int
    timestamp: int  # ms, by the broker's clock
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()

    @property
    def where(self) -> str:
        return f"{self.topic}:{self.partition}:{self.offset}"


class Attempt(NamedTuple):
    """One entry of an intent."""

    row: int
    input: int | None  # reference of the input; None if no such record was delivered
    announced_at: int
    expires_at: int
    same_body: bool  # it announced the very body in question


class Entry(NamedTuple):
    """One ledger record that names an idempotency key."""

    input: int | None
    outcome: str
    transmitted: bool
    by_lookup: bool  # then decided_at need not be the decision that the sent body rests on
    replay: bool
    decided_at: int


class Event(NamedTuple):
    """An input record that could be read."""

    where: str
    lane: str
    kind: EventKind
    record: Mapping[str, Any]


class History:
    """Everything read so far. `report` is told of personal values in the gateway's own records."""

    def __init__(self, report: Report) -> None:
        self.partitions: list[Partition] = []
        self.personal = Personal()
        self.own = OwnRecords(self.personal.canaries, report)
        self.holds = Holds()
        self.strays: Counter[str] = Counter()  # ledger records of inputs that were not delivered
        self.outcomes: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.provided: Counter[int] = Counter()  # by key number, from the second PROVIDED on
        self.produced = 0
        self._spool = Spool()
        self._numbers: dict[tuple[str, int], int] = {}
        self._replays: set[int] = set()  # numbers of the partitions that hold replay requests
        self._consents: dict[bytes, array[int]] = {}
        self._keys: dict[str, int] = {}
        self._names: list[str] = []
        self._attempts = Chains()
        self._attempt_columns = (array("q"), array("q"), array("q"))  # input, announced at, expires at
        self._digests = array("Q")
        self._entries = Chains()
        self._entry_columns = (array("q"), array("q"))  # input, decided at
        self._entry_flags = bytearray()
        self.changes = lru_cache(_CACHED_SUBJECTS)(self._changes)

    def close(self) -> None:
        self._spool.close()

    def add(self, topic: Topic, raw: Raw) -> None:
        """Take one record of a topic."""
        if topic in INPUTS:
            self._add_input(topic, raw)
        elif topic is Topic.CONSENTS:
            place = self._keep(raw.value)  # of many subjects nothing is ever asked
            self._consents.setdefault(raw.key or b"", array("q")).extend((raw.timestamp, raw.partition, place))
        elif topic is Topic.CONTROLS:
            decoded = _decoded(raw.value, "Control")
            self.holds.add((raw.key or b"").decode("utf-8", "replace"), raw.timestamp, decoded)
        else:
            self._add_own(topic, raw)

    # ---- questions ------------------------------------------------------------------------------------------------

    def number(self, key: str) -> int:
        """The number of an idempotency key, which it gets on first sight."""
        number = self._keys.setdefault(key, len(self._names))
        if number == len(self._names):
            self._names.append(key)
        return number

    def numbers(self) -> range:
        """All of them."""
        return range(len(self._names))

    def key(self, number: int) -> str:
        return self._names[number]

    def attempts(self, number: int, digest: bytes) -> list[Attempt]:
        """The announcements of a key, oldest first; `digest` is of the body that they are compared with."""
        inputs, announced, expires = self._attempt_columns
        wanted = _short(digest)
        return [
            Attempt(row, _known(inputs[row]), announced[row], expires[row], self._digests[row] == wanted)
            for row in self._attempts.rows(number)
        ]

    def entries(self, number: int) -> list[Entry]:
        """The ledger records of a key, in order of writing."""
        inputs, decided = self._entry_columns
        return [
            Entry(
                input=_known(inputs[row]),
                outcome=_OUTCOMES[self._entry_flags[row] & 7],
                transmitted=bool(self._entry_flags[row] & 8),
                by_lookup=bool(self._entry_flags[row] & 16),
                replay=bool(self._entry_flags[row] & 32),
                decided_at=decided[row],
            )
            for row in self._entries.rows(number)
        ]

    def place(self, reference: int) -> tuple[Partition, int]:
        """Partition and offset of an input."""
        return self.partitions[reference >> _OFFSET_BITS], reference & ((1 << _OFFSET_BITS) - 1)

    def is_replay(self, reference: int) -> bool:
        return reference >> _OFFSET_BITS in self._replays

    def event(self, reference: int) -> Event | None:
        """The event in an input, or in the input that a replay request names; None if it cannot be read."""
        decoded = self._read_again(reference)
        if decoded is not None and decoded[0] == "ReplayRequest":
            target = decoded[1]["input"]
            original = self.find(target["topic"], target["partition"], target["offset"])
            if original is None or self.is_replay(original):
                return None
            reference, decoded = original, self._read_again(original)
        if decoded is None or decoded[0] not in KINDS:
            return None
        partition, offset = self.place(reference)
        return Event(partition.name(offset), f"{partition.topic}:{partition.number}", KINDS[decoded[0]], decoded[1])

    def find(self, topic: str, partition: int, offset: int) -> int | None:
        """The reference of an input; None if no such record was delivered."""
        number = self._numbers.get((topic, partition))
        if number is None or self.partitions[number].find(offset) is None:
            return None
        return (number << _OFFSET_BITS) | offset

    def events(self) -> Iterator[tuple[int, Event]]:
        """Every input that can be read, replay requests not among them."""
        for number, partition in enumerate(self.partitions):
            for offset in partition.offsets if number not in self._replays else ():
                reference = (number << _OFFSET_BITS) | offset
                if event := self.event(reference):
                    yield reference, event

    def _changes(self, subject_ref: str) -> Sequence[Change]:
        """The consent records of a subject, in the order in which the broker took them."""
        kept = self._consents.get(subject_ref.encode(), array("q"))
        changes = []
        for at in range(0, len(kept), _CHANGE):
            appended_at, partition, place = kept[at : at + _CHANGE]
            changes.append(Change(appended_at, partition, _decoded(self._kept(place), "ConsentRecord")))
        return sorted(changes, key=lambda change: change.appended_at)

    # ---- taking records in ----------------------------------------------------------------------------------------

    def _add_input(self, topic: Topic, raw: Raw) -> None:
        number = self._numbers.setdefault((raw.topic, raw.partition), len(self.partitions))
        if number == len(self.partitions):
            self.partitions.append(Partition(raw.topic, raw.partition))
        if topic is Topic.REPLAYS:
            self._replays.add(number)
        else:
            self.produced += 1
        decoded = _read(raw.value)
        self.partitions[number].add(raw.offset, self._keep(decoded))
        if decoded is not None:
            self.personal.learn(decoded[1])

    def _add_own(self, topic: Topic, raw: Raw) -> None:
        decoded = _read(raw.value)
        self.own.search(raw.where, raw.key, raw.value, raw.headers, decoded)
        if decoded is None:
            return
        kind, record = decoded
        if topic is Topic.INTENTS and kind == "ProvisionIntent":
            self._add_intent(record)
        elif topic is Topic.LEDGER and kind == "ProvisionRecord":
            self._add_entry(record)

    def _add_intent(self, record: Mapping[str, Any]) -> None:
        topic, _, partition = record["lane"].rpartition(":")
        lane = int(partition) if partition.isdecimal() else -1
        inputs, announced, expires = self._attempt_columns
        for entry in record["entries"]:
            self._attempts.add(self.number(entry["idempotency_key"]))
            inputs.append(_reference(self.find(topic, lane, entry["offset"])))
            announced.append(record["announced_at"])
            expires.append(record["expires_at"])
            self._digests.append(_short(entry["body_digest"]))

    def _add_entry(self, record: Mapping[str, Any]) -> None:
        at = record["input"]
        found = self.find(at["topic"], at["partition"], at["offset"])
        self.outcomes[record["outcome"]] += 1
        self.reasons[record["reason"]] += 1
        if found is None:
            self.strays[f"{at['topic']}:{at['partition']}:{at['offset']}"] += 1
        else:
            partition, offset = self.place(found)
            partition.settle(bisect_right(partition.offsets, offset) - 1)
        if record["idempotency_key"] is None:
            return
        number = self.number(record["idempotency_key"])
        if record["outcome"] == "PROVIDED" and any(entry.outcome == "PROVIDED" for entry in self.entries(number)):
            self.provided[number] += 1
        self._entries.add(number)
        self._entry_columns[0].append(_reference(found))
        self._entry_columns[1].append(record["decided_at"])
        self._entry_flags.append(
            _OUTCOMES.index(record["outcome"])
            | (record["transmitted"] == "yes") << 3
            | (record["reason"] == "resolved_by_lookup") << 4
            | (record["replay_of"] is not None) << 5
        )

    def _read_again(self, reference: int) -> Decoded | None:
        partition, offset = self.place(reference)
        index = partition.find(offset)
        found: Decoded | None = None if index is None else self._kept(partition.places[index])
        return found

    def _keep(self, value: object) -> int:
        return Partition.NOWHERE if value is None else self._spool.put(value)

    def _kept(self, place: int) -> Any:
        return None if place == Partition.NOWHERE else self._spool.get(place)


def _read(value: bytes | None) -> Decoded | None:
    """Kind and record of a value; None if it is none of ours. Poison is part of the input, so nothing escapes."""
    if value is None:
        return None
    try:
        return schemas.decode(value)
    except Exception:  # the decoder raises whatever the bytes make it raise
        return None


def _decoded(value: bytes | None, kind: str) -> Mapping[str, Any] | None:
    decoded = _read(value)
    return decoded[1] if decoded is not None and decoded[0] == kind else None


def _short(digest: bytes) -> int:
    """Enough of a digest to tell the bodies of one key apart."""
    return int.from_bytes(digest[:8], "big")


def _reference(found: int | None) -> int:
    return -1 if found is None else found


def _known(reference: int) -> int | None:
    return None if reference < 0 else reference
