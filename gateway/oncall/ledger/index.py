"""The index of one ledger topic: rows and the offsets they reach to, always of one transaction.

Knows what a row holds and what makes an index unfit. Must not know how the topic is read: it is given records in the
order of each partition, perhaps more than once and by several indexers at a time, and keeps each exactly once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from gateway.core.events import DAY_MS, JST_AHEAD_MS
from gateway.oncall.ledger.source import MOST_NAMED, IndexUnfitError
from gateway.oncall.ledger.tables import (
    INDEXED,
    LAYOUT,
    OFFSETS,
    RECORDS,
    UNREADABLE,
    Database,
)

if TYPE_CHECKING:
    from gateway.oncall.ledger.following import Arrived
    from gateway.oncall.ledger.source import Wanted

ROWS_AT_ONCE = 2_000

Place = tuple[int, int]  # partition of the ledger, offset


@dataclass(frozen=True, slots=True)
class LedgerTopic:
    """Of which topic an index is. The id changes when a topic is made anew under its name."""

    cluster_id: str
    topic: str
    topic_id: str


@dataclass(frozen=True, slots=True)
class Row:
    """A record as it was in the topic."""

    partition: int
    offset: int
    appended_at: int
    value: bytes


class MovedError(Exception):
    """The index ends before the records given: somebody rebuilds it. Go on from where it ends now."""


class Index:
    """One index, in one database."""

    def __init__(self, database: Database, of: LedgerTopic) -> None:
        self._database = database
        self._of = of

    @property
    def where(self) -> str:
        """The database, without a password."""
        return self._database.where

    # --- filling it -----------------------------------------------------------------------------------------

    def claim(self, *, rebuild: bool = False) -> None:
        """Make it an index of this topic if it is none yet, or anew. Raises IndexUnfitError if it is of another."""
        self._database.create()
        with self._database.writing() as connection:
            if rebuild:
                self._database.recreate(connection)
            if connection.execute(sa.select(INDEXED)).first() is None:
                _insert(connection, INDEXED, [{"layout": LAYOUT, **asdict(self._of)}])
            self._check(connection)

    def offsets(self) -> dict[int, int]:
        """The offset after the last one indexed, for each partition of which any is."""
        with self._database.snapshot() as connection:
            return _offsets(connection)

    def add(self, partition: int, after: int, end: int, arrived: Sequence[Arrived]) -> list[Arrived]:
        """Take all that a partition holds from offset `after` to before `end`; what of it was new.

        Raises MovedError, IndexAwayError, and IndexUnfitError if it has become the index of another topic.
        """
        with self._database.writing() as connection:
            self._check(connection)
            known = _offsets(connection).get(partition, 0)
            if known < after:
                raise MovedError
            new = [each for each in arrived if each.offset >= known]
            _insert(connection, RECORDS, [_row(partition, each, each.record) for each in new if each.record])
            _insert(connection, UNREADABLE, [_unreadable(partition, each) for each in new if not each.record])
            if end > known:
                connection.execute(sa.delete(OFFSETS).where(OFFSETS.c.ledger_partition == partition))
                _insert(connection, OFFSETS, [{"ledger_partition": partition, "next_offset": end}])
            return new

    def unreadable(self, after: Place, limit: int) -> list[Place]:
        """Where what could not be read lies behind a place, in order, at most so many: partitions and offsets."""
        of = UNREADABLE.c
        place = (of.ledger_partition, of.ledger_offset)
        query = sa.select(*place).where(sa.tuple_(*place) > sa.tuple_(*after))
        with self.looking() as connection:
            return [(row[0], row[1]) for row in connection.execute(query.order_by(*place).limit(limit))]

    def read_at_last(self, partition: int, arrived: Sequence[Arrived]) -> list[Arrived]:
        """Take what could not be read when it was added, and can be by now; which of it nobody else had taken.

        Raises IndexAwayError, and IndexUnfitError if it has become the index of another topic.
        """
        with self._database.writing() as connection:
            self._check(connection)
            new = [each for each in arrived if each.record and _removed(connection, partition, each.offset)]
            _insert(connection, RECORDS, [_row(partition, each, each.record) for each in new if each.record])
            return new

    def rows_not_in(self, logs: Mapping[int, tuple[int, int]]) -> int:
        """How many rows lie outside these logs (partition -> first offset, end): what a rebuild would lose."""
        with self._database.snapshot() as connection:
            if not sa.inspect(connection).has_table(INDEXED.name):
                return 0
            found = connection.execute(sa.select(INDEXED)).first()
            if found is None:
                return 0
            query = sa.select(sa.func.count()).select_from(RECORDS)
            if found.topic_id == self._of.topic_id:
                of = RECORDS.c
                inside = [
                    sa.and_(of.ledger_partition == partition, of.ledger_offset >= start, of.ledger_offset < end)
                    for partition, (start, end) in logs.items()
                ]
                query = query.where(sa.not_(sa.or_(sa.false(), *inside)))
            return connection.execute(query).scalar_one()

    def refuse_ahead(self, partition: int, indexed_to: int, end: int) -> None:
        """Raise IndexUnfitError if it has more than the topic, which was cut off then, or another copy restored."""
        if indexed_to > end:
            raise IndexUnfitError(
                f"the index at {self.where} has partition {partition} up to offset {indexed_to}, but the topic ends at "
                f"{end}: records were lost from the topic, or another copy of it was restored. Find out which before "
                "you fill the index anew with `gateway ledger index --rebuild`."
            )

    # --- asking it ------------------------------------------------------------------------------------------

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """The index as it is now, whoever fills it. Raises IndexUnfitError, IndexAwayError."""
        with self.looking() as connection:
            yield Snapshot(connection)

    @contextmanager
    def looking(self) -> Iterator[sa.Connection]:
        """The same, for who asks in its own words."""
        with self._database.snapshot() as connection:
            self._check(connection)
            yield connection

    def _check(self, connection: sa.Connection) -> None:
        made = sa.inspect(connection).has_table(INDEXED.name)
        found = connection.execute(sa.select(INDEXED)).first() if made else None
        if found is None:
            raise IndexUnfitError(f"nothing is indexed at {self.where} yet: `gateway ledger index` does it")
        anew = "Give another --index, or fill this one anew: `gateway ledger index --rebuild`."
        if found.layout != LAYOUT:
            raise IndexUnfitError(
                f"the index at {self.where} was made by another release (layout {found.layout}, this one has "
                f"{LAYOUT}). {anew}"
            )
        of = self._of
        for what, there, here in (
            ("cluster", found.cluster_id, of.cluster_id),
            ("topic", found.topic, of.topic),
            ("topic id", found.topic_id, of.topic_id),
        ):
            if there != here:
                raise IndexUnfitError(f"the index at {self.where} is of {what} {there}, not of {here}. {anew}")


class Snapshot:
    """What the index holds at one moment."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self.offsets = _offsets(connection)
        self._found: Mapping[int, Sequence[int]] = {}  # what a long list was looked up to last
        self._found_for: Wanted | None = None

    def rows(self, partition: int, wanted: Wanted) -> Iterator[Sequence[Row]]:
        """Rows of a partition in the order of their offsets, some at a time: all that are wanted, perhaps others."""
        columns = (RECORDS.c.ledger_offset, RECORDS.c.appended_at, RECORDS.c.value)
        query = sa.select(*columns).where(*_narrowed(partition, wanted)).order_by(RECORDS.c.ledger_offset)
        long = _long_list(wanted)
        if long is None:
            for some in self._some(query):
                yield [Row(partition, row.ledger_offset, row.appended_at, row.value) for row in some]
            return
        for offsets in _chunks(self._looked_up(wanted, *long).get(partition, ())):
            found = self._connection.execute(query.where(RECORDS.c.ledger_offset.in_(offsets))).all()
            if found:
                yield [Row(partition, *row) for row in found]

    def _looked_up(
        self, wanted: Wanted, columns: Sequence[sa.ColumnElement[Any]], values: Sequence[Any]
    ) -> Mapping[int, Sequence[int]]:
        """Where rows with these values are: offsets by partition, in order; looked up once for all partitions."""
        if self._found_for is not wanted:
            found: dict[int, set[int]] = defaultdict(set)
            for some in _chunks(values):
                for column in columns:
                    at = sa.select(RECORDS.c.ledger_partition, RECORDS.c.ledger_offset).where(column.in_(some))
                    for partition, offset in self._connection.execute(at):
                        found[partition].add(offset)
            self._found = {partition: sorted(offsets) for partition, offsets in found.items()}
            self._found_for = wanted
        return self._found

    def counts(
        self, partition: int, by: Sequence[str], wanted: Wanted
    ) -> Iterator[tuple[Sequence[str | int | None], int]]:
        """How many rows of a partition are of each group, by columns or `day`, for what `is_short`."""
        columns = [_DAY if name == "day" else RECORDS.c[name] for name in by]
        query = sa.select(*columns, sa.func.count()).where(*_narrowed(partition, wanted))
        for *values, records in self._connection.execute(query.group_by(*columns)):
            yield values, records

    def unreadable(self, partition: int, wanted: Wanted) -> Iterator[Sequence[int]]:
        """Offsets of those in the time wanted that could not be read when they were added, some at a time."""
        of = UNREADABLE.c
        query = sa.select(of.ledger_offset).where(of.ledger_partition == partition, *_in_time(UNREADABLE, wanted))
        for some in self._some(query.order_by(of.ledger_offset)):
            yield [row.ledger_offset for row in some]

    def _some(self, query: sa.Select[Any]) -> Iterator[Sequence[sa.Row[Any]]]:
        streamed = self._connection.execution_options(stream_results=True, yield_per=ROWS_AT_ONCE)
        with streamed.execute(query) as found:
            yield from found.partitions()


