"""Finds lost offsets again: where lanes go on by what the ledger and the intents topic say of them.

Knows the order that makes it safe: every older owner of the lanes is fenced first, so that none can add to the ledger
afterwards; then the ledger is read whole, then the intents. A dry run fences nobody, and may be behind. Must not know
what follows from a trace (core/traces.py) or how offsets are committed (lane_start.py).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.structs import TopicPartition

from gateway.core.metadata import IntentRef
from gateway.core.traces import Traces, UnsafeStartError
from gateway.kafka.cluster import LogBounds, describe, log_bounds
from gateway.kafka.codec import Codec, Undecodable
from gateway.kafka.connection import KafkaConnection, KafkaUnavailableError
from gateway.kafka.exact import read_exact
from gateway.kafka.lane_start import Find, Start, lane_name
from gateway.kafka.names import TopicNames
from gateway.kafka.opening import LaneName
from gateway.kafka.scan import Tell, scan
from gateway.kafka.transactions import Doubtful, LaneProducer


class LedgerUnfitError(Exception):
    """Ledger and intents don't say safely where the lanes go on; nothing was changed."""


def from_ledger(
    connection: KafkaConnection, codec: Codec, names: TopicNames, group: str, *, force: bool, dry_run: bool, tell: Tell
) -> Find:
    """How `start_lanes` finds starts; a lane of which nothing is recorded is left out, unless its log is empty.

    It raises LedgerUnfitError, RegistryAway, TopicMissingError, KafkaUnavailableError.
    """

    async def find(client: AIOKafkaClient, lanes: list[TopicPartition]) -> dict[TopicPartition, Start]:
        if not dry_run:
            for lane in lanes:
                await _fence(connection, LaneName(group, lane.topic, lane.partition))
        traces = {lane: Traces() for lane in lanes}
        cluster_id = (await describe(client, [names.ledger])).id
        strangers: set[TopicPartition] = set()

        def settled(record: Mapping[str, Any], _: IntentRef) -> None:
            position = record["input"]
            lane = TopicPartition(position["topic"], position["partition"])
            if lane not in traces:
                return
            if position["cluster_id"] == cluster_id:
                traces[lane].settle(position["offset"], position["timestamp"])
            else:
                strangers.add(lane)

        named = {lane_name(lane): lane for lane in lanes}

        def announced(record: Mapping[str, Any], ref: IntentRef) -> None:
            if record["lane"] in named:
                traces[named[record["lane"]]].announce(record, ref)

        await scan(connection, client, names.ledger, _reading(codec, settled), tell)
        _refuse_other_clusters(lane for lane in strangers if traces[lane].is_empty)
        await scan(connection, client, names.intents, _reading(codec, announced), tell)
        await _refuse_other_logs(client, traces)
        return _starts(traces, await log_bounds(client, lanes), force=force)

    return find


def _reading(
    codec: Codec, take: Callable[[Mapping[str, Any], IntentRef], None]
) -> Callable[[Sequence[Any]], Awaitable[None]]:
    """Decode; a record that can't be read may be about any offset, so there is no going on without it."""

    async def read(raws: Sequence[Any]) -> None:
        await codec.prepare([raw.value for raw in raws])
        for raw in raws:
            decoded = codec.decode(raw.topic, raw.value)
            if isinstance(decoded, Undecodable):
                raise LedgerUnfitError(
                    f"{raw.topic}:{raw.partition} offset {raw.offset} can't be read: {decoded.reason.sentence} "
                    "Find out what wrote it; schema ids are looked up as schemas.registry_url says"
                )
            try:
                take(decoded.record, IntentRef(raw.partition, raw.offset))
            except UnsafeStartError as error:
                raise LedgerUnfitError(f"{raw.topic}:{raw.partition} offset {raw.offset}: {error}.") from None

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


def _starts(
    traces: Mapping[TopicPartition, Traces], bounds: Mapping[TopicPartition, LogBounds], *, force: bool
) -> dict[TopicPartition, Start]:
    starts, refusals = {}, []
    for lane, seen in traces.items():
        log = bounds[lane]
        if seen.is_empty:
            if log.start == log.end:
                starts[lane] = Start(log.end)
            continue
        try:
            found = seen.resume(log.start, log.end, force=force)
        except UnsafeStartError as error:
            refusals.append(f"lane {lane_name(lane)}: {error}.")
        else:
            starts[lane] = Start(found.offset, found.metadata, found.gone)
    if refusals:
        raise LedgerUnfitError("\n".join(refusals))
    return starts


async def _fence(connection: KafkaConnection, name: LaneName) -> None:
    """Take the lane over and let go: its older owners can write nothing more, and their last transaction is ended."""
    producer = LaneProducer(connection, name.transactional_id)
    try:
        await producer.take_over()
    except Doubtful as doubt:
        raise KafkaUnavailableError(f"taking over lane {name}", str(doubt)) from doubt
    finally:
        await producer.drop()
