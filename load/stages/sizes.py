"""How many bytes an event is on its way: what brokers and networks carry for it.

Knows the encoded records. Must not know batches on the wire, compression or replicas.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from typing import Any

from gateway import schemas
from gateway.core.events import EventType
from load.stages.inside import outgoing, traffics
from load.stages.material import Material, Size
from load.stages.partner import request_writer

EVENTS = 1_000  # of each type
RECORD_OVERHEAD = 12  # what a Kafka batch adds to each key and value: lengths, offset and time as differences


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes, on average over both types of events."""

    input: float
    intent: float  # an event's share of it
    ledger: float
    request: float  # an event's share of the content
    consent: float  # of a consent record, not of an event

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def sizes(subjects: int = Size().subjects) -> Sizes:
    """Weigh some events."""
    return asyncio.run(_weighed(Material(Size(subjects=subjects, events=EVENTS))))


async def _weighed(material: Material) -> Sizes:
    events = len(EventType) * EVENTS
    inputs = [raw for kind in EventType for raw in material.raws(kind, EVENTS)]
    passed = await traffics(material)
    ledger = [record for traffic in passed for record in outgoing(material, traffic)]
    intents = [schemas.encode("ProvisionIntent", intent) for traffic in passed for intent in traffic.intents]
    writer = request_writer()
    requests = [writer.batch(send.entries) for traffic in passed for send in traffic.sends]
    consents = [material.moulds.consent(number) for number in range(EVENTS)]
    return Sizes(
        input=_mean([len(raw.key or b"") + len(raw.value or b"") + RECORD_OVERHEAD for raw in inputs], events),
        intent=_mean([len(intent) + RECORD_OVERHEAD for intent in intents], events),
        ledger=_mean([len(each.key or b"") + len(each.value or b"") + RECORD_OVERHEAD for each in ledger], events),
        request=_mean([len(request) for request in requests], events),
        consent=_mean([len(each.key) + len(each.value) + RECORD_OVERHEAD for each in consents], EVENTS),
    )


def _mean(lengths: list[int], count: int) -> float:
    return round(sum(lengths) / count, 1)
