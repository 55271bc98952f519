"""Inputs with what the topics say of each, for tests that hold the ledger against them."""

import asyncio
import hmac
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import OffsetAndMetadata

from gateway.core.metadata import CommitMetadata
from tests.core_cases import DAY_MS
from tests.integration.waiting import log_ends_at
from tests.oncall.desk_world import GATEWAY, T0, DeskWorld

KEY = b"k" * 32
SUBJECT = "subject-1"
UNKNOWN = {"transmitted": "unknown", "attempts": 8, "announced_at": T0 + 500, "body_digest": bytes(32)}

Place = tuple[str, int, int]


class Story:
    """Notes records of one subject; the digests of their values are right unless said otherwise."""

    def __init__(self, world: DeskWorld) -> None:
        self.world = world
        self.group = f"{world.prefix}gateway"
        self._digests: dict[Place, bytes] = {}
        self._originals: dict[Place, Place] = {}  # of replay requests

    def payment(self, partition: int = 0) -> Place:
        return self._digested(self.world.add_payment(SUBJECT, partition=partition))

    def score(self) -> Place:
        return self._digested(self.world.add_score(SUBJECT))

    def provided(self, place: Place, **changes: Any) -> Place:
        return self.world.add_ledger(place, SUBJECT, **(self._usual(place) | changes))

    def withheld(self, place: Place, reason: str = "no_consent", **changes: Any) -> Place:
        return self.world.add_withheld(place, SUBJECT, reason, **(self._usual(place) | changes))

    def parked(self, place: Place, reason: str = "held", *, is_listed: bool = True, **changes: Any) -> None:
        self.withheld(place, reason, **{"outcome": "PARKED", **changes})
        if is_listed:
            self.listed(place)

    def listed(self, place: Place) -> None:
        """On on-call's list, whatever the ledger says."""
        record = {
            "input": self.world.position(place, T0),
            "event_type": "lease_payment",
            "subject_ref": SUBJECT,
            "producer": None,
            "reason": "held",
            "detail": "a detail",
            "transmitted": "no",
            "parked_at": T0 + 900,
            "input_expires_at": T0 + 90 * DAY_MS,
            "attempts": 0,
            "gateway": GATEWAY,
        }
        self.world.add(self.world.names.parked, named(place), record)

    def removed(self, place: Place) -> None:
        self.world.add(self.world.names.parked, named(place), None)

    def replayed(self, place: Place, *, is_removed: bool = True, **changes: Any) -> Place:
        """A replay of this input provided it."""
        topic, partition, offset = place
        request = self.world.add_request(place, SUBJECT)
        self._originals[request] = place
        replay = {"topic": topic, "partition": partition, "offset": offset, "request_id": "r"}
        self.provided(request, replay_of=replay, **changes)
        if is_removed:
            self.removed(place)
        return request

    def aborted(self, topic: str, partition: int) -> list[Place]:
        """Two offsets at which nobody will ever see an input: a record that was taken back, and the marker of it."""
        self.world.flush()
        asyncio.run(self._abort(topic, partition))
        first = self.world._ends[topic, partition]
        self.world._ends[topic, partition] += 2
        return [(topic, partition, first), (topic, partition, first + 1)]

    def committed(self, lane: tuple[str, int], offset: int, settled: Sequence[int] = ()) -> None:
        """Where this lane stands."""
        asyncio.run(self._commit(TopicPartition(*lane), offset, CommitMetadata(tuple(settled)).encode(offset)))

    def deleted(self, topic: str, partition: int, below: int) -> None:
        """Retention has come this far."""
        self.world.flush()
        asyncio.run(self._delete(TopicPartition(topic, partition), below))

    def digest(self, place: Place) -> bytes:
        """Of the value there."""
        return self._digests[place]

    def _usual(self, place: Place) -> dict[str, Any]:
        of = self._originals.get(place, place)
        key = "key-of-{}-{}-{}".format(of[0].removeprefix(self.world.prefix), *of[1:])
        return {"source_digest": self._digests.get(of, bytes(32)), "idempotency_key": key}

    def _digested(self, place: Place) -> Place:
        value = self.world._noted[-1][3] or b""
        self._digests[place] = hmac.digest(KEY, value, "sha256")
        return place

    async def _abort(self, topic: str, partition: int) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self.world.kafka, transactional_id=f"{self.world.prefix}aborts")
        async with producer:
            await producer.begin_transaction()
            gone = await producer.send_and_wait(topic, b"taken back", partition=partition, timestamp_ms=T0)
            await producer.abort_transaction()
        await log_ends_at(self.world.kafka, topic, partition, gone.offset + 2)

    async def _commit(self, lane: TopicPartition, offset: int, metadata: str) -> None:
        consumer = AIOKafkaConsumer(bootstrap_servers=self.world.kafka, group_id=self.group, enable_auto_commit=False)
        async with consumer:
            consumer.assign([lane])
            await consumer.commit({lane: OffsetAndMetadata(offset, metadata)})

    async def _delete(self, partition: TopicPartition, below: int) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.world.kafka)
        await admin.start()
        try:
            await admin.delete_records({partition: RecordsToDelete(before_offset=below)})
        finally:
            await admin.close()


def named(place: Place) -> str:
    """As parked records are called."""
    return "{}:{}:{}".format(*place)
