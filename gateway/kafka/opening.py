"""Opening a lane: take over, then read what is committed, then the live intents. (ARCHITECTURE.md, step a)

Knows the order, which is the point: an offset read before the take-over may be rewound by the older owner, and one that
a coordinator remembers (offsets_log.py) may be old.
Must not know what the lane does with it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.structs import TopicPartition

from gateway.core.facts import Opened
from gateway.core.holds import Holds
from gateway.core.metadata import CommitMetadata, NewerMetadataError, NotOurMetadataError
from gateway.core.reasons import Reason
from gateway.kafka.cluster import log_bounds
from gateway.kafka.codec import Codec, Undecodable
from gateway.kafka.connection import KafkaConnection
from gateway.kafka.exact import read_exact
from gateway.kafka.offsets_log import Committed, read_offset, read_offsets
from gateway.kafka.transactions import LaneProducer

_NOBODYS = "the topic was made anew"  # can't be read as the metadata of a lane


class LaneRefusedError(Exception):
    """The lane can't be opened; the text says why and what to do. The process must not go on with it."""


@dataclass(frozen=True, slots=True)
class LaneName:
    """One input partition, for one consumer group."""

    group: str
    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}:{self.partition}"

    @property
    def transactional_id(self) -> str:
        """One id for each input partition: a stale owner of it is fenced, wherever it runs."""
        return f"{self.group}-{self.topic}-{self.partition}"

    @property
    def restart_command(self) -> str:
        """What finds out where this lane goes on, by the ledger, once a person knows why that is not known."""
        start = f"gateway lanes init --group {self.group} --lane {self} --from ledger --force"
        return f"{start} --reason ... --ticket ..."


async def open_lane(
    connection: KafkaConnection,
    client: AIOKafkaClient,
    codec: Codec,
    name: LaneName,
    intents_topic: str,
    holds: Holds,
    *,
    is_new: bool = False,
) -> tuple[LaneProducer, Opened]:
    """The lane's producer and what its machine starts from; a lane that surely is new starts with its first record.

    Raises LaneRefusedError, KafkaUnavailableError, RegistryAway or Doubtful.
    """
    producer = LaneProducer(connection, name.transactional_id, name.group)
    try:
        await producer.take_over()
        committed = await read_offset(client, name.group, TopicPartition(name.topic, name.partition))
        offset, metadata = await where_to_go_on(client, name, committed, is_new=is_new)
        intents = await _live_intents(client, codec, name, intents_topic, metadata)
    except BaseException:
        await producer.drop()
        raise
    return producer, Opened(offset, metadata, intents, holds, producer.epoch)


async def foresee(client: AIOKafkaClient, group: str, lanes: Collection[TopicPartition]) -> list[LaneRefusedError]:
    """Why lanes would be refused now, as far as can be seen beside their owners."""
    refusals = []
    for lane, committed in (await read_offsets(client, group, lanes, decided=False)).items():
        try:
            await where_to_go_on(client, LaneName(group, *lane), committed)
        except LaneRefusedError as refusal:
            refusals.append(refusal)
    return refusals


async def where_to_go_on(
    client: AIOKafkaClient, name: LaneName, committed: Committed | None, *, is_new: bool = False
) -> tuple[int, CommitMetadata]:
    """What is committed, as a lane's own; raises LaneRefusedError."""
    partition = TopicPartition(name.topic, name.partition)
    if committed is None and is_new:
        return (await log_bounds(client, [partition]))[partition].start, CommitMetadata()
    if committed is None:
        raise LaneRefusedError(
            f"lane {name}: group {name.group} has no committed offset. If the lane is new, run "
            f"`gateway lanes init --group {name.group} --from earliest` (or latest, or a time); "
            "if its offset was lost, the same with `--from ledger`."
        )
    try:
        metadata = CommitMetadata.decode(committed.metadata, committed.offset)
    except NewerMetadataError as error:
        raise LaneRefusedError(
            f"lane {name}: offset {committed.offset} was committed by a later release of the gateway ({error}). Start "
            "that release again: it goes on there. If that can't be, stop every gateway of the group and run "
            f"`{name.restart_command}`."
        ) from None
    except NotOurMetadataError as error:
        raise LaneRefusedError(
            f"lane {name}: offset {committed.offset} was not committed by a gateway ({error}). "
            f"Find out what reset it, then run `{name.restart_command}`."
        ) from None
    bounds = (await log_bounds(client, [partition]))[partition]
    if not bounds.start <= committed.offset <= bounds.end:
        raise LaneRefusedError(
            f"lane {name}: the committed offset {committed.offset} is outside the log "
            f"({bounds.start} to {bounds.end}): records were deleted or the topic was made anew. "
            f"Find out which, then run `{name.restart_command}`."
        )
    return committed.offset, metadata


async def disown(connection: KafkaConnection, name: LaneName) -> None:
    """Commit an offset that no lane takes for its own: whoever opens it next is refused. Raises Doubtful.

    For a topic that was made anew: what its lanes have committed meanwhile would be taken for a place in it.
    """
    producer = LaneProducer(connection, name.transactional_id, name.group)
    try:
        await producer.take_over()
        await producer.begin_and_produce([])
        await producer.commit(name.topic, name.partition, 0, _NOBODYS)
    finally:
        await producer.drop()


async def _live_intents(
    client: AIOKafkaClient, codec: Codec, name: LaneName, topic: str, metadata: CommitMetadata
) -> list[dict[str, Any]]:
    """The intents at exactly these places, read uncommitted: they are committed, but another lane's open
    transaction on the partition would hide them for as long as it stays open."""
    found = await read_exact(client, [(topic, ref.partition, ref.offset) for ref in metadata.intents])
    values = [record.value if record else None for record in found]
    await codec.prepare(values)
    intents = []
    for ref, value in zip(metadata.intents, values, strict=True):
        where = f"{topic}:{ref.partition} offset {ref.offset}"
        if value is None:
            raise LaneRefusedError(
                f"lane {name}: the live intent at {where} is gone, so it is not known what may have been sent. "
                f"Check the topic's retention; ask GeNiE what it holds before `{name.restart_command}`."
            )
        decoded = codec.decode(topic, value)
        if isinstance(decoded, Undecodable) and decoded.reason is Reason.UNKNOWN_SCHEMA_ID:
            raise LaneRefusedError(
                f"lane {name}: the live intent at {where} has a schema that this release and its registry do not "
                "know: a later release wrote it. Start that release again, or register its schema."
            )
        if isinstance(decoded, Undecodable) or decoded.record["lane"] != str(name):
            raise LaneRefusedError(
                f"lane {name}: {where} holds no intent of this lane: the topic was made anew. "
                f"Ask GeNiE what it holds before `{name.restart_command}`."
            )
        intents.append(decoded.record)
    return intents
