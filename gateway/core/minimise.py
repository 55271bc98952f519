"""The body that GeNiE gets: the allow-listed fields of an event, and nothing else.

Knows which leaf may leave: one that the policy lists under an item, that the record's schema labels with the same
item, and whose item is in the scope. Must not know why the scope is what it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

from gateway.core.canonical import canonical_json, iso_day, iso_ms
from gateway.core.decide import Scope
from gateway.core.events import Event, EventType, Item, Layout, Record
from gateway.core.identity import Identity
from gateway.core.policy import INPUTS, Fields, Kind, Policy

PROJECTIONS_KEPT = 1024  # event types x live schema ids x sets of items; beyond it they are compiled again

Projection = Callable[[Record], Any]
_WRITERS: dict[Kind, Callable[[int], str]] = {Kind.DATE: iso_day, Kind.TIME: iso_ms}


def body_digest(body: bytes) -> bytes:
    """SHA-256 of a canonical body."""
    return hashlib.sha256(body).digest()


class Minimiser:
    """Makes bodies, under one policy and with one identity."""

    def __init__(self, policy: Policy, identity: Identity) -> None:
        self._policy = policy
        self._identity = identity
        self._projections: dict[tuple[str, int, tuple[str, ...]], tuple[Projection, Projection]] = {}

    def body(self, event: Event, scope: Scope) -> bytes:
        """The canonical JSON of `body`: a function of event, scope and mapping version alone."""
        kind, record = event.type, event.record
        key = (kind.code, event.layout.schema_id, scope.items)
        projections = self._projections.get(key)
        if projections is None:
            projections = self._compile(kind, event.layout, scope.items)
            if len(self._projections) >= PROJECTIONS_KEPT:
                self._projections.clear()
            self._projections[key] = projections
        envelope, items = projections
        body = {
            "event_type": kind.code,
            "envelope": envelope(record),
            "subject_key": self._identity.subject_key(event.subject_ref),
            "items": items(record),
            "permitted_purposes": scope.purposes,
            "consent": {
                "policy_version": iso_day(scope.policy_version),
                "consented_at": iso_ms(scope.consented_at),
            },
        }
        if event.contract_ref is not None:
            body["contract_key"] = self._identity.contract_key(event.contract_ref)
        return canonical_json(body)

    def _compile(self, kind: EventType, layout: Layout, items: tuple[str, ...]) -> tuple[Projection, Projection]:
        fields = self._policy.fields[kind]
        if not self._policy.event_items[kind].issuperset(items):
            raise AssertionError("a scope holds an item that its event type may not carry")
        parts = {}
        for item in items:
            allowed = _allowed(fields[item], layout, item)
            if item == Item.NOREL_SCORE_INPUTS:
                parts[item] = _inputs(allowed, self._policy.registered_inputs)
            else:
                parts[item] = _group(allowed)
        return _group(_allowed(fields[Item.ENVELOPE], layout, Item.ENVELOPE)), _items(parts)


def _allowed(fields: Fields, layout: Layout, item: str) -> Fields:
    """Those fields whose leaf the writer schema has, and labels with this very item."""
    return {path: kind for path, kind in fields.items() if layout.items.get(path) == item}


def _group(fields: Fields) -> Projection:
    """A function that picks the fields out of a record, all from one part of it; nulls stay out."""
    part = next((path.rpartition(".")[0] for path in fields), "")
    kinds = {path.rpartition(".")[2]: kind for path, kind in fields.items()}
    names = tuple(kinds)
    written = tuple((name, _WRITERS[kind]) for name, kind in kinds.items() if kind in _WRITERS)

    def pick(record: Record) -> dict[str, Any]:
        picked = {name: value for name in names if (value := record[name]) is not None}
        for name, write in written:
            if name in picked:
                picked[name] = write(picked[name])
        return picked

    return (lambda record: pick(record[part])) if part else pick


def _inputs(fields: Fields, registered: Callable[[Record], Iterable[Record]]) -> Projection:
    pick = _group({path.removeprefix(INPUTS + "."): kind for path, kind in fields.items()})
    return lambda record: [picked for each in registered(record) if (picked := pick(each))]


def _items(parts: dict[str, Projection]) -> Projection:
    """A function that makes all items; one with nothing in it stays out."""

    def pick(record: Record) -> dict[str, Any]:
        return {item: picked for item, part in parts.items() if (picked := part(record))}

    return pick
