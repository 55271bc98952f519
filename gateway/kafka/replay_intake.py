"""From replay requests to the InputRecords of the records that they point to: fetched at exactly those offsets.

Knows that a replay reads what committed readers see, never points to another replay, and comes only when the record's
own lane is through with it: while both try, each would take the other's provision for its own, since both carry the
record's origin. Must not know what becomes of the record: a replay enters its lane like any other record, and passes
the same consent check.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace

from aiokafka.client import AIOKafkaClient
from aiokafka.structs import TopicPartition

from gateway.core.entry import InputRecord, ReplayOf
from gateway.core.events import is_uuid
from gateway.core.identity import Identity
from gateway.core.metadata import CommitMetadata, NotOurMetadataError
from gateway.core.reasons import Reason
from gateway.kafka.codec import Codec, Decoded
from gateway.kafka.exact import Place, read_many
from gateway.kafka.intake import Intake, RawRecord, deadly_offsets, failed
from gateway.kafka.offsets_log import read_offsets
from gateway.kafka.taster import Taster


class ReplayIntake:
    """Reads replay requests; `targets` gives each input topic that may be replayed its intake, `group` commits what of
    these topics is settled."""

    def __init__(
        self, client: AIOKafkaClient, codec: Codec, identity: Identity, targets: Mapping[str, Intake], group: str
    ) -> None:
        self._group = group
        self._through: dict[TopicPartition, int] = {}  # before which all was settled when it was last asked for
        self._client = client
        self._codec = codec
        self._identity = identity
        self._targets = targets
        self._taster = Taster(codec)

    async def close(self) -> None:
        """Let go."""
        await self._taster.close()

    async def read(self, raws: Sequence[RawRecord], *, wary: bool = False) -> list[InputRecord]:
        """The record that each request points to, or why there is none; raises RegistryAway, KafkaUnavailableError.

        If `wary`, neither a request nor the record that it points to is decoded here if a child process dies of it.
        """
        deadly = await deadly_offsets(self._taster, raws) if wary else frozenset()
        await self._codec.prepare([raw.value for raw in raws if raw.offset not in deadly])
        asked = [
            failed(self._identity, raw, Reason.KILLS_DECODER) if raw.offset in deadly else self._asked(raw)
            for raw in raws
        ]
        places = {_place(each) for each in asked if isinstance(each, ReplayOf)}
        found = await self._fetch(await self._settled(places), wary=wary)
        return [
            self._replayed(raw, each, found) if isinstance(each, ReplayOf) else each
            for raw, each in zip(raws, asked, strict=True)
        ]

    def _asked(self, raw: RawRecord) -> ReplayOf | InputRecord:
        """What a request points to, or why it points to nothing."""
        request = self._codec.decode(raw.topic, raw.value)
        if not isinstance(request, Decoded):
            return failed(self._identity, raw, request.reason)
        wanted = request.record["input"]
        replay = ReplayOf(wanted["topic"], wanted["partition"], wanted["offset"], request.record["request_id"])
        if not is_uuid(replay.request_id):
            return failed(self._identity, raw, Reason.BAD_VALUE)
        if replay.topic not in self._targets:  # of what is no topic of ours nothing is copied: it could be any text
            return failed(self._identity, raw, Reason.REPLAY_TARGET_MISSING)
        return replay

    def _replayed(self, raw: RawRecord, replay: ReplayOf, found: Mapping[Place, InputRecord]) -> InputRecord:
        """The record replayed, as one of the lane that replays it."""
        record = found.get(_place(replay))
        if record is None:
            record = failed(self._identity, raw, Reason.REPLAY_TARGET_MISSING)
        return replace(record, offset=raw.offset, timestamp=raw.timestamp, replay_of=replay)

    async def _settled(self, places: Collection[Place]) -> list[Place]:
        """Those that their own lanes have committed to be through with, which they never take back. What a transaction
        is just committing does not count: nobody waits for a lane whose owner has died."""
        lanes = {place: TopicPartition(*place[:2]) for place in places}
        ahead = {lane for (*_, offset), lane in lanes.items() if offset >= self._through.get(lane, 0)}
        settled_ahead = await self._look_ahead(ahead) if ahead else {}
        return [
            place
            for place, lane in lanes.items()
            if 0 <= place[2] < self._through.get(lane, 0) or place[2] in settled_ahead.get(lane, ())
        ]

    async def _look_ahead(self, lanes: Collection[TopicPartition]) -> Mapping[TopicPartition, Collection[int]]:
        """Look up to where these lanes are through; and what they have settled behind that."""
        settled: dict[TopicPartition, Collection[int]] = {}
        for lane, committed in (await read_offsets(self._client, self._group, sorted(lanes), decided=False)).items():
            if committed is None:
                continue
            try:
                settled[lane] = CommitMetadata.decode(committed.metadata, committed.offset).settled
            except NotOurMetadataError:
                continue  # nobody knows what is settled there
            self._through[lane] = committed.offset
        return settled

    async def _fetch(self, places: Collection[Place], *, wary: bool) -> Mapping[Place, InputRecord]:
        """The record at exactly each place, where committed readers see one. The lane must not wait until they do."""
        found: dict[Place, InputRecord] = {}
        async with aclosing(read_many(self._client, places, committed=True)) as reading:
            async for targets in reading:  # of one partition
                read = await self._targets[targets[0].topic].read(targets, wary=wary)
                places_read = [(each.topic, each.partition, each.offset) for each in targets]
                found.update(zip(places_read, read, strict=True))
        return found


def _place(replay: ReplayOf) -> Place:
    return replay.topic, replay.partition, replay.offset
