"""From a raw Kafka record to a lane's InputRecord: decode, check, name.

Knows which topic carries which event type. Must not know consent, lanes or what becomes of the record.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from gateway.core import events
from gateway.core.entry import InputRecord
from gateway.core.events import EventType, Layout
from gateway.core.identity import Identity
from gateway.core.reasons import Outcome, Reason
from gateway.kafka.codec import Codec, Undecodable
from gateway.kafka.taster import Taster
from gateway.observe.logs import get_logger

PRODUCER_HEADER = "producer"
MEMORY_FACTOR = 4  # a decoded record takes about so many times its bytes
MEMORY_OVERHEAD = 2_048  # and so much besides

log = get_logger()

_PRODUCER = re.compile(rb"(?=[0-9._-]*[A-Za-z])[A-Za-z0-9._-]{1,64}").fullmatch


class RawRecord(Protocol):
    """What is read of a consumed record."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class Intake:
    """Reads the records of one input topic, all of one event type."""

    def __init__(self, codec: Codec, identity: Identity, event_type: EventType) -> None:
        self._codec = codec
        self._identity = identity
        self._event_type = event_type
        self._taster = Taster(codec, event_type)
        self._layouts: dict[int, Layout] = {}  # bounded by the schemas that the codec knows

    async def read(self, raws: Sequence[RawRecord], *, wary: bool = False) -> list[InputRecord]:
        """Decode and check; raises RegistryAway while a schema cannot be known.

        If `wary`, no record is decoded here that a child process dies of.
        """
        deadly = await deadly_offsets(self._taster, raws) if wary else frozenset()
        await self._codec.prepare([raw.value for raw in raws if raw.offset not in deadly])
        return [
            failed(self._identity, raw, Reason.KILLS_DECODER) if raw.offset in deadly else self._read(raw)
            for raw in raws
        ]

    async def close(self) -> None:
        """End what was started to read warily."""
        await self._taster.close()

    def _read(self, raw: RawRecord) -> InputRecord:
        decoded = self._codec.decode(raw.topic, raw.value)
        if isinstance(decoded, Undecodable):
            return failed(self._identity, raw, decoded.reason)
        event_type = self._event_type
        event = events.parse(event_type, self._layout(decoded.schema_id), decoded.record, raw.key)
        if isinstance(event, Reason):
            return failed(self._identity, raw, event)
        identity = self._identity
        value = raw.value or b""
        return InputRecord(
            raw.offset,
            raw.timestamp,
            len(value) * MEMORY_FACTOR + MEMORY_OVERHEAD,
            identity.source_digest(value),
            event,
            None,
            event.subject_ref,
            producer_of(raw),
            identity.idempotency_key(event_type, event.event_id),
            identity.origin(raw.topic, raw.partition, raw.offset),
        )

    def _layout(self, schema_id: int) -> Layout:
        layout = self._layouts.get(schema_id)
        if layout is None:
            layout = self._layouts[schema_id] = Layout(schema_id, self._codec.fields(schema_id))
        return layout


async def deadly_offsets(taster: Taster, raws: Sequence[RawRecord]) -> frozenset[int]:
    """Where those of these records lie that a decoder's process dies of."""
    deadly = [raw for raw in raws if await taster.dies_of(raw)]
    for raw in deadly:
        log.error(
            "record kills the decoder",
            topic=raw.topic,
            partition=raw.partition,
            offset=raw.offset,
            remedy=Reason.KILLS_DECODER.remedy,
        )
    return frozenset(raw.offset for raw in deadly)


def failed(identity: Identity, raw: RawRecord, reason: Reason) -> InputRecord:
    """A record without event; its key is kept only where it may be believed."""
    subject_ref = None
    if reason.outcome is Outcome.PARKED and reason is not Reason.SUBJECT_MISMATCH and raw.key is not None:
        subject_ref = events.check_ref(raw.key)
    return InputRecord(
        raw.offset,
        raw.timestamp,
        MEMORY_OVERHEAD,
        identity.source_digest(raw.value or b""),
        reason=reason,
        subject_ref=subject_ref,
        producer=producer_of(raw),
        origin=identity.origin(raw.topic, raw.partition, raw.offset),
    )


def producer_of(raw: RawRecord) -> str | None:
    """The service that says it produced the record, if the header is well-formed."""
    for name, value in raw.headers:
        if name == PRODUCER_HEADER and value and _PRODUCER(value):
            return value.decode("ascii")
    return None
