"""Finds lost offsets again: where lanes go on by what the ledger and the intents topic say of them.

Knows the order: where the logs begin, then the ledger whole, then the intents; older owners of the lanes are fenced
before (lane_start.py). Must not know what follows from a trace (core/traces.py) or how offsets are committed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.structs import TopicPartition

from gateway.core.metadata import IntentRef
from gateway.core.traces import Log, Traces, UnsafeStartError
from gateway.kafka.cluster import LogBounds, began_at, describe, log_bounds
from gateway.kafka.codec import Codec, Undecodable
from gateway.kafka.connection import KafkaConnection
from gateway.kafka.exact import read_exact
from gateway.kafka.lane_start import Find, Start, lane_name
from gateway.kafka.names import TopicNames
from gateway.kafka.scan import Tell, scan


class LedgerUnfitError(Exception):
    """Ledger and intents don't say safely where the lanes go on; nothing was changed."""


def from_ledger(connection: KafkaConnection, codec: Codec, names: TopicNames, *, force: bool, tell: Tell) -> Find:
    """How `start_lanes` finds starts; a lane of which nothing is recorded is left out, unless its log is empty.

    It raises LedgerUnfitError, RegistryAway, TopicMissingError, KafkaUnavailableError.
    """
    inputs = (names.payments, names.scores, names.replays)

    async def find(client: AIOKafkaClient, lanes: list[TopicPartition]) -> dict[TopicPartition, Start]:
        cluster_id = (await describe(client, [names.ledger])).id
        bounds, began = await log_bounds(client, lanes), await began_at(client, lanes)
        logs = {lane: Log(bounds[lane].start, bounds[lane].end, began.get(lane)) for lane in lanes}
        found = _Found(logs, cluster_id, inputs)
        ledger = _reading(codec, found.settled, found.unreadable)
        await scan(connection, client, names.ledger, ledger, tell)
        _refuse_other_clusters(lane for lane in found.strangers if found.traces[lane].is_empty)
        intents = _reading(codec, found.announced, found.unreadable_intent)
        await scan(connection, client, names.intents, intents, tell)
        await _refuse_other_logs(client, found.traces)
        return _starts(found, await log_bounds(client, lanes), force=force)

    return find


class _Found:
    """What ledger and intents say of these lanes, and what stands against a lane of them."""

    def __init__(self, logs: Mapping[TopicPartition, Log], cluster_id: str, inputs: Collection[str]) -> None:
        self.traces = {lane: Traces(log) for lane, log in logs.items()}
        self.strangers: set[TopicPartition] = set()
        self.refusals: dict[TopicPartition, str] = {}
        self._cluster_id = cluster_id
        self._inputs = inputs
        self._named = {lane_name(lane): lane for lane in logs}

    def settled(self, _: Any, record: Mapping[str, Any]) -> None:
        position = record["input"]
        lane = TopicPartition(position["topic"], position["partition"])
        if lane not in self.traces:
            return
        if position["cluster_id"] == self._cluster_id:
            self.traces[lane].settle(position["offset"], position["timestamp"])
        else:
            self.strangers.add(lane)

    def announced(self, raw: Any, record: Mapping[str, Any]) -> None:
        lane = self._named.get(record["lane"])
        if lane is None or lane in self.refusals:
            return
        try:
            self.traces[lane].announce(record, IntentRef(raw.partition, raw.offset))
        except UnsafeStartError as error:
            self.refusals[lane] = f"{_place(raw)}: {error}"

    def unreadable(self, raw: Any, why: str) -> None:
        """It may be about any offset of any lane, so there is no going on without it."""
        raise LedgerUnfitError(
            f"{_place(raw)} can't be read: {why} Find out what wrote it; schema ids are looked up as "
            "schemas.registry_url says"
        )

    def unreadable_intent(self, raw: Any, why: str) -> None:
        """Its key is the lane that announced it: no other need wait for it."""
        name = (raw.key or b"").decode(errors="replace")
        topic, _, number = name.rpartition(":")
        if topic not in self._inputs or not number.isdecimal():
            self.unreadable(raw, why)
        if name in self._named:
            self.refusals.setdefault(self._named[name], f"its intent at {_place(raw)} can't be read: {why}")


def _place(raw: Any) -> str:
    return f"{raw.topic}:{raw.partition} offset {raw.offset}"


def _reading(
    codec: Codec, take: Callable[[Any, Mapping[str, Any]], None], unreadable: Callable[[Any, str], None]
) -> Callable[[Sequence[Any]], Awaitable[None]]:
    async def read(raws: Sequence[Any]) -> None:
        await codec.prepare([raw.value for raw in raws])
        for raw in raws:
            decoded = codec.decode(raw.topic, raw.value)
            if isinstance(decoded, Undecodable):
                unreadable(raw, decoded.reason.sentence)
            else:
                take(raw, decoded.record)

    return read


def _refuse_other_clusters(strangers: Iterable[TopicPartition]) -> None:
    if places := ", ".join(map(lane_name, sorted(strangers))):
        raise LedgerUnfitError(
            f"{places}: the ledger has records of these lanes from another Kafka cluster alone, whose offsets say "
            "nothing about this one. Name their start: --lane with --from TIME."
        )


async def _refuse_other_logs(client: AIOKafkaClient, traces: Mapping[TopicPartition, Traces]) -> None:
    """A topic that was made anew may have grown past its old end; its records were appended at other times."""
    newest = {lane: seen.newest_settled for lane, seen in traces.items() if seen.newest_settled is not None}
    there = await read_exact(client, [(*lane, offset) for lane, (offset, _) in newest.items()])
    others = [
        lane_name(lane)
        for (lane, (_, appended_at)), record in zip(newest.items(), there, strict=True)
        if record is not None and record.timestamp != appended_at
    ]
    if others:
        raise LedgerUnfitError(
            f"{', '.join(others)}: the ledger is about other records than those in the log now: the topic was made "
            "anew. Use --from earliest --force, with --lane for each of them."
        )


def _starts(found: _Found, bounds: Mapping[TopicPartition, LogBounds], *, force: bool) -> dict[TopicPartition, Start]:
    starts, refusals = {}, dict(found.refusals)
    for lane, seen in found.traces.items():
        log = bounds[lane]
        if lane in refusals:
            continue
        if seen.is_empty:
            if log.start == log.end:
                starts[lane] = Start(log.end)
            continue
        try:
            at = seen.resume(log.start, log.end, force=force)
        except UnsafeStartError as error:
            refusals[lane] = str(error)
        else:
            starts[lane] = Start(at.offset, at.metadata, at.gone, at.unrecorded, at.ignored)
    if refusals:
        told = [f"lane {lane_name(lane)}: {why.removesuffix('.')}." for lane, why in refusals.items()]
        told.append("No lane was set; --lane sets others alone." if len(refusals) < len(found.traces) else "")
        raise LedgerUnfitError("\n".join(filter(None, told)))
    return starts
