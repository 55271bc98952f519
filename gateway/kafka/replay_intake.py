"""From a replay request to the InputRecord of the record that it points to: fetched at exactly that offset.

Knows that a replay reads what committed readers see, never points to another replay, and comes only when the record's
own lane is through with it: while both try, each would take the other's provision for its own, since both carry the
record's origin. Must not know what becomes of the record: a replay enters its lane like any other record, and passes
the same consent check.
"""

# aiokafka's consumer is untyped:
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from aiokafka import AIOKafkaConsumer
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import OffsetOutOfRangeError
from aiokafka.structs import TopicPartition

from gateway.core.entry import InputRecord, ReplayOf
from gateway.core.events import is_uuid
from gateway.core.identity import Identity
from gateway.core.metadata import CommitMetadata, NotOurMetadataError
from gateway.core.reasons import Reason
from gateway.kafka.cluster import describe
from gateway.kafka.codec import Codec, Decoded
from gateway.kafka.connection import (
    KAFKA_CALL_TIMEOUT_S,
    KAFKA_START_TIMEOUT_S,
    KafkaConnection,
    stop_consumer,
    within,
)
from gateway.kafka.intake import Intake, RawRecord, deadly_offsets, failed
from gateway.kafka.offsets import fetch_committed
from gateway.kafka.taster import Taster

POLL_MS = 200


class ReplayIntake:
    """Reads replay requests; `targets` gives each input topic that may be replayed its intake, `group` commits what of
    these topics is settled."""

    def __init__(
        self,
        connection: KafkaConnection,
        client: AIOKafkaClient,
        codec: Codec,
        identity: Identity,
        targets: Mapping[str, Intake],
        group: str,
    ) -> None:
        self._group = group
        self._through: dict[TopicPartition, int] = {}  # before which all was settled when it was last asked for
        self._client = client
        self._codec = codec
        self._identity = identity
        self._targets = targets
        self._taster = Taster(codec)
        self._one_at_a_time = asyncio.Lock()  # lanes share one consumer
        self._consumer = AIOKafkaConsumer(
            **connection.kwargs(), enable_auto_commit=False, auto_offset_reset="none", isolation_level="read_committed"
        )

    async def start(self) -> None:
        """Connect."""
        await within(KAFKA_START_TIMEOUT_S, "starting the replays' consumer", self._consumer.start())

    async def close(self) -> None:
        """Let go."""
        await self._taster.close()
        await stop_consumer(self._consumer)

    async def read(self, raws: Sequence[RawRecord], *, wary: bool = False) -> list[InputRecord]:
        """The record that each request points to, or why there is none; raises RegistryAway, KafkaUnavailableError.

        If `wary`, neither a request nor the record that it points to is decoded here if a child process dies of it.
        """
        deadly = await deadly_offsets(self._taster, raws) if wary else frozenset()
        await self._codec.prepare([raw.value for raw in raws if raw.offset not in deadly])
        return [
            failed(self._identity, raw, Reason.KILLS_DECODER)
            if raw.offset in deadly
            else await self._read(raw, wary=wary)
            for raw in raws
        ]

    async def _read(self, raw: RawRecord, *, wary: bool) -> InputRecord:
        request = self._codec.decode(raw.topic, raw.value)
        if not isinstance(request, Decoded):
            return failed(self._identity, raw, request.reason)
        wanted = request.record["input"]
        replay = ReplayOf(wanted["topic"], wanted["partition"], wanted["offset"], request.record["request_id"])
        if not is_uuid(replay.request_id):
            return failed(self._identity, raw, Reason.BAD_VALUE)
        intake = self._targets.get(replay.topic)
        if intake is None:  # of what is no topic of ours nothing is copied: it could be any text
            return failed(self._identity, raw, Reason.REPLAY_TARGET_MISSING)
        target = await self._fetch(replay) if await self._is_settled(replay) else None
        if target is None:
            missing = failed(self._identity, raw, Reason.REPLAY_TARGET_MISSING)
            return replace(missing, replay_of=replay)
        record = (await intake.read([target], wary=wary))[0]
        return replace(record, offset=raw.offset, timestamp=raw.timestamp, replay_of=replay)

    async def _is_settled(self, replay: ReplayOf) -> bool:
        """Whether the record's own lane has committed that it is through with it; it never takes that back. What a
        transaction is just committing does not count: nobody waits for a lane whose owner has died."""
        place = TopicPartition(replay.topic, replay.partition)
        if replay.offset < self._through.get(place, 0):
            return True
        committed = await fetch_committed(self._client, self._group, *place, stable=False)
        if committed is None:
            return False
        try:
            settled = CommitMetadata.decode(committed.metadata, committed.offset).settled
        except NotOurMetadataError:
            return False  # nobody knows what is settled there
        self._through[place] = committed.offset
        return replay.offset < committed.offset or replay.offset in settled

    async def _fetch(self, replay: ReplayOf) -> RawRecord | None:
        """The record at exactly this place, if committed readers see one there."""
        partition = TopicPartition(replay.topic, replay.partition)
        topic = (await describe(self._client, [replay.topic])).topics.get(replay.topic)
        if topic is None or replay.partition not in topic.leaders or replay.offset < 0:
            return None
        async with self._one_at_a_time:
            self._consumer.assign([partition])
            self._consumer.seek(partition, replay.offset)
            what = f"reading {replay.topic}:{replay.partition} at {replay.offset}"
            return await within(KAFKA_CALL_TIMEOUT_S, what, self._first(partition, replay.offset))

    async def _first(self, partition: TopicPartition, offset: int) -> RawRecord | None:
        while True:
            try:
                polled = await self._consumer.getmany(partition, timeout_ms=POLL_MS, max_records=1)
            except OffsetOutOfRangeError:
                return None
            for record in polled.get(partition, ()):
                found: RawRecord | None = record if record.offset == offset else None
                return found
            if await self._consumer.position(partition) > offset:
                return None  # a marker, or of an aborted transaction
            if offset >= (await self._consumer.end_offsets([partition]))[partition]:
                return None  # committed readers see nothing there yet; the lane must not wait until they do
