"""A writer's schema made ready to read by, strictly.

Knows what makes a schema usable (every leaf says its item, ours can read what it wrote) and that a value
must encode to the same bytes again. Must not know schema ids, topics, or where the schema came from.
Whatever the bytes, the answer is a record or a reason: never another exception, and never data in a text.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from io import BytesIO
from types import MappingProxyType
from typing import Any

import fastavro

from gateway import avro, schemacheck, schemas
from gateway.core.reasons import Reason

_INT_MIN, _INT_MAX = -(2**31), 2**31 - 1
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
    _wire: Any
    _ints_fit: Callable[[Any], bool] | None
    _complete: Callable[[Any], None] | None

    def read(self, payload: bytes) -> dict[str, Any] | Reason:
        """The record, with the defaults of fields that the writer did not know yet; or why there is none."""
        source, again = BytesIO(payload), BytesIO()
        try:
            record: Any = fastavro.schemaless_reader(source, self._wire, None)
            if source.tell() != len(payload):
                return Reason.TRAILING_BYTES
            fastavro.schemaless_writer(again, self._wire, record)
        except Exception:  # fastavro names no closed set of errors, and their texts hold data
            return Reason.NOT_AVRO
        if again.getvalue() != payload or (self._ints_fit is not None and not self._ints_fit(record)):
            return Reason.NOT_AVRO
        if self._complete is not None:
            self._complete(record)
        return record  # type: ignore[no-any-return]  # fastavro's readers are untyped; a Record is read as a dict


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
        _wire=fastavro.parse_schema(avro.bare(written)),
        _ints_fit=_int_check(written),
        _complete=_completion(ours, written),
    )


def unfit(error: avro.SchemaError) -> Unfit:
    """What the fault of a schema means for the records written by it."""
    return Unfit(_REASONS.get(error.fault, Reason.SCHEMA_WITHOUT_ITEM))


def _int_check(node: avro.Node) -> Callable[[Any], bool] | None:
    """Whether every `int` fits 32 bits, which the bytes do not say; None if there is none."""
    match node:
        case avro.Scalar("int"):
            return lambda value: _INT_MIN <= value <= _INT_MAX
        case avro.Nullable(inner) | avro.Array(inner) | avro.Map(inner):
            check, inside = _int_check(inner), _inside(node)
            return None if check is None else lambda value: all(map(check, inside(value)))
        case avro.Record(_, fields):
            checks = [(part.name, step) for part in fields if (step := _int_check(part.type)) is not None]
            return (lambda value: all(step(value[name]) for name, step in checks)) if checks else None
        case _:
            return None


def _completion(ours: avro.Node, written: avro.Node) -> Callable[[Any], None] | None:
    """Sets the defaults of the fields that only ours has; None if the writer has them all."""
    match ours, written:
        case (
            (avro.Nullable(mine), avro.Nullable(theirs) as outer)
            | (avro.Array(mine), avro.Array(theirs) as outer)
            | (avro.Map(mine), avro.Map(theirs) as outer)
        ):
            return _on_each(_completion(mine, theirs), _inside(outer))
        case avro.Nullable(mine), _:
            return _completion(mine, written)
        case avro.Record(), avro.Record():
            return _record_completion(ours, written)
        case _:
            return None


def _record_completion(ours: avro.Record, written: avro.Record) -> Callable[[Any], None] | None:
    theirs = {part.name: part.type for part in written.fields}
    defaults = {part.name: part.default for part in ours.fields if part.name not in theirs}
    steps = [
        (part.name, step)
        for part in ours.fields
        if part.name in theirs and (step := _completion(part.type, theirs[part.name])) is not None
    ]
    if not defaults and not steps:
        return None

    def complete(value: dict[str, Any]) -> None:
        value.update(copy.deepcopy(defaults))
        for name, step in steps:
            step(value[name])

    return complete


def _on_each(
    step: Callable[[Any], None] | None, inside: Callable[[Any], Iterable[Any]]
) -> Callable[[Any], None] | None:
    if step is None:
        return None

    def each(value: Any) -> None:
        for one in inside(value):
            step(one)

    return each


def _inside(node: avro.Nullable | avro.Array | avro.Map) -> Callable[[Any], Iterable[Any]]:
    """Gives the values that a value of this type contains."""
    match node:
        case avro.Nullable():
            return lambda value: () if value is None else (value,)
        case avro.Array():
            return lambda value: value
        case avro.Map():
            return lambda value: value.values()
