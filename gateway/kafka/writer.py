"""A writer's schema made ready to read by, strictly.

Knows what makes a schema usable (every leaf says its item, ours can read what it wrote) and what a refusal of
its bytes means. Must not know schema ids, topics, or where the schema came from.
Whatever the bytes, the answer is a record or a reason: never another exception, and never data in a text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from gateway import avro, schemacheck, schemas
from gateway.avro_reader import REFUSALS, Read, TrailingBytesError, compile_reader
from gateway.core.reasons import Reason

_REASONS = {avro.Fault.NOT_AVRO: Reason.NOT_AVRO, avro.Fault.TOO_DEEP: Reason.TOO_DEEP}


@dataclass(frozen=True, slots=True)
class Unfit:
    """A writer's schema that nothing is read by."""

    reason: Reason
    name: str | None = None  # full name of its record, if it got that far


@dataclass(frozen=True, slots=True)
class Writer:
    """A writer's schema that is fit to read by."""

    name: str
    items: Mapping[str, str]  # leaf path -> item
    _read: Read

    def read(self, value: bytes) -> dict[str, Any] | Reason:
        """The record of a framed value, with the defaults of fields that the writer did not know yet; or why there is
        none."""
        try:
            return self._read(value)
        except TrailingBytesError:
            return Reason.TRAILING_BYTES
        except REFUSALS:
            return Reason.NOT_AVRO


def make_ready(raw: Any) -> Writer | Unfit:
    """Judge a writer's schema and compile it."""
    try:
        written = avro.parse(raw)
    except avro.SchemaError as error:
        return unfit(error)
    kinds = {kind.record.name: kind for kind in schemas.own().current.values()}
    if not isinstance(written, avro.Record) or written.name not in kinds:
        return Unfit(Reason.NOT_AVRO)
    ours = kinds[written.name].record
    if (
        any(schemacheck.unfit_items(written))
        or any(schemacheck.breaks(ours, written))
        or any(schemacheck.moved_items(ours, written))
    ):
        return Unfit(Reason.SCHEMA_WITHOUT_ITEM, written.name)
    return Writer(
        name=written.name,
        items=MappingProxyType({leaf.path: leaf.item or "" for leaf in avro.leaves(written)}),
        _read=compile_reader(written, ours, schemas.HEADER_BYTES),
    )


def unfit(error: avro.SchemaError) -> Unfit:
    """What the fault of a schema means for the records written by it."""
    return Unfit(_REASONS.get(error.fault, Reason.SCHEMA_WITHOUT_ITEM))
