"""The compiled readers and writers against aiokafka's own."""

from random import Random
from typing import Any
from uuid import UUID

import pytest
from aiokafka.protocol.struct import Struct
from aiokafka.protocol.types import Array, Boolean, Bytes, Int8, Int16, Int32, Int64, Schema, String, TaggedFields

from gateway.kafka.requests import Uuid
from tests.simulation.broker.api import SPOKEN
from tests.simulation.broker.quick import compiled_structs

BITS = {Int8: 7, Int16: 15, Int32: 31, Int64: 63}
MANY = 200  # more than a compact size in one byte
DRAWN = 20

STRUCTS = [struct for request in SPOKEN for struct in (request, request.RESPONSE_TYPE)]


def drawn(kind: Any, rng: Random) -> Any:
    """Some value of a type."""
    if isinstance(kind, Schema):
        return tuple(drawn(field, rng) for field in kind.fields)
    if isinstance(kind, Array):
        flat = not isinstance(kind.array_of, Schema)
        return [drawn(kind.array_of, rng) for _ in range(rng.choice([0, 1, 3, MANY if flat else 2]))]
    if isinstance(kind, String):
        return rng.choice([None, "", "topic", "名前", "x" * 300])
    if kind in BITS:
        return rng.getrandbits(BITS[kind]) - rng.getrandbits(BITS[kind])
    others = {Boolean: rng.random() < 0.5, TaggedFields: {}, Uuid: UUID(int=rng.getrandbits(128))}
    return rng.choice([None, b"", b"value" * 100]) if kind is Bytes else others[kind]


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda struct: struct.__name__)
def test_structs_are_read_and_written_as_by_aiokafka(struct: Any) -> None:
    """The same bytes for the same values, and back again."""
    rng = Random(struct.__name__)
    for _ in range(DRAWN):
        plain = struct(*drawn(struct.SCHEMA, rng))
        encoded = Struct.encode(plain)
        with compiled_structs():
            quick = struct.decode(encoded)
            assert Struct.encode(quick) == encoded
        assert quick.__dict__ == struct.decode(encoded).__dict__
