"""The body that GeNiE gets: the allow-listed fields of an event, and nothing else.

Knows which leaf may leave: one that the policy lists under an item, that the record's schema labels with the same
item, and whose item is in the scope. Must not know why the scope is what it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from gateway.code import Code
from gateway.core.canonical import iso_day, iso_ms, sorted_json
from gateway.core.decide import Scope
from gateway.core.events import Event, EventType, Item, Layout, Record
from gateway.core.identity import Identity
from gateway.core.policy import INPUTS, Fields, Kind, Policy

PROJECTIONS_KEPT = 1024  # event types x live schema ids x sets of items; beyond it they are compiled again

Projection = Callable[[Record], tuple[Mapping[str, Any], Mapping[str, Any]]]  # to envelope and items
_WRITERS = {Kind.DATE: "iso_day({})", Kind.TIME: "iso_ms({})"}


def body_digest(body: bytes) -> bytes:
    """SHA-256 of a canonical body."""
    return hashlib.sha256(body).digest()


class Minimiser:
    """Makes bodies, under one policy and with one identity."""

    def __init__(self, policy: Policy, identity: Identity) -> None:
        self._policy = policy
        self._identity = identity
        self._projections: dict[tuple[str, int, tuple[str, ...]], Projection] = {}

    def body(self, event: Event, scope: Scope) -> bytes:
        """The canonical JSON of `body`: a function of event, scope and mapping version alone."""
        kind = event.type
        key = (kind.code, event.layout.schema_id, scope.items)
        projection = self._projections.get(key)
        if projection is None:
            projection = self._compile(kind, event.layout, scope.items)
            if len(self._projections) >= PROJECTIONS_KEPT:
                self._projections.clear()
            self._projections[key] = projection
        envelope, items = projection(event.record)
        body: dict[str, Any] = {  # keys in order, as those of a projection are
            "consent": {
                "consented_at": iso_ms(scope.consented_at),
                "policy_version": iso_day(scope.policy_version),
            }
        }
        if event.contract_ref is not None:
            body["contract_key"] = self._identity.contract_key(event.contract_ref)
        body["envelope"] = envelope
        body["event_type"] = kind.code
        body["items"] = items
        body["permitted_purposes"] = scope.purposes
        body["subject_key"] = self._identity.subject_key(event.subject_ref)
        return sorted_json(body)

    def _compile(self, kind: EventType, layout: Layout, items: tuple[str, ...]) -> Projection:
        """A function that picks out of a record what may leave of it; an item with nothing in it stays out."""
        if not self._policy.event_items[kind].issuperset(items):
            raise AssertionError("a scope holds an item that its event type may not carry")
        fields = self._policy.fields[kind]
        code = Code({"iso_day": iso_day, "iso_ms": iso_ms, "registered": self._policy.registered_inputs})
        envelope = _group(code, _allowed(fields[Item.ENVELOPE], layout, Item.ENVELOPE))
        code.line("items = {}")
        for item in items:
            write = _inputs if item == Item.NOREL_SCORE_INPUTS else _group
            picked = write(code, _allowed(fields[item], layout, item))
            with code.block(f"if {picked}"):
                code.line(f"items[{item!r}] = {picked}")
        code.line(f"return {envelope}, items")
        return code.function("record")


def _allowed(fields: Fields, layout: Layout, item: str) -> Fields:
    """Those fields whose leaf the writer schema has, and labels with this very item; in the order of their names."""
    return {path: kind for path, kind in sorted(fields.items()) if layout.items.get(path) == item}


def _group(code: Code, fields: Fields) -> str:
    """Pick fields, all from one part of the record; the local that holds them."""
    part = next((path.rpartition(".")[0] for path in fields), "")
    source = "record"
    if part:
        source = code.local()
        code.line(f"{source} = record[{part!r}]")
    return _picked(code, source, {path.rpartition(".")[2]: kind for path, kind in fields.items()})


def _inputs(code: Code, fields: Fields) -> str:
    """Pick fields of each registered input of a score; the local that holds them."""
    inputs, each = code.local(), code.local()
    code.line(f"{inputs} = []")
    with code.block(f"for {each} in registered(record)"):
        picked = _picked(code, each, {path.removeprefix(INPUTS + "."): kind for path, kind in fields.items()})
        with code.block(f"if {picked}"):
            code.line(f"{inputs}.append({picked})")
    return inputs


def _picked(code: Code, source: str, fields: Fields) -> str:
    """Pick fields out of what `source` names; nulls stay out."""
    picked, value = code.local(), code.local()
    code.line(f"{picked} = {{}}")
    for name, kind in fields.items():
        with code.block(f"if ({value} := {source}[{name!r}]) is not None"):
            code.line(f"{picked}[{name!r}] = {_WRITERS.get(kind, '{}').format(value)}")
    return picked
