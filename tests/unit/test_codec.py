"""Strict decoding: each reason, and what a writer's schema may and may not be."""

import copy
import io
import json
from collections.abc import Callable
from typing import Any

import fastavro
import pytest

from gateway import avro, schemas
from gateway.core.reasons import Reason
from gateway.kafka import codec as codec_module
from gateway.kafka.codec import MAX_OWN_RECORD_BYTES, MAX_RECORD_BYTES, UNFIT_FOR_S, Codec, Decoded, Undecodable
from gateway.kafka.registry import FileRegistry, RegistryAway
from tests import avro_oracle

TOPIC = "controls"
CONTROL = {
    "hold_id": "h-1",
    "scope": "all",
    "value": None,
    "state": "held",
    "operator": "on-call",
    "reason": "drill",
    "ticket": "OPS-1",
    "at": 1_800_000_000_000,
    "expires_at": None,
}
VALUE = schemas.encode("Control", CONTROL)
PAYLOAD = VALUE[5:]
ID = schemas.schema_id("Control")


class Registered:
    """A registry that holds what a test puts in, and counts what it is asked."""

    def __init__(self, **known: Any) -> None:
        self.known = {int(number.removeprefix("id")): raw for number, raw in known.items()}
        self.away = False
        self.asked: list[int] = []

    async def writer_schema(self, schema_id: int) -> Any | None:
        self.asked.append(schema_id)
        if self.away:
            raise RegistryAway("away")
        found = self.known.get(schema_id)
        if isinstance(found, Exception):
            raise found
        return found

    async def id_of(self, name: str) -> int:
        raise NotImplementedError(name)


async def decode(value: bytes | None, topic: str = TOPIC) -> Decoded | Undecodable:
    codec = Codec(FileRegistry(), {TOPIC: "Control", "payments": "LeasePaymentEvent"})
    await codec.prepare([value])
    return codec.decode(topic, value)


async def decode_by(change: Callable[[dict[str, Any]], object], record: dict[str, Any]) -> tuple[Any, Codec]:
    """Decode a record written by a changed schema of Control."""
    raw = copy.deepcopy(dict(schemas.schema("Control").source))
    change(raw)
    codec = Codec(Registered(id70=raw), {TOPIC: "Control"})
    value = _written(raw, record)
    await codec.prepare([value])
    return codec.decode(TOPIC, value), codec


