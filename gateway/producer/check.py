"""An event judged as the gateway will judge it, and written as the gateway will read it.

Knows the three records that others write, their topics and keys, and how they are judged. Must not know Kafka's
client, files, or consent: what passes here can still be withheld.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway import schemas
from gateway.kafka.codec import MAX_RECORD_BYTES
from gateway.kafka.names import TopicNames
from gateway.producer.events import Event
from gateway.producer.rules import RULES, between_fields
from gateway.producer.shape import Mistake, Shaper

IDS = {"LeasePaymentEvent": "event_id", "NorelScoreUpdate": "score_id", "ConsentRecord": "record_id"}


class InvalidEventError(ValueError):
    """An event that the gateway would refuse; the text names every mistake and no value."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("\n".join(map(str, mistakes)))
        self.mistakes = tuple(mistakes)


@dataclass(frozen=True, slots=True)
class Checked:
    """A record that the gateway will take as an event, in the form that Avro writes."""

    kind: str
    record: Mapping[str, Any]

    @property
    def id(self) -> str:
        """What makes the event itself: sent again under the same id it is the same event."""
        return str(self.record[IDS[self.kind]])

    @property
    def key(self) -> bytes:
        """The key of its record on Kafka, which keeps a customer's events in order."""
        return str(self.record["subject_ref"]).encode()

    def value(self, schema_id: int | None = None) -> bytes:
        """Confluent's wire format; `schema_id` is the registry's, none: this release's own."""
        return schemas.encode(self.kind, self.record, schema_id)

    def topic(self, names: TopicNames) -> str:
        """Where it belongs."""
        return next(topic for topic, kind in names.record_kinds().items() if kind == self.kind)


def check(kind: str, document: object, now_ms: int | None = None) -> Checked:
    """The record of a document, whose days and moments may be text; raises InvalidEventError with every mistake."""
    record, mistakes = Shaper(schemas.schema(kind).source, RULES[kind]).read(document)
    if mistakes:
        raise InvalidEventError(mistakes)
    now = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    wrong = [*between_fields(kind, record, now), *_too_large(kind, record)]
    if wrong:
        raise InvalidEventError(wrong)
    return Checked(kind, record)


def check_event(event: Event, now_ms: int | None = None) -> Checked:
    """As `check`, for a typed event."""
    return check(event.kind, event.document(), now_ms)


def kind_of(document: object) -> str | None:
    """Which record a document means to be: the one whose id it has. None if it has none or several."""
    if not isinstance(document, Mapping):
        return None
    fits = [kind for kind, name in IDS.items() if name in document]
    return fits[0] if len(fits) == 1 else None


def _too_large(kind: str, record: Mapping[str, Any]) -> list[Mistake]:
    size = len(schemas.encode(kind, record))
    if size <= MAX_RECORD_BYTES:
        return []
    return [Mistake("", f"takes {size:,} bytes, at most {MAX_RECORD_BYTES:,} are read: shorten free text")]
