"""Reads the ledger for every command that asks it something: the topic, or an index of it and the topic's rest.

Knows which entries are wanted and in which order they come. Must not know what the commands make of them.
"""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gateway.core.values import value
from gateway.kafka.cluster import LogBounds, TopicMissingError, describe, log_bounds
from gateway.kafka.codec import Undecodable
from gateway.kafka.scan import Span
from gateway.oncall.ledger.place import usual_file, usual_url

if TYPE_CHECKING:
    from gateway.oncall.desk import Desk, Found
    from gateway.oncall.ledger.index import Index, Row, Snapshot

# Brokers stamp the ledger's records. Where the lead of a partition moves to one whose clock is behind, a later record
# may bear an earlier time, so reading goes on a while behind the last time wanted.
BROKER_SKEW_MS = 600_000

MOST_NAMED = 500  # values named in one query

AGAIN_MAX = 10_000  # records of a partition, unreadable when they were indexed, that one question reads again

THE_TOPIC = "topic"  # in place of an index's URL: no index

Place = tuple[str, int, int]  # topic, partition, offset


@value(frozen=True, slots=True)
class LedgerEntry:
    """One ledger record and where it lies; `appended_at` is the broker's time, ms."""

    partition: int
    offset: int
    appended_at: int
    record: Mapping[str, Any]


Take = Callable[[Sequence[LedgerEntry]], Awaitable[None] | None]
Counted = Callable[[Sequence[str | int | None], int], None]  # what a group has in common, and how many it has


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries are asked for; None is any. Times are of the append, in ms, `until` itself excluded.

    An input matches the record about it and those about its replays.
    """

    since: int | None = None
    until: int | None = None
    subjects: frozenset[str] | None = None
    inputs: frozenset[Place] | None = None
    event_ids: frozenset[str] | None = None
    keys: frozenset[str] | None = None
    outcomes: frozenset[str] | None = None
    reasons: frozenset[str] | None = None
    transmitted: frozenset[str] | None = None

    def in_time(self, appended_at: int) -> bool:
        """Whether what was appended then is asked for."""
        return (self.since is None or appended_at >= self.since) and (self.until is None or appended_at < self.until)

    def matches(self, entry: LedgerEntry) -> bool:
        """Whether this entry is asked for."""
        record = entry.record
        return (
            self.in_time(entry.appended_at)
            and (self.subjects is None or record["subject_ref"] in self.subjects)
            and (self.event_ids is None or record["event_id"] in self.event_ids)
            and (self.keys is None or record["idempotency_key"] in self.keys)
            and (self.outcomes is None or record["outcome"] in self.outcomes)
            and (self.reasons is None or record["reason"] in self.reasons)
            and (self.transmitted is None or record["transmitted"] in self.transmitted)
            and (self.inputs is None or any(place in self.inputs for place in places_of(record)))
        )

    @property
    def is_short(self) -> bool:
        """Whether a query can say exactly this: few values, and no inputs, which are of a record or its replays."""
        lists = (self.subjects, self.event_ids, self.keys, self.outcomes, self.reasons, self.transmitted)
        return self.inputs is None and all(values is None or len(values) <= MOST_NAMED for values in lists)


ALL = Wanted()


def places_of(record: Mapping[str, Any]) -> list[Place]:
    """The input that a ledger record is about and, if that is a replay, the input replayed."""
    told = (record["input"], record["replay_of"])
    return [(each["topic"], each["partition"], each["offset"]) for each in told if each is not None]


class IndexUnfitError(Exception):
    """The database can't be used as an index of this ledger; the text says why and what to do."""


class IndexAwayError(Exception):
    """The database does not answer, or another one holds its lock too long."""


