"""What of a customer is announced to be sent and has no ledger record yet.

Knows where a gateway notes it: a lane's commit names its live intents, and which offsets it has settled. Intents name
no customer, so the input records that they are about tell whose they are. Must not know how it is told.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from aiokafka.structs import TopicPartition

from gateway.core.events import EventType
from gateway.core.metadata import CommitMetadata, NotOurMetadataError
from gateway.kafka.cluster import describe
from gateway.kafka.offsets_log import read_offsets
from gateway.kafka.scan import Span
from gateway.oncall.desk import Desk, Found
from gateway.oncall.disclosure.provisions import Unsettled
from gateway.oncall.disclosure.words import Doubt
from gateway.oncall.ledger.source import Place

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class InFlight:
    """Attempts of one customer; `known`: no lane kept anything from us."""

    attempts: tuple[Unsettled, ...]
    known: bool


@dataclass(frozen=True, slots=True)
class _Announced:
    intent: Record
    entry: Record


async def in_flight(desk: Desk, group: str, subject_ref: str) -> InFlight:
    """Read this before the ledger: what is settled meanwhile is then in both, and nothing in neither.

    Raises KafkaUnavailableError, TopicMissingError, RegistryAway.
    """
    announced, known = await _announced(desk, group)
    types = {desk.names.payments: EventType.LEASE_PAYMENT.code, desk.names.scores: EventType.NOREL_SCORE_UPDATE.code}
    attempts = []
    for lane in sorted({lane for lane, _ in announced}):
        offsets = {offset for each, offset in announced if each == lane}
        inputs = await _window(desk, lane.topic, lane.partition, offsets)
        known = known and len(inputs) == len(offsets)
        for found, place in await _whose(desk, inputs.values(), subject_ref):
            at = (lane.topic, lane.partition, found.offset)
            of = announced[lane, found.offset]
            attempts.append(_attempt(of, desk.cluster_id, at, place, types.get(place[0])))
    return InFlight(tuple(attempts), known)


async def _announced(desk: Desk, group: str) -> tuple[dict[tuple[TopicPartition, int], _Announced], bool]:
    """By lane and offset, what is announced last and not settled; and whether each lane told."""
    names = desk.names
    cluster = await describe(desk.client, (names.payments, names.scores, names.replays))
    announced: dict[tuple[TopicPartition, int], _Announced] = {}
    known, lanes = True, 0
    there = [lane for topic in cluster.topics.values() for lane in topic.partitions]
    for lane, committed in (await read_offsets(desk.client, group, there)).items():
        if committed is None:  # no gateway of this group ever opened it
            continue
        lanes += 1
        try:
            metadata = CommitMetadata.decode(committed.metadata, committed.offset)
        except NotOurMetadataError:
            known = False
            continue
        intents = await desk.at([(names.intents, ref.partition, ref.offset) for ref in metadata.intents])
        read = [found.record for found in intents if found is not None and found.record is not None]
        known = known and len(read) == len(metadata.intents)
        for intent in sorted(read, key=lambda record: int(record["announced_at"])):
            for entry in intent["entries"]:
                offset = entry["offset"]
                if offset >= committed.offset and offset not in metadata.settled:
                    announced[lane, offset] = _Announced(intent, entry)
    return announced, known and lanes > 0


class _EnoughError(Exception):
    """All that was wanted is read."""


async def _window(desk: Desk, topic: str, partition: int, offsets: Collection[int]) -> dict[int, Found]:
    """The records at these offsets. They lie in one window of a lane, so it is read through, and no further."""
    found: dict[int, Found] = {}
    last = max(offsets)

    def take(some: Sequence[Found]) -> None:
        found.update({each.offset: each for each in some if each.offset in offsets})
        if some and some[-1].offset >= last:
            raise _EnoughError

    with suppress(_EnoughError):
        await desk.read(topic, take, Span(starts={partition: min(offsets)}), decoded=False)
    return found


async def _whose(desk: Desk, found: Iterable[Found], subject_ref: str) -> list[tuple[Found, Place]]:
    """Those that are this customer's, each with the place of the event itself: a replay request only points to it."""
    some = list(found)
    announced = await desk.decoded([each for each in some if each.topic == desk.names.replays])
    requests = [each for each in announced if each.record is not None]
    ours = [(each, (each.topic, each.partition, each.offset)) for each in some if each.key == subject_ref]
    ours = [(each, place) for each, place in ours if place[0] != desk.names.replays]
    targets = [_target(each) for each in requests]
    for request, place, event in zip(requests, targets, await desk.at(targets, decoded=False), strict=True):
        if event is not None and event.key == subject_ref:
            ours.append((request, place))
    return ours


def _target(request: Found) -> Place:
    wanted = (request.record or {})["input"]
    return wanted["topic"], wanted["partition"], wanted["offset"]


def _attempt(announced: _Announced, cluster_id: str, at: Place, place: Place, event_type: str | None) -> Unsettled:
    intent, entry = announced.intent, announced.entry
    consent = {
        "record_id": entry["consent_record_id"],
        "consent_version": entry["consent_version"],
        "policy_version": intent["policy_version"],
        "consented_at": entry["consented_at"],
    }
    return Unsettled(
        Doubt.IN_FLIGHT,
        intent["announced_at"],
        cluster_id,
        at,
        place,
        entry["idempotency_key"],
        event_type,
        entry["items"],
        entry["permitted_purposes"],
        consent,
        None,
    )
