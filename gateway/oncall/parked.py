"""What is set aside now: the parked topic, folded into one line for each input record that still needs somebody.

Knows which parked records are about the same input: a replay that was parked again has a parked record of its own,
under the place of its request, and nobody tombstones that. So it is counted to the record that it replays, whose
newest reason is what stands in the way today, and is gone with it once a later replay has resolved that. The tombstone
that says so is kept as long as requests are (kafka/topics.py); a parked replay whose request is gone is forgotten: its
input is gone for years, and nobody knows any more what became of it. Must not know why anything was parked, or how it
is printed.

Memory stays bounded however much is parked: rows lie in a temporary SQLite database, which spills to disk.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiokafka.structs import TopicPartition

from gateway.kafka.cluster import describe, log_bounds
from gateway.kafka.scan import Span
from gateway.oncall.desk import Desk, Found
from gateway.oncall.ledger.source import Place
from gateway.oncall.places import parse_place, shown_place

GONE = 1 << 62  # where the log of a partition that does not exist begins: behind every offset
SOON_MS = 7 * 86_400_000  # an input that retention deletes within this is told

CACHE_KB = 8_192  # of rows in memory; the others lie on disk

_TABLES = f"""
PRAGMA cache_size = -{CACHE_KB};
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE record (
    place TEXT PRIMARY KEY, lane TEXT, offset INTEGER, appended_at INTEGER, dead INTEGER, replayed TEXT,
    lies TEXT, event_type TEXT, subject_ref TEXT, producer TEXT, reason TEXT, detail TEXT, transmitted TEXT,
    parked_at INTEGER, expires_at INTEGER, attempts INTEGER
) WITHOUT ROWID;
CREATE TABLE log (lane TEXT PRIMARY KEY, start INTEGER) WITHOUT ROWID;
"""
# Of one place the newest counts; it lies in one partition, unless partitions were added.
_PUT = """
INSERT INTO record VALUES (
    :place, :lane, :offset, :appended_at, :dead, NULL,
    :lies, :event_type, :subject_ref, :producer, :reason, :detail, :transmitted, :parked_at, :expires_at, :attempts
) ON CONFLICT (place) DO UPDATE SET
    appended_at = excluded.appended_at, dead = excluded.dead, lies = excluded.lies,
    event_type = excluded.event_type, subject_ref = excluded.subject_ref, producer = excluded.producer,
    reason = excluded.reason, detail = excluded.detail, transmitted = excluded.transmitted,
    parked_at = excluded.parked_at, expires_at = excluded.expires_at, attempts = excluded.attempts
WHERE excluded.appended_at >= record.appended_at
"""
# SQLite takes the bare columns of a query with one max() from the row that has it: the newest of each input.
_FOLD = """
CREATE TABLE live AS
    SELECT one.*, coalesce(one.replayed, one.place) AS input FROM record AS one
    LEFT JOIN record AS replayed ON replayed.place = one.replayed
    WHERE NOT one.dead
    AND NOT (replayed.place IS NOT NULL AND replayed.dead AND replayed.appended_at >= one.appended_at);
CREATE TABLE newest AS
    SELECT input, max(appended_at) AS appended_at, reason, detail, lies FROM live GROUP BY input;
CREATE TABLE parked AS
    SELECT newest.*, min(live.parked_at) AS since, max(live.parked_at) AS parked_at,
        max(live.event_type) AS event_type, max(live.subject_ref) AS subject_ref, max(live.producer) AS producer,
        sum(live.attempts) AS attempts, sum(live.replayed IS NOT NULL) AS replays,
        CASE WHEN sum(live.transmitted = 'yes') THEN 'yes' WHEN sum(live.transmitted = 'unknown') THEN 'unknown'
            ELSE 'no' END AS transmitted,
        max(CASE WHEN live.replayed IS NULL THEN live.expires_at END) AS expires_at,
        '' AS lane, 0 AS offset, 0 AS gone
    FROM newest JOIN live USING (input) GROUP BY input;
"""
_PLACES = "UPDATE parked SET lane = lane_of(input), offset = offset_of(input)"
_MARK_GONE = "UPDATE parked SET gone = offset < (SELECT start FROM log WHERE log.lane = parked.lane)"
_WANTED = """
    (:reason IS NULL OR reason = :reason) AND (:event_type IS NULL OR event_type = :event_type)
    AND (:subject IS NULL OR subject_ref = :subject) AND (:producer IS NULL OR producer = :producer)
    AND (:lane IS NULL OR lane = :lane) AND (:since IS NULL OR since >= :since) AND (:until IS NULL OR since < :until)