def _written(raw: Any, record: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    bare = json.loads(json.dumps(raw).replace('"logicalType"', '"unused"'))
    fastavro.schemaless_writer(out, bare, record)
    return schemas.frame(70, out.getvalue())


async def test_a_valid_value_is_decoded_with_its_schema_id() -> None:
    """The record is as it was written, and the id says which projection fits it."""
    assert await decode(VALUE) == Decoded(ID, CONTROL)


REFUSED = {
    "no value": (None, Reason.NULL_VALUE),
    "empty": (b"", Reason.NOT_AVRO),
    "header cut": (b"\x00\x00\x00", Reason.NOT_AVRO),
    "json": (b'{"hold_id": "h-1"}', Reason.NOT_AVRO),
    "header only": (VALUE[:5], Reason.NOT_AVRO),
    "cut": (VALUE[:-1], Reason.NOT_AVRO),
    "trailing": (VALUE + b"\x00", Reason.TRAILING_BYTES),
    "too large": (VALUE + bytes(MAX_RECORD_BYTES), Reason.TOO_LARGE),
    "unknown id": (schemas.frame(4_000_000_000, PAYLOAD), Reason.UNKNOWN_SCHEMA_ID),
    "schema of another kind": (schemas.frame(1, PAYLOAD), Reason.NOT_AVRO),
    "invalid UTF-8": (VALUE.replace(b"drill", b"dr\xff\xfel"), Reason.NOT_AVRO),
    "enum index below zero": (VALUE.replace(b"h-1\x00", b"h-1\x01"), Reason.NOT_AVRO),
    "enum index beyond the last": (VALUE.replace(b"h-1\x00", b"h-1\x08"), Reason.NOT_AVRO),
    "union index below zero": (VALUE.replace(b"h-1\x00\x00", b"h-1\x00\x01"), Reason.NOT_AVRO),
    "union index beyond the last": (VALUE.replace(b"h-1\x00\x00", b"h-1\x00\x04"), Reason.NOT_AVRO),
    "length below zero": (VALUE.replace(b"\x0adrill", b"\x09drill"), Reason.NOT_AVRO),
    "length beyond the end": (VALUE.replace(b"\x0adrill", b"\xfe\xff\xff\xff\x0fdrill"), Reason.NOT_AVRO),
    "length in more bytes than it needs": (VALUE.replace(b"\x0adrill", b"\x8a\x00drill"), Reason.NOT_AVRO),
    "endless varint": (schemas.frame(ID, b"\xff" * 1_000), Reason.NOT_AVRO),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_value_that_is_not_strictly_avro_gets_its_reason(case: str) -> None:
    """No other bytes than the canonical ones are read, and none raises."""
    value, reason = REFUSED[case]
    assert value != VALUE
    assert await decode(value) == Undecodable(reason)


async def test_an_int_beyond_32_bits_is_not_avro() -> None:
    """The bytes of a longer number fit a varint, but not the type."""
    names = [part.name for part in schemas.schema("LeasePaymentEvent").record.fields]
    longer = _example_payment() | {"days_past_due": 2**31}
    assert "days_past_due" in names
    careless = avro_oracle.written(schemas.schema("LeasePaymentEvent").wire, longer)
    assert await decode(schemas.frame(1, careless), "payments") == Undecodable(Reason.NOT_AVRO)
    fitting = _example_payment() | {"days_past_due": 2**31 - 1}
    assert isinstance(await decode(schemas.encode("LeasePaymentEvent", fitting), "payments"), Decoded)


async def test_a_claimed_array_length_costs_nothing() -> None:
    """A few bytes that claim 2**62 inputs end at the last byte that is there."""
    codec = Codec(FileRegistry(), {"scores": "NorelScoreUpdate"})
    score = {part.name: 0 for part in schemas.schema("NorelScoreUpdate").record.fields}
    score |= dict.fromkeys(("score_id", "subject_ref", "score", "scale_min", "scale_max"), "x")
    score |= {"model_id": "m", "model_version": "1", "supersedes": None, "inputs": []}
    value = schemas.encode("NorelScoreUpdate", score)
    assert value.endswith(b"\x00")
    value = value[:-1] + b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01" + bytes(50)
    await codec.prepare([value])
    assert codec.decode("scores", value) == Undecodable(Reason.NOT_AVRO)


def _example_payment() -> dict[str, Any]:
    empty: dict[str, Any] = {"long": 0, "int": 0, "string": ""}

    def filled(record: avro.Record) -> dict[str, Any]:
        return {part.name: value(part.type) for part in record.fields}

    def value(node: avro.Node) -> Any:
        match node:
            case avro.Record():
                return filled(node)
            case avro.EnumType(_, symbols):
                return symbols[0]
            case avro.Scalar(kind):
                return empty[kind]
            case _:
                return None

    return filled(schemas.schema("LeasePaymentEvent").record)


EXTRA = {"name": "team", "type": "string", "item": "internal"}


async def test_a_newer_writer_is_read_by_its_own_schema() -> None:
    """A field that this release does not know is decoded, and listed with its item."""
    decoded, codec = await decode_by(lambda raw: raw["fields"].append(EXTRA), {**CONTROL, "team": "night"})
    assert decoded == Decoded(70, {**CONTROL, "team": "night"})
    assert codec.fields(70)["team"] == "internal"


async def test_an_older_writer_gets_our_defaults() -> None:
    """A nullable field that the writer did not know yet is null."""
    older = {key: CONTROL[key] for key in CONTROL if key != "expires_at"}
    decoded, _ = await decode_by(lambda raw: raw["fields"].pop(), older)
    assert decoded == Decoded(70, CONTROL)


async def test_an_older_writer_gets_our_defaults_inside_records() -> None:
    """The defaults reach the records inside a record."""
    raw = copy.deepcopy(dict(schemas.schema("LeasePaymentEvent").source))
    customer = next(part for part in raw["fields"] if part["name"] == "customer")
    customer["type"]["fields"].pop()
    payment = _example_payment()
    del payment["customer"]["memo"]
    codec = Codec(Registered(id70=raw), {"payments": "LeasePaymentEvent"})
    value = _written(raw, payment)
    await codec.prepare([value])
    assert codec.decode("payments", value) == Decoded(70, _example_payment())


def _set(name: str, **attributes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda raw: next(part for part in raw["fields"] if part["name"] == name).update(attributes)


UNFIT: dict[str, tuple[Callable[[dict[str, Any]], object], dict[str, Any], Reason]] = {
    "leaf without item": (
        lambda raw: raw["fields"].append({"name": "team", "type": "string"}),
        {"team": "night"},
        Reason.SCHEMA_WITHOUT_ITEM,
    ),
    "unknown item": (
        lambda raw: raw["fields"].append({**EXTRA, "item": "hobby"}),
        {"team": "night"},
        Reason.SCHEMA_WITHOUT_ITEM,
    ),
    "item moved": (_set("operator", item="name"), {}, Reason.SCHEMA_WITHOUT_ITEM),
    "needed field missing": (lambda raw: raw["fields"].pop(0), {}, Reason.SCHEMA_WITHOUT_ITEM),
    "type changed": (_set("ticket", type="long"), {"ticket": 1}, Reason.SCHEMA_WITHOUT_ITEM),
    "ambiguous union": (_set("value", type=["null", "string", "long"]), {}, Reason.SCHEMA_WITHOUT_ITEM),
    "zero-byte items": (
        lambda raw: raw["fields"].append({**EXTRA, "type": {"type": "array", "items": "null"}}),
        {"team": []},
        Reason.SCHEMA_WITHOUT_ITEM,
    ),
    "recursive": (
        lambda raw: raw["fields"].append({"name": "next", "type": ["null", "Control"]}),
        {"next": None},
        Reason.TOO_DEEP,
    ),
    "another record": (lambda raw: raw.update(name="Controls"), {}, Reason.NOT_AVRO),
    "another namespace": (lambda raw: raw.update(namespace="jp.other"), {}, Reason.NOT_AVRO),
}


@pytest.mark.parametrize("case", UNFIT)
async def test_a_schema_that_is_unfit_gives_every_value_its_reason(case: str) -> None:
    """What the schema lacks decides, whatever the value; nothing is listed as readable."""
    change, extra, reason = UNFIT[case]
    decoded, codec = await decode_by(change, {**CONTROL, **extra})
    assert decoded == Undecodable(reason)
    with pytest.raises(KeyError):
        codec.fields(70)


async def test_an_unfit_schema_of_another_kind_is_not_avro_for_this_topic() -> None:
    """The topic's own record kind is asked for first."""
    raw = copy.deepcopy(dict(schemas.schema("ParkedEvent").source))
    raw["fields"].append({"name": "team", "type": "string"})
    codec = Codec(Registered(id70=raw), {TOPIC: "Control", "parked": "ParkedEvent"})
    value = schemas.frame(70, b"")
    await codec.prepare([value])
    assert codec.decode(TOPIC, value) == Undecodable(Reason.NOT_AVRO)
    assert codec.decode("parked", value) == Undecodable(Reason.SCHEMA_WITHOUT_ITEM)


async def test_what_the_registry_calls_another_format_is_not_avro() -> None:
    """An id of a schema in another format can never become valid."""
    registry = Registered(id70=avro.SchemaError(avro.Fault.NOT_AVRO, "", "in another format"))
    codec = Codec(registry, {TOPIC: "Control"})
    await codec.prepare([schemas.frame(70, b"")])
    assert codec.decode(TOPIC, schemas.frame(70, b"")) == Undecodable(Reason.NOT_AVRO)


async def test_a_registry_that_is_away_decides_nothing() -> None:
    """prepare raises while the schema cannot be known, and succeeds once the registry is back."""
    registry = Registered(id70=dict(schemas.schema("Control").source))
    registry.away = True
    codec = Codec(registry, {TOPIC: "Control"})
    value = schemas.frame(70, PAYLOAD)
    with pytest.raises(RegistryAway):
        await codec.prepare([value])
    with pytest.raises(RuntimeError, match="prepare"):
        codec.decode(TOPIC, value)
    registry.away = False
    await codec.prepare([value])
    assert codec.decode(TOPIC, value) == Decoded(70, CONTROL)


async def test_a_known_schema_is_asked_for_once() -> None:
    """Values of a known schema need no registry, even if it is away."""
    registry = Registered(id70=dict(schemas.schema("Control").source))
    codec = Codec(registry, {TOPIC: "Control"})
    await codec.prepare([schemas.frame(70, PAYLOAD)] * 3)
    registry.away = True
    await codec.prepare([schemas.frame(70, PAYLOAD), None, b"", b"\x01"])
    assert registry.asked == [70]


async def test_an_absent_schema_is_asked_for_again_after_a_while() -> None:
    """Absence is remembered for a bounded time: the schema may be registered late."""
    now = 1_000.0
    registry = Registered()
    codec = Codec(registry, {TOPIC: "Control"}, clock=lambda: now)
    value = schemas.frame(70, PAYLOAD)
    await codec.prepare([value])
    now += UNFIT_FOR_S - 1
    await codec.prepare([value])
    assert registry.asked == [70]
    assert codec.decode(TOPIC, value) == Undecodable(Reason.UNKNOWN_SCHEMA_ID)
    registry.known[70] = dict(schemas.schema("Control").source)
    now += 1
    await codec.prepare([value])
    assert registry.asked == [70, 70]
    assert codec.decode(TOPIC, value) == Decoded(70, CONTROL)


async def test_an_unfit_schema_is_asked_for_again_after_a_while() -> None:
    """A schema that lacked an item may have been mended under its id."""
    now = 1_000.0
    unlabelled = copy.deepcopy(dict(schemas.schema("Control").source))
    del unlabelled["fields"][0]["item"]
    registry = Registered(id70=unlabelled)
    codec = Codec(registry, {TOPIC: "Control"}, clock=lambda: now)
    value = schemas.frame(70, PAYLOAD)
    await codec.prepare([value])
    assert codec.decode(TOPIC, value) == Undecodable(Reason.SCHEMA_WITHOUT_ITEM)
    registry.known[70] = dict(schemas.schema("Control").source)
    now += UNFIT_FOR_S
    await codec.prepare([value])
    assert codec.decode(TOPIC, value) == Decoded(70, CONTROL)


async def test_the_schema_of_a_value_is_told_unless_nothing_of_it_is_decoded() -> None:
    """What is refused by its size or its first bytes needs no schema."""
    raw = dict(schemas.schema("Control").source)
    registry = Registered(id70=raw, id71=avro.SchemaError(avro.Fault.NOT_AVRO, "", "in another format"))
    codec = Codec(registry, {TOPIC: "Control"})
    assert await codec.source(schemas.frame(70, b"anything")) == raw
    other_magic = b"\x01" + schemas.frame(70, b"anything")[1:]
    refused = (None, b"", b"{}", other_magic, schemas.frame(70, bytes(MAX_RECORD_BYTES)), schemas.frame(71, b""))
    assert [await codec.source(value) for value in refused] == [None] * len(refused)


async def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made-up ids push out the oldest, and a batch of values still finds all of its own."""
    monkeypatch.setattr(codec_module, "MAX_UNFIT_IDS", 10)
    registry = Registered()
    codec = Codec(registry, {TOPIC: "Control"})
    for start in range(0, 100, 10):
        values = [schemas.frame(number, b"") for number in range(start, start + 10)]
        await codec.prepare(values)
        assert {codec.decode(TOPIC, value) for value in values} == {Undecodable(Reason.UNKNOWN_SCHEMA_ID)}
    with pytest.raises(RuntimeError):
        codec.decode(TOPIC, schemas.frame(0, b""))


async def test_what_we_wrote_is_read_whatever_its_size() -> None:
    """An intent of many entries is larger than any input may be; a lane can't open without reading it."""
    value = schemas.encode("Control", CONTROL) + bytes(MAX_RECORD_BYTES)
    kinds = {"in": "Control", "own": "ProvisionIntent"}
    codec = Codec(FileRegistry(), kinds)
    await codec.prepare([value])
    assert codec.decode("in", value) == Undecodable(Reason.TOO_LARGE)
    assert codec.decode("own", value) == Undecodable(Reason.NOT_AVRO)
    assert codec.decode("own", value + bytes(MAX_OWN_RECORD_BYTES)) == Undecodable(Reason.TOO_LARGE)
