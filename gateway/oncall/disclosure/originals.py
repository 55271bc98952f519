"""What the input records of a customer's provisions still say: which of them corrected an earlier one.

The ledger does not tell a correction from a first report; the input topic does, as long as it has the record. Knows
how to find the record, and that it may be another one since. Must not know what becomes of the answer. Of a record
only its status and the id that it corrects are looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aiokafka.structs import TopicPartition

from gateway.core.events import EventType, is_uuid
from gateway.kafka.cluster import describe, log_bounds
from gateway.oncall.desk import Desk
from gateway.oncall.disclosure.provisions import Record, Source, source

AT_ONCE = 200  # records in memory


@dataclass(frozen=True, slots=True)
class Payment:
    """What an input record says of itself."""

    correction: bool
    corrects: str | None  # event_id


async def payments_behind(desk: Desk, records: Iterable[Record]) -> dict[Source, Payment]:
    """By place, what the payments behind these ledger records say; one whose record is gone is left out.

    Raises KafkaUnavailableError, RegistryAway, TopicMissingError.
    """
    topic = desk.names.payments
    first = await _starts(desk, topic)
    events = {
        place: record["event_id"]
        for record in records
        if (place := source(record))[:2] == (desk.cluster_id, topic) and place[3] >= first.get(place[2], place[3] + 1)
    }
    places, found = sorted(events), dict[Source, Payment]()
    for at in range(0, len(places), AT_ONCE):
        some = places[at : at + AT_ONCE]
        for place, there in zip(some, await desk.at([each[1:] for each in some]), strict=True):
            record = there.record if there is not None else None
            if record is not None and record["event_id"] == events[place]:  # else the topic was made anew
                found[place] = _payment(record)
    return found


def is_payment(record: Record) -> bool:
    """Whether a ledger record is about a payment: nothing else is ever corrected."""
    return bool(record["event_type"] == EventType.LEASE_PAYMENT.code)


def _payment(record: Record) -> Payment:
    corrects = record["corrects_event_id"]
    corrects = corrects if isinstance(corrects, str) and is_uuid(corrects) else None
    return Payment(record["status"] == "corrected" or corrects is not None, corrects)


async def _starts(desk: Desk, topic: str) -> dict[int, int]:
    cluster = await describe(desk.client, [topic])
    partitions: Sequence[TopicPartition] = cluster.topics[topic].partitions if topic in cluster.topics else ()
    return {each.partition: bounds.start for each, bounds in (await log_bounds(desk.client, partitions)).items()}