# core/events.py's jst_day. Written out: PostgreSQL can't tell that two parameters of a grouped query are the same.
_AHEAD, _OF_A_DAY = (sa.literal_column(str(ms), sa.BigInteger) for ms in (JST_AHEAD_MS, DAY_MS))
_DAY = (RECORDS.c.appended_at + _AHEAD) // _OF_A_DAY


def _offsets(connection: sa.Connection) -> dict[int, int]:
    return {row.ledger_partition: row.next_offset for row in connection.execute(sa.select(OFFSETS))}


def _removed(connection: sa.Connection, partition: int, offset: int) -> bool:
    """Whether it was among what can't be read until now."""
    of = UNREADABLE.c
    there = sa.delete(UNREADABLE).where(of.ledger_partition == partition, of.ledger_offset == offset)
    return connection.execute(there).rowcount == 1


def _insert(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        connection.execute(sa.insert(table), rows)


def _row(partition: int, arrived: Arrived, record: Mapping[str, Any]) -> dict[str, Any]:
    about, replayed = record["input"], record["replay_of"] or {}
    return {
        "ledger_partition": partition,
        "ledger_offset": arrived.offset,
        "appended_at": arrived.appended_at,
        "subject_ref": record["subject_ref"],
        "event_id": record["event_id"],
        "event_type": record["event_type"],
        "idempotency_key": record["idempotency_key"],
        "outcome": record["outcome"],
        "reason": record["reason"],
        "transmitted": record["transmitted"],
        "input_topic": about["topic"],
        "input_partition": about["partition"],
        "input_offset": about["offset"],
        "replay_topic": replayed.get("topic"),
        "replay_partition": replayed.get("partition"),
        "replay_offset": replayed.get("offset"),
        "value": arrived.value,
    }


def _unreadable(partition: int, arrived: Arrived) -> dict[str, Any]:
    return {
        "ledger_partition": partition,
        "ledger_offset": arrived.offset,
        "appended_at": arrived.appended_at,
        "reason": arrived.why,
    }


def _long_list(wanted: Wanted) -> tuple[Sequence[sa.ColumnElement[Any]], Sequence[Any]] | None:
    """The columns, each with its index, and the values to look up in them some at a time; None if a list that one query
    can name narrows it down, or there is none."""
    of = RECORDS.c
    inputs = None if wanted.inputs is None else {offset for _, _, offset in wanted.inputs}
    lists: tuple[tuple[Sequence[sa.ColumnElement[Any]], Collection[Any] | None], ...] = (
        ((of.input_offset, of.replay_offset), inputs),
        ((of.event_id,), wanted.event_ids),
        ((of.idempotency_key,), wanted.keys),
        ((of.subject_ref,), wanted.subjects),
    )
    given = [(columns, values) for columns, values in lists if values is not None]
    columns, values = min(given, key=lambda each: len(each[1]), default=((), ()))
    return (columns, sorted(values)) if len(values) > MOST_NAMED else None


def _chunks(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """So many at a time as one query names."""
    return (values[at : at + MOST_NAMED] for at in range(0, len(values), MOST_NAMED))


def _narrowed(partition: int, wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    """The rows of a partition without most of those not wanted; a list too long to name leaves out nothing."""
    of = RECORDS.c
    named = (
        (of.subject_ref, wanted.subjects),
        (of.event_id, wanted.event_ids),
        (of.idempotency_key, wanted.keys),
        (of.outcome, wanted.outcomes),
        (of.reason, wanted.reasons),
        (of.transmitted, wanted.transmitted),
    )
    narrowed = [of.ledger_partition == partition, *_in_time(RECORDS, wanted)]
    narrowed += [column.in_(values) for column, values in named if values is not None and len(values) <= MOST_NAMED]
    if wanted.inputs is not None and len(wanted.inputs) <= MOST_NAMED:
        offsets = {offset for _, _, offset in wanted.inputs}
        # Two questions, each with its index: of one with `or`, SQLite makes a walk through the whole table.
        about, replayed = (
            sa.select(of.ledger_offset).where(of.ledger_partition == partition, column.in_(offsets))
            for column in (of.input_offset, of.replay_offset)
        )
        narrowed.append(of.ledger_offset.in_(about.union(replayed)))
    return narrowed


def _in_time(table: sa.Table, wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    conditions = []
    if wanted.since is not None:
        conditions.append(table.c.appended_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(table.c.appended_at < wanted.until)
    return conditions
