"""Strict decoding of values that anyone may have written.

Knows the wire format, the bounds on a value, and which writer's schemas it has learnt.
Must not know Kafka's client, what an event means, or what becomes of a value that cannot be read. Bad bytes
are an answer, not an exception.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from gateway import avro, schemas
from gateway.core.reasons import Reason
from gateway.core.values import value
from gateway.kafka import writer
from gateway.kafka.registry import Registry

MAX_RECORD_BYTES = 128 * 1024  # twice the longest memo that billing allows (64 KB)
MAX_OWN_RECORD_BYTES = 1_000_000  # more than the producer puts into a batch (transactions.py): what we wrote is read
_OWN = frozenset({"ProvisionIntent", "ProvisionRecord", "ParkedEvent"})  # nobody else writes these
MAX_WRITERS = 1_000  # schemas kept ready; beyond it the one learnt first is asked for again
MAX_UNFIT_IDS = 10_000
UNFIT_FOR_S = 60.0  # a schema may be registered, or mended, after the first record that needs it

T = TypeVar("T")


@value(frozen=True, slots=True)
class Decoded:
    """A record, and the id of the writer's schema that it was read by."""

    schema_id: int
    record: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Undecodable:
    """Why there is no record."""

    reason: Reason


class Codec:
    """Decodes the values of the topics it is given: `records` maps each topic to its record kind.

    Await `prepare` for a batch of values first; `decode` is then plain computation.
    """

    def __init__(
        self, registry: Registry, records: Mapping[str, str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._registry = registry
        self._kinds = dict(records)
        self._most_bytes = {
            topic: MAX_OWN_RECORD_BYTES if name in _OWN else MAX_RECORD_BYTES for topic, name in records.items()
        }
        self._names = {topic: schemas.schema(name).record.name for topic, name in records.items()}
        self._clock = clock
        self._writers: dict[bytes, tuple[int, writer.Writer]] = {}  # by the head of a value; with the schema's id
        self._unfit: dict[bytes, tuple[float, writer.Unfit]] = {}  # with when it was found so

    @property
    def remembered(self) -> int:
        """How many writers' schemas are kept ready."""
        return len(self._writers)

    async def prepare(self, values: Iterable[bytes | None]) -> None:
        """Learn the schemas of these values; raises RegistryAway while they cannot be known."""
        heads = {value[: schemas.HEADER_BYTES] for value in values if value}
        wanted = {head for head in heads if _framed(head)}
        since = self._clock() - UNFIT_FOR_S
        while missing := [head for head in wanted if not self._knows(head, since)]:
            for head in missing:
                await self._learn(head)

    def decode(self, topic: str, value: bytes | None) -> Decoded | Undecodable:
        """The record of a value, or why there is none."""
        if value is None:
            return Undecodable(Reason.NULL_VALUE)
        if len(value) > self._most_bytes[topic]:
            return Undecodable(Reason.TOO_LARGE)
        known = self._writers.get(value[: schemas.HEADER_BYTES])
        if known is None:
            return Undecodable(self._unfit_reason(value, topic))
        schema_id, written = known
        if written.name != self._names[topic]:
            return Undecodable(Reason.NOT_AVRO)
        read = written.read(value)
        return Decoded(schema_id, read) if isinstance(read, dict) else Undecodable(read)

    def fields(self, schema_id: int) -> Mapping[str, str]:
        """Leaf path -> item of a writer's schema that `decode` has read by; KeyError for any other."""
        return self._writers[schemas.frame(schema_id, b"")][1].items

    async def source(self, value: bytes | None) -> Any | None:
        """The JSON of the schema that a value would be decoded by; None if nothing of it would be decoded.

        Raises RegistryAway.
        """
        if value is None or len(value) > MAX_RECORD_BYTES or not _framed(value):
            return None
        try:
            return await self._registry.writer_schema(_schema_id(value))
        except avro.SchemaError:
            return None

    def kind(self, topic: str) -> str:
        """The record kind of a topic."""
        return self._kinds[topic]

    def _unfit_reason(self, value: bytes, topic: str) -> Reason:
        if not _framed(value):
            return Reason.NOT_AVRO
        head = value[: schemas.HEADER_BYTES]
        if head not in self._unfit:
            number = _schema_id(head)
            raise RuntimeError(f"schema {number} is not known yet: await prepare() with the same values first")
        unfit = self._unfit[head][1]
        return unfit.reason if unfit.name in (None, self._names[topic]) else Reason.NOT_AVRO

    def _knows(self, head: bytes, since: float) -> bool:
        return head in self._writers or (head in self._unfit and self._unfit[head][0] > since)

    async def _learn(self, head: bytes) -> None:
        number = _schema_id(head)
        try:
            raw = await self._registry.writer_schema(number)
        except avro.SchemaError as error:
            written: writer.Writer | writer.Unfit = writer.unfit(error)
        else:
            written = writer.Unfit(Reason.UNKNOWN_SCHEMA_ID) if raw is None else writer.make_ready(raw)
        if isinstance(written, writer.Unfit):
            _put(self._unfit, head, (self._clock(), written), MAX_UNFIT_IDS)
        else:
            _put(self._writers, head, (number, written), MAX_WRITERS)


def _framed(value: bytes) -> bool:
    return len(value) >= schemas.HEADER_BYTES and value[0] == schemas.MAGIC


def _schema_id(value: bytes) -> int:
    return int.from_bytes(value[1 : schemas.HEADER_BYTES], "big")


def _put(known: dict[bytes, T], head: bytes, what: T, limit: int) -> None:
    known.pop(head, None)
    while len(known) >= limit:
        del known[next(iter(known))]
    known[head] = what