"""
_COUNT = f"SELECT count(*) FROM parked WHERE {_WANTED}"  # noqa: S608 - constants of this module
_PAGE = f"SELECT * FROM parked WHERE {_WANTED} ORDER BY since, lane, offset LIMIT :limit"  # noqa: S608 - the same
_STATS = {
    by: f"""
    SELECT coalesce({by}, '') AS name, count(*) AS count, min(since) AS oldest, max(since) AS newest,
        sum(transmitted = 'unknown') AS unknown, sum(gone) AS gone,
        sum(NOT gone AND coalesce(expires_at, :never) < :soon) AS soon
    FROM parked WHERE {_WANTED} GROUP BY {by} ORDER BY count DESC, name
    """  # noqa: S608 - the same
    for by in ("reason", "event_type", "producer", "lane")
}


@dataclass(frozen=True, slots=True)
class Selection:
    """Which of the parked are asked for; None is any. Times are of the first parking, ms, `until` excluded."""

    reason: str | None = None
    event_type: str | None = None
    subject: str | None = None
    producer: str | None = None
    lane: str | None = None  # topic:partition of the input
    since: int | None = None
    until: int | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        """By the names of the queries."""
        return {name: getattr(self, name) for name in self.__slots__}


EVERYTHING = Selection()


@dataclass(frozen=True, slots=True)
class ParkedInput:
    """One input record that was set aside and not resolved since. Times in ms."""

    input: Place
    event_type: str | None
    subject_ref: str | None
    producer: str | None
    reason: str  # of the newest parking
    detail: str
    transmitted: str  # by any attempt
    attempts: int  # in all
    since: int  # of the first parking
    parked_at: int  # of the newest
    replays: int  # that were parked again
    expires_at: int | None  # when retention may delete the input; None if only a replay of it was parked
    gone: bool  # the input topic no longer has it
    lies: str  # place of the newest parked record


@dataclass(frozen=True, slots=True)
class Share:
    """How much of what is parked has one reason, type, producer or input partition. Times in ms."""

    name: str  # "" for what has none
    count: int
    oldest: int
    newest: int
    unknown: int  # of which GeNiE may have received
    gone: int  # whose input is gone
    soon: int  # whose input retention deletes within SOON_MS


class Shelf:
    """All that is parked. Fill it once (`shelve`), ask it, close it."""

    def __init__(self, cluster_id: str) -> None:
        self.unreadable = 0  # records that are no parked records
        self.forgotten = 0  # replays that were parked, and whose requests are gone
        self.foreign = 0  # records about another Kafka cluster, whose places mean nothing here
        self._cluster_id = cluster_id
        self._rows = sqlite3.connect("")  # a temporary file that no other process sees
        self._rows.row_factory = sqlite3.Row
        self._rows.executescript(_TABLES)
        self._rows.create_function("lane_of", 1, lambda place: place.rpartition(":")[0], deterministic=True)
        self._rows.create_function("offset_of", 1, lambda place: int(place.rpartition(":")[2]), deterministic=True)

    def close(self) -> None:
        """Forget all."""
        self._rows.close()

    def take(self, found: Sequence[Found]) -> None:
        """Note records of the parked topic."""
        self._rows.executemany(_PUT, filter(None, map(self._row, found)))

    def unnamed_replays(self, topic: str) -> dict[int, int]:
        """The replay requests in `topic` that were parked: partition -> the first offset."""
        lanes = "SELECT lane, min(offset) FROM record WHERE NOT dead GROUP BY lane"
        split = [(lane.rpartition(":"), first) for lane, first in self._rows.execute(lanes)]
        return {int(partition): first for (name, _, partition), first in split if name == topic}

    def name_replays(self, requests: Sequence[Found], inputs: Collection[str]) -> None:
        """Note which inputs replay requests are about, those that name a place in one of these topics: what another
        says that somebody wrote by hand could be any text."""
        named = ((_replayed(each.record), each.place) for each in requests if each.record is not None)
        rows = [(shown_place(place), lies) for place, lies in named if place[0] in inputs and min(place[1:]) >= 0]
        self._rows.executemany("UPDATE record SET replayed = ? WHERE place = ?", rows)

    def fold(self) -> list[TopicPartition]:
        """All is noted. The input partitions that something was parked of."""
        self._rows.executescript(_FOLD)
        self._rows.execute(_PLACES)
        lanes = [lane.rpartition(":") for (lane,) in self._rows.execute("SELECT DISTINCT lane FROM parked")]
        return [TopicPartition(topic, int(partition)) for topic, _, partition in lanes]

    def mark_gone(self, starts: Mapping[TopicPartition, int]) -> None:
        """Where the logs of these partitions begin."""
        rows = [(f"{lane.topic}:{lane.partition}", start) for lane, start in starts.items()]
        self._rows.executemany("INSERT INTO log VALUES (?, ?)", rows)
        self._rows.execute(_MARK_GONE)

    def forget_replays(self, topic: str) -> None:
        """Drop what was parked of replay requests that have left this topic: what they were about is not known."""
        forgotten = self._rows.execute("DELETE FROM parked WHERE gone AND lane GLOB ?", (f"{topic}:*",))
        self.forgotten = forgotten.rowcount

    def count(self, wanted: Selection = EVERYTHING) -> int:
        """How many there are of these."""
        counted: int = self._rows.execute(_COUNT, wanted.parameters).fetchone()[0]
        return counted

    def page(self, wanted: Selection, limit: int) -> list[ParkedInput]:
        """These, the longest parked first."""
        return [_parked(row) for row in self._rows.execute(_PAGE, {**wanted.parameters, "limit": limit})]

    def stats(self, wanted: Selection, by: str, now: int) -> list[Share]:
        """How these share out by `reason`, `event_type`, `producer` or `lane`, the largest share first."""
        parameters = {**wanted.parameters, "soon": now + SOON_MS, "never": GONE}
        return [Share(*row) for row in self._rows.execute(_STATS[by], parameters)]

    def at(self, place: Place) -> ParkedInput | None:
        """What is parked of this input, or of the input that this replay request is about."""
        asked = shown_place(place)
        named = self._rows.execute("SELECT replayed FROM record WHERE place = ?", (asked,)).fetchone()
        inputs = (asked, named["replayed"] if named else None)
        row = self._rows.execute("SELECT * FROM parked WHERE input IN (?, ?)", inputs).fetchone()
        return None if row is None else _parked(row)

    def resolved_at(self, place: Place) -> int | None:
        """When a replay resolved this input, ms; None if none did, or long ago: tombstones are not kept for ever."""
        asked = "SELECT appended_at FROM record WHERE dead AND place = ?"
        row = self._rows.execute(asked, (shown_place(place),)).fetchone()
        return None if row is None else int(row["appended_at"])

    def _row(self, found: Found) -> dict[str, Any] | None:
        try:
            topic, partition, offset = parse_place(found.key or "")
        except ValueError:
            self.unreadable += 1
            return None
        record = found.record or _NOTHING
        if found.value is not None and record["input"] is None:
            self.unreadable += 1
            return None
        if found.value is not None and record["input"]["cluster_id"] != self._cluster_id:
            self.foreign += 1
            return None
        return {
            "place": found.key,
            "lane": f"{topic}:{partition}",
            "offset": offset,
            "appended_at": found.timestamp,
            "dead": found.value is None,
            "lies": found.place,
            "expires_at": record["input_expires_at"],
            **{name: record[name] for name in _COPIED},
        }


_COPIED = ("event_type", "subject_ref", "producer", "reason", "detail", "transmitted", "parked_at", "attempts")
_NOTHING: Mapping[str, Any] = dict.fromkeys((*_COPIED, "input", "input_expires_at"))


async def shelve(desk: Desk) -> Shelf:
    """Read all that is parked. Raises TopicMissingError, KafkaUnavailableError, RegistryAway."""
    shelf = Shelf(desk.cluster_id)
    await desk.read(desk.names.parked, shelf.take)
    if replays := shelf.unnamed_replays(desk.names.replays):
        names = desk.names
        take = partial(shelf.name_replays, inputs=(names.payments, names.scores))
        await desk.read(names.replays, take, Span(starts=replays))
    shelf.mark_gone(await log_starts(desk, shelf.fold()))
    shelf.forget_replays(desk.names.replays)
    return shelf


async def log_starts(desk: Desk, lanes: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
    """The first offset that each of these logs holds; GONE where there is no such partition."""
    if not lanes:
        return {}
    topics = (await describe(desk.client, {lane.topic for lane in lanes})).topics
    there = [lane for lane in lanes if lane.topic in topics and lane.partition in topics[lane.topic].leaders]
    bounds = await log_bounds(desk.client, there)
    return {lane: bounds[lane].start if lane in bounds else GONE for lane in lanes}


def _replayed(request: Mapping[str, Any]) -> Place:
    wanted = request["input"]
    return wanted["topic"], wanted["partition"], wanted["offset"]


def _parked(row: sqlite3.Row) -> ParkedInput:
    values = {name: row[name] for name in ParkedInput.__slots__ if name not in ("input", "gone")}
    return ParkedInput(input=parse_place(row["input"]), gone=bool(row["gone"]), **values)