class Ledger:
    """The ledger of one desk. `told` says where the entries come from."""

    def __init__(self, desk: Desk, index: Index | None = None) -> None:
        self._desk = desk
        self._index = index
        self._topic = desk.names.ledger
        self.told = f"read from the topic {self._topic}"
        self.unreadable = 0  # records in the time wanted that could not be read, over all reads so far

    async def read(self, take: Take, wanted: Wanted = ALL) -> None:
        """Hand the wanted entries to `take`, some at a time, in order of partition and offset.

        What the topic held when this was called is in it, whatever the index lacks.
        Raises TopicMissingError, KafkaUnavailableError, RegistryAway, IndexUnfitError, IndexAwayError.
        """

        async def from_index(rows: Snapshot, partition: int) -> None:
            again = await self._again(rows, partition, wanted)
            for some in rows.rows(partition, wanted):
                entries = [entry for entry in await self._entries(some) if wanted.matches(entry)]
                while again and again[0].offset < some[-1].offset:
                    entries.append(again.popleft())
                await hand(take, sorted(entries, key=lambda entry: entry.offset))
            await hand(take, list(again))

        await self._read(from_index, take, wanted)

    async def count(self, by: Sequence[str], counted: Counted, take: Take, wanted: Wanted = ALL) -> None:
        """Hand what is wanted to `take`, or what the index can count by itself to `counted`. Raises as `read` does."""
        if not wanted.is_short:
            await self.read(take, wanted)
            return

        async def from_index(rows: Snapshot, partition: int) -> None:
            for values, records in rows.counts(partition, by, wanted):
                counted(values, records)
            await hand(take, list(await self._again(rows, partition, wanted)))

        await self._read(from_index, take, wanted)

    async def _read(self, from_index: Callable[[Snapshot, int], Awaitable[None]], take: Take, wanted: Wanted) -> None:
        if self._index is None:
            for partition in await self._logs():
                await self._read_topic(partition, 0, take, wanted)
            return
        with self._index.snapshot() as rows:
            rest = 0
            for partition, log in (await self._logs()).items():  # after the snapshot, so never behind it
                at = rows.offsets.get(partition, 0)
                self._index.refuse_ahead(partition, at, log.end)
                await from_index(rows, partition)
                if at < log.end:
                    rest += log.end - max(at, log.start)
                    await self._read_topic(partition, at, take, wanted)
        self.told = f"read from the index at {self._index.where}; {rest:,} newer offsets from the topic {self._topic}"

    async def _logs(self) -> dict[int, LogBounds]:
        cluster = await describe(self._desk.client, [self._topic])
        if self._topic not in cluster.topics:
            raise TopicMissingError([self._topic])
        bounds = await log_bounds(self._desk.client, cluster.topics[self._topic].partitions)
        return {partition.partition: found for partition, found in bounds.items()}

    async def _again(self, rows: Snapshot, partition: int, wanted: Wanted) -> deque[LedgerEntry]:
        """What could not be read when it was indexed, and can be by now: perhaps its schema is registered at last."""
        entries: deque[LedgerEntry] = deque()
        for offsets in rows.unreadable(partition, wanted):
            places = [(self._topic, partition, offset) for offset in offsets]
            found = await self._desk.at(places) if len(entries) < AGAIN_MAX else []
            read = [
                LedgerEntry(partition, each.offset, each.timestamp, each.record)
                for each in found
                if each is not None and each.record is not None
            ]
            self.unreadable += len(offsets) - len(read)
            entries.extend(entry for entry in read if wanted.matches(entry))
        return entries

    async def _entries(self, rows: Sequence[Row]) -> list[LedgerEntry]:
        codec = self._desk.codec
        await codec.prepare([row.value for row in rows])
        entries = []
        for row in rows:
            decoded = codec.decode(self._topic, row.value)
            if isinstance(decoded, Undecodable):  # its schema has left the registry since
                self.unreadable += 1
            else:
                entries.append(LedgerEntry(row.partition, row.offset, row.appended_at, decoded.record))
        return entries

    async def _read_topic(self, partition: int, start: int, take: Take, wanted: Wanted) -> None:
        async def sift(found: Sequence[Found]) -> None:
            entries = []
            for each in found:
                if each.record is None:
                    self.unreadable += wanted.in_time(each.timestamp)
                    continue
                entry = LedgerEntry(each.partition, each.offset, each.timestamp, each.record)
                if wanted.matches(entry):
                    entries.append(entry)
            await hand(take, entries)

        until = None if wanted.until is None else wanted.until + BROKER_SKEW_MS
        await self._desk.read(self._topic, sift, Span(wanted.since, until, {partition: start}))


async def hand(take: Take, entries: Sequence[LedgerEntry]) -> None:
    """Give entries, if there are any, to one who takes them at once or by and by."""
    if entries:
        taking = take(entries)
        if inspect.isawaitable(taking):
            await taking


@asynccontextmanager
async def open_ledger(desk: Desk, index_url: str = "") -> AsyncIterator[Ledger]:
    """The ledger of this desk: from an index and the topic's rest, or with THE_TOPIC from the topic alone.

    Without a URL the index at its usual place is used if there is one and it fits; the topic else.
    Raises IndexUnfitError, IndexAwayError, TopicMissingError, KafkaUnavailableError.
    """
    usual = usual_file(desk)
    if index_url == THE_TOPIC or not (index_url or (usual is not None and usual.exists())):
        yield Ledger(desk)
        return
    try:
        from gateway.oncall.ledger.indexing import index_of
        from gateway.oncall.ledger.tables import Database
    except ImportError as error:
        raise IndexUnfitError(f"the package {error.name} is missing: install the gateway's extra `desk`") from error

    database = Database(index_url or usual_url(desk))
    try:
        index = await index_of(desk, database)
        try:
            with index.snapshot():
                ledger = Ledger(desk, index)
        except IndexUnfitError as error:
            if index_url:
                raise
            ledger = Ledger(desk)
            ledger.told += f" ({error})"
        yield ledger
    finally:
        database.close()
