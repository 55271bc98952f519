"""Whatever the bytes and whatever the schema: a record that encodes to the same bytes, or a reason."""

import asyncio
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway import schemas
from gateway.core.reasons import Outcome, Reason
from gateway.kafka.codec import Codec, Decoded, Undecodable
from gateway.kafka.registry import FileRegistry
from gateway.kafka.writer import Unfit, Writer, make_ready
from tests.avro_values import records

KINDS = list(schemas.own().current)


def prepared() -> Codec:
    """A codec that knows every schema of ours; the topic is the kind's name."""
    codec = Codec(FileRegistry(), {name: name for name in KINDS})
    asyncio.run(codec.prepare([schemas.frame(number, b"") for number in schemas.own().by_id]))
    return codec


CODEC = prepared()
kinds_and_records = st.sampled_from(KINDS).flatmap(lambda name: st.tuples(st.just(name), records(name)))


@st.composite
def mutations(draw: st.DrawFn, value: bytes) -> bytes:
    """A value with a few places changed, cut out, doubled or added to, after the header."""
    mutated = bytearray(value)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(5, len(mutated)))
        end = min(len(mutated), start + draw(st.integers(0, 6)))
        middle = bytes(mutated[start:end])
        mutated[start:end] = draw(
            st.binary(max_size=6)
            | st.just(b"")
            | st.just(middle * 2)
            | st.just(bytes(byte ^ 0x80 for byte in middle))
            | st.just(bytes((byte + 1) % 256 for byte in middle))
        )
    return bytes(mutated)


@given(kinds_and_records)
def test_what_was_encoded_is_decoded(kind_and_record: tuple[str, dict[str, Any]]) -> None:
    """Every record of every kind comes back as it was."""
    name, record = kind_and_record
    value = schemas.encode(name, record)
    assert CODEC.decode(name, value) == Decoded(schemas.schema_id(name), record)
    assert schemas.decode(value) == (name, record)


@given(st.data())
def test_mutated_bytes_are_the_canonical_ones_or_refused(data: st.DataObject) -> None:
    """A decoded record encodes to the very bytes it came from; everything else has a reason of INVALID."""
    name, record = data.draw(kinds_and_records)
    value = data.draw(mutations(schemas.encode(name, record)))
    match CODEC.decode(name, value):
        case Decoded(_, read):
            assert schemas.encode(name, read) == value
        case Undecodable(reason):
            assert reason in (Reason.NOT_AVRO, Reason.TRAILING_BYTES)


@given(st.sampled_from(KINDS), st.binary(max_size=200))
def test_any_bytes_give_a_record_or_a_reason(name: str, payload: bytes) -> None:
    """Random bytes under a known id never raise."""
    decoded = CODEC.decode(name, schemas.frame(schemas.schema_id(name), payload))
    assert isinstance(decoded, Decoded) or decoded.reason.outcome is Outcome.INVALID


WORDS = """
    a b c null boolean int long float double bytes string record enum fixed array map
    type name namespace fields items values symbols size default item internal
"""
words = st.sampled_from(WORDS.split())
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | words | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)


@st.composite
def mutated_schemas(draw: st.DrawFn) -> Any:
    """One of our schemas in which a few values are replaced by any JSON."""
    raw = json.loads(schemas.schema(draw(st.sampled_from(KINDS))).text)
    for _ in range(draw(st.integers(0, 3))):
        place = raw
        for _ in range(draw(st.integers(0, 6))):
            inner = [value for value in (place.values() if isinstance(place, dict) else place) if value]
            inner = [value for value in inner if isinstance(value, dict | list)]
            if not inner:
                break
            place = draw(st.sampled_from(inner))
        key = draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
        place[key] = draw(json_values)
    return raw


@given(mutated_schemas() | json_values, st.binary(max_size=120))
def test_any_schema_is_made_ready_or_unfit(raw: Any, payload: bytes) -> None:
    """No schema, however wrong, raises; one that is fit reads any bytes without raising."""
    made = make_ready(raw)
    if isinstance(made, Writer):
        assert all(made.items.values())
        assert isinstance(made.read(bytes(schemas.HEADER_BYTES) + payload), dict | Reason)
    else:
        assert isinstance(made, Unfit)
        assert made.reason.outcome in (Outcome.INVALID, Outcome.PARKED)


@given(kinds_and_records)
def test_every_cut_is_refused(kind_and_record: tuple[str, dict[str, Any]]) -> None:
    """No proper prefix of a value is a value."""
    name, record = kind_and_record
    value = schemas.encode(name, record)
    for end in range(schemas.HEADER_BYTES, len(value)):
        assert isinstance(CODEC.decode(name, value[:end]), Undecodable)
