"""Reading events: total over everything that a schema allows, and over everything that none does."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import schemas
from gateway.core.events import Event, EventType, check_ref, parse
from gateway.core.reasons import Reason
from tests.avro_values import values
from tests.core_cases import LAYOUTS
from tests.core_records import RECORDS

RECORD_NAMES = {EventType.LEASE_PAYMENT: "LeasePaymentEvent", EventType.NOREL_SCORE_UPDATE: "NorelScoreUpdate"}
REFUSALS = {Reason.BAD_KEY, Reason.BAD_VALUE, Reason.SUBJECT_MISMATCH}
KINDS = list(EventType)

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_possible_values_make_an_event(kind: EventType, data: st.DataObject):
    """Whatever keeps the contract is taken, whole."""
    record = data.draw(RECORDS[kind])
    event = parse(kind, LAYOUTS[kind], record, record["subject_ref"].encode())
    assert isinstance(event, Event)
    assert event.record is record


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_every_record_that_the_schema_allows_ends_somewhere(kind: EventType, data: st.DataObject):
    """An event or one of three reasons, never an exception."""
    record = data.draw(values(schemas.schema(RECORD_NAMES[kind]).record))
    key = data.draw(st.none() | st.binary(max_size=70) | st.just(b"subject-1a"))
    result = parse(kind, LAYOUTS[kind], record, key)
    assert isinstance(result, Event) or result in REFUSALS


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_a_field_replaced_by_anything_ends_somewhere(kind: EventType, data: st.DataObject):
    """Also what no schema of ours would let through: other types, missing fields, half surrogate pairs."""
    record: dict[str, Any] = data.draw(RECORDS[kind])
    key = record["subject_ref"].encode()
    name = data.draw(st.sampled_from(sorted(record)))
    if data.draw(st.booleans()):
        record[name] = data.draw(anything)
    else:
        del record[name]
    result = parse(kind, LAYOUTS[kind], record, key)
    assert isinstance(result, Event) or result in REFUSALS


@given(st.binary(max_size=70))
def test_a_reference_reads_the_same_as_text_and_as_bytes(ref: bytes):
    """What a key may be, a field may be."""
    text = ref.decode("latin-1")
    as_bytes = check_ref(ref)
    assert as_bytes == check_ref(text)
    assert as_bytes in (None, text)
