"""Follows the ledger topic into an index.

Knows the order: whose index it is, how far it is, the topic up to its end now, then what comes. Must not know rows.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from gateway.kafka.cluster import log_bounds
from gateway.kafka.scan import Span
from gateway.oncall.desk import Desk, Found
from gateway.oncall.ledger.following import Arrived, arrived_of, follow, ledger_topic
from gateway.oncall.ledger.index import Index, LedgerTopic, MovedError
from gateway.oncall.ledger.tables import Database

AGAIN_AT_ONCE = 500  # records


class RebuildLosesError(Exception):
    """A rebuild would lose records that the topic does not hold any more."""


class Indexed:
    """What one run has put into the index."""

    def __init__(self) -> None:
        self.records = 0
        self.unreadable: Counter[str] = Counter()  # by reason
        self.gone = 0  # offsets that the topic had dropped before they were indexed
        self.at_last = 0  # records that could not be read before, by this run or an earlier one


async def index_of(desk: Desk, database: Database) -> Index:
    """The index of this desk's ledger in that database."""
    topic = await ledger_topic(desk)
    return Index(database, LedgerTopic(desk.cluster_id, topic.name, str(topic.id)))


async def claim(desk: Desk, index: Index, *, rebuild: bool, lose: bool) -> None:
    """Begin to fill it, anew if `rebuild`; `lose`: even if the topic lacks what it holds.

    Raises IndexUnfitError, RebuildLosesError, IndexAwayError.
    """
    if rebuild and not lose:
        bounds = await log_bounds(desk.client, (await ledger_topic(desk)).partitions)
        lost = index.rows_not_in({partition.partition: (at.start, at.end) for partition, at in bounds.items()})
        if lost:
            raise RebuildLosesError(
                f"{lost:,} records in the index at {index.where} are not in {desk.names.ledger} any more: a rebuild "
                "would lose them. Copy the database first, then --rebuild --yes; or begin another with --index."
            )
    index.claim(rebuild=rebuild)


async def up_to_the_end(desk: Desk, index: Index, indexed: Indexed) -> None:
    """Index what the topic holds now; what could not be read when it was met is tried again.

    Raises IndexUnfitError, IndexAwayError, TopicMissingError, KafkaUnavailableError, RegistryAway.
    """
    await _try_again(desk, index, indexed)
    while True:
        filling = await _begin(desk, index, indexed)

        async def take(found: Sequence[Found], filling: _Filling = filling) -> None:
            if found:
                await filling.take(found[0].partition, [arrived_of(each) for each in found])

        try:
            ends = await desk.read(desk.names.ledger, take, Span(starts=filling.starts))
            for partition, end in ends.items():
                await filling.reach(partition, end)
        except MovedError:
            continue  # somebody began to rebuild it
        return


async def and_on(desk: Desk, index: Index, indexed: Indexed, tell: Callable[[], None]) -> None:
    """Index what comes, until cancelled; `tell` is called after each step. Raises as `up_to_the_end` does, and
    TopicMadeAnewError."""
    while True:
        filling = await _begin(desk, index, indexed)

        async def take(partition: int, arrived: Sequence[Arrived], filling: _Filling = filling) -> None:
            await filling.take(partition, arrived)
            tell()

        try:
            await follow(desk, filling.starts, take, partial(_try_again, desk, index, indexed))
        except MovedError:
            continue


class _Filling:
    """One way through the topic: what has been handed to the index is its own."""

    def __init__(self, index: Index, starts: Mapping[int, int], indexed: Indexed) -> None:
        self.starts = starts
        self._index = index
        self._after = dict(starts)
        self._indexed = indexed

    async def take(self, partition: int, arrived: Sequence[Arrived]) -> None:
        """All that came in this partition after what came before."""
        after, end = self._after.get(partition, 0), arrived[-1].offset + 1
        new = await asyncio.to_thread(self._index.add, partition, after, end, arrived)
        self._after[partition] = end
        self._indexed.records += sum(each.record is not None for each in new)
        self._indexed.unreadable.update(each.why for each in new if each.record is None)

    async def reach(self, partition: int, end: int) -> None:
        """Nothing more came before this offset: markers of transactions alone."""
        after = self._after.get(partition, 0)
        if end > after:
            await asyncio.to_thread(self._index.add, partition, after, end, ())


async def _try_again(desk: Desk, index: Index, indexed: Indexed) -> None:
    """Take in what can be read by now: a schema may be registered, or mended, after the records that need it."""
    after = (-1, -1)
    while places := await asyncio.to_thread(index.unreadable, after, AGAIN_AT_ONCE):
        found = await desk.at([(desk.names.ledger, *place) for place in places])
        for partition in {partition for partition, _ in places}:
            arrived = [arrived_of(each) for each in found if each is not None and each.partition == partition]
            if any(each.record for each in arrived):
                indexed.at_last += len(await asyncio.to_thread(index.read_at_last, partition, arrived))
        after = places[-1]


async def _begin(desk: Desk, index: Index, indexed: Indexed) -> _Filling:
    known = index.offsets()  # before the topic's ends: another indexer may go on meanwhile
    bounds = await log_bounds(desk.client, (await ledger_topic(desk)).partitions)
    starts = {}
    for partition, log in bounds.items():
        at = known.get(partition.partition, 0)
        index.refuse_ahead(partition.partition, at, log.end)
        if 0 < at < log.start:
            indexed.gone += log.start - at
        starts[partition.partition] = at
    return _Filling(index, starts, indexed)
