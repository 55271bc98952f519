"""Bodies: canonical, accepted by GeNiE's contract, and blind to everything outside the scope."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import rfc8785
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.canonical import canonical_json, iso_day, iso_ms
from gateway.core.decide import Scope
from gateway.core.events import EventType
from gateway.core.minimise import Minimiser
from tests.core_cases import IDENTITY, LAYOUTS, POLICY, read
from tests.core_records import RECORDS, scopes, texts

CONTRACT = Path(__file__).parents[2] / "schemas" / "openapi" / "genie-provision.yaml"
DOCUMENT = yaml.safe_load(CONTRACT.read_text(encoding="utf-8"))
BODY = jsonschema.Draft202012Validator(
    {"$ref": "#/components/schemas/Body", "components": DOCUMENT["components"]},
    format_checker=jsonschema.FormatChecker(),
)
KINDS = list(EventType)


def made(kind: EventType, record: dict[str, Any], scope: Scope) -> bytes:
    return Minimiser(POLICY, IDENTITY).body(read(kind, record), scope)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_a_body_is_canonical_and_keeps_the_contract(kind: EventType, data: st.DataObject):
    """Whatever is an event makes a body that GeNiE's schema takes, in the bytes that RFC 8785 gives it."""
    body = made(kind, data.draw(RECORDS[kind]), data.draw(scopes(kind)))
    loaded = json.loads(body)
    assert body == rfc8785.dumps(loaded)
    BODY.validate(loaded)


def outside(kind: EventType, record: dict[str, Any], other: dict[str, Any], scope: Scope) -> dict[str, Any]:
    """The record with every leaf that the scope leaves out taken from another record."""
    kept = {"subject_ref", "contract_ref", "model_id", "model_version"}
    mixed = {name: dict(part) if isinstance(part, dict) else part for name, part in record.items()}
    for path, item in LAYOUTS[kind].items.items():
        part, _, name = path.rpartition(".")
        if item in (*scope.items, "envelope") or path in kept or part == "inputs[]":
            continue
        if part:
            mixed[part][name] = other[part][name]
        else:
            mixed[name] = other[name]
    if kind is EventType.NOREL_SCORE_UPDATE:
        registered = POLICY.registered_inputs(record) if "norel_score_inputs" in scope.items else []
        unregistered = [each for each in other["inputs"] if not POLICY.registered_inputs(record | {"inputs": [each]})]
        mixed["inputs"] = [*registered, *unregistered]
    return mixed


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_a_body_depends_on_nothing_outside_its_scope(kind: EventType, data: st.DataObject):
    """Internal leaves, items that were not consented to and inputs that are not registered change no byte."""
    record, other = data.draw(RECORDS[kind]), data.draw(RECORDS[kind])
    scope = data.draw(scopes(kind))
    assert made(kind, outside(kind, record, other, scope), scope) == made(kind, record, scope)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_two_bodies_are_the_same_only_if_event_and_scope_are(kind: EventType, data: st.DataObject):
    """Another scope or another event never makes the same bytes."""
    first, second = data.draw(RECORDS[kind]), data.draw(RECORDS[kind])
    scope, other = data.draw(scopes(kind)), data.draw(scopes(kind))
    name = "event_id" if kind is EventType.LEASE_PAYMENT else "score_id"
    if first[name] != second[name]:
        assert made(kind, first, scope) != made(kind, second, scope)
    filled = "norel_score_inputs" not in {*scope.items, *other.items}  # an item may have nothing in it
    if scope != other and filled:
        assert made(kind, first, scope) != made(kind, first, other)


names = st.text(st.characters(codec="ascii"), max_size=8)
documents = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | texts(20, shortest=0),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=20,
)


@given(documents)
def test_canonical_json_is_that_of_rfc_8785(document: Any):
    """Byte for byte the same as an independent library's, for everything that bodies are made of."""
    assert canonical_json(document) == rfc8785.dumps(document)


@given(st.datetimes())
def test_days_and_moments_are_written_as_the_standard_library_does(moment: Any):
    """From year 1 to year 9999, before 1970 as after."""
    days = moment.date().toordinal() - 719_163
    ms = (
        days * 86_400_000
        + ((moment.hour * 60 + moment.minute) * 60 + moment.second) * 1000
        + moment.microsecond // 1000
    )
    assert iso_day(days) == moment.date().isoformat()
    assert iso_ms(ms) == moment.isoformat(timespec="milliseconds") + "Z"
