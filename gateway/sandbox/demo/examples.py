"""Three records of the run, field by field: what came in, and beside it what GeNiE got.

Knows schemas and bodies. Must not know why a field may leave. All data are made up, so values may be shown.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from gateway import schemas
from gateway.sandbox.demo import receipts
from gateway.sandbox.demo.tally import Place

READ_SECONDS = 10.0
_PSEUDONYMS = {"subject_ref": "subject_key", "contract_ref": "contract_key"}
_EPOCH = dt.date(1970, 1, 1)
_SHOWN = ("PROVIDED", "WITHHELD", "PARKED")

Found = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One field of an input record."""

    field: str
    item: str
    value: str
    sent: str  # "" if it was not sent


@dataclass(frozen=True, slots=True)
class Example:
    """One input record, and what became of it."""

    place: str
    kind: str
    outcome: str
    reason: str
    rows: Sequence[Row]
    besides: Sequence[tuple[str, str]]  # what GeNiE got that is no field of the input


async def choose(
    bootstrap: str, settled: Mapping[str, Sequence[Found]], preferred: Sequence[Place], receipts_file: Path
) -> list[Example]:
    """One example of each outcome shown. `preferred` input records go before others."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, isolation_level="read_committed")
    await consumer.start()
    try:
        async with asyncio.timeout(READ_SECONDS):
            chosen = [
                await _first(consumer, settled.get(outcome, ()), set(preferred), receipts_file) for outcome in _SHOWN
            ]
        return [example for example in chosen if example is not None]
    finally:
        await consumer.stop()


async def _first(
    consumer: AIOKafkaConsumer, candidates: Sequence[Found], preferred: set[Place], receipts_file: Path
) -> Example | None:
    """The first of the candidates whose input can be read, the preferred ones before the others."""
    for record in sorted(candidates, key=lambda record: _rank(record, preferred)):
        decoded = _decoded(await _value(consumer, _place(record)))
        if decoded is None:
            continue
        sent = receipts.bodies(receipts_file, [record["idempotency_key"]]) if record["transmitted"] == "yes" else {}
        return example(record, *decoded, sent.get(record["idempotency_key"]))
    return None


async def _value(consumer: AIOKafkaConsumer, place: Place) -> bytes | None:
    topic, partition, offset = place
    there = TopicPartition(topic, partition)
    consumer.assign([there])
    consumer.seek(there, offset)
    value: bytes | None = (await consumer.getone(there)).value
    return value


def _rank(record: Found, preferred: set[Place]) -> tuple[bool, bool]:
    """Payments have the most fields to look at."""
    return _place(record) not in preferred, record["event_type"] != "lease_payment"


def _place(record: Found) -> Place:
    at = record["input"]
    return at["topic"], at["partition"], at["offset"]


def example(record: Found, kind: str, event: Found, body: Found | None) -> Example:
    """A ledger record, its input, and the body that GeNiE got, if it got one."""
    times = dict(_times(schemas.schema(kind).source))
    rows = [
        Row(name, item or "", _written(value, times.get(path)), _sent(path, item, event, index, body))
        for path, item in schemas.leaves(kind)
        for name, value, index in _values(path, event)
        if value is not None
    ]
    besides = []
    if body is not None:
        besides = [
            ("event_type", body["event_type"]),
            ("permitted_purposes", ", ".join(body["permitted_purposes"])),
            ("consent", f"{body['consent']['policy_version']}, given {body['consent']['consented_at']}"),
        ]
    topic, partition, offset = _place(record)
    return Example(f"{topic}:{partition}:{offset}", kind, record["outcome"], record["reason"], rows, besides)


def _values(path: str, event: Found) -> Iterator[tuple[str, Any, int]]:
    """(name, value, index in its array) of a leaf: several of a leaf in an array."""
    array, marker, inside = path.partition("[].")
    if marker:
        for index, element in enumerate(event[array]):
            yield f"{array}[{index}].{inside}", element[inside], index
        return
    value: Any = event
    for part in path.split("."):
        value = None if value is None else value[part]
    yield path, value, 0


def _sent(path: str, item: str | None, event: Found, index: int, body: Found | None) -> str:
    """What GeNiE got for a leaf; the elements of an array of inputs are found by their id."""
    if body is None:
        return ""
    name = path.rpartition(".")[2]
    if name in _PSEUDONYMS:
        return str(body.get(_PSEUDONYMS[name], ""))
    group = body["envelope"] if item == "envelope" else body["items"].get(item, {})
    if isinstance(group, list):
        wanted = event["inputs"][index]["input_id"]
        group = next((element for element in group if element["input_id"] == wanted), {})
    return str(group.get(name, ""))


def _times(source: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """(path, logical type) of the dates and times of a schema."""
    for field in source["fields"]:
        here = path + field["name"]
        for kind in field["type"] if isinstance(field["type"], list) else [field["type"]]:
            if isinstance(kind, dict) and "logicalType" in kind:
                yield here, kind["logicalType"]
            elif isinstance(kind, dict) and kind["type"] == "record":
                yield from _times(kind, f"{here}.")
            elif isinstance(kind, dict) and kind["type"] == "array" and isinstance(kind["items"], dict):
                yield from _times(kind["items"], f"{here}[].")


def _written(value: Any, logical: str | None) -> str:
    try:
        if logical == "date":
            return (_EPOCH + dt.timedelta(days=value)).isoformat()
        if logical == "timestamp-millis":
            return dt.datetime.fromtimestamp(value / 1000, dt.UTC).isoformat(timespec="milliseconds")
    except (OverflowError, ValueError, OSError):  # poison may hold any number
        pass
    return str(value)


def _decoded(value: bytes | None) -> tuple[str, Found] | None:
    """Kind and record of an input; None for poison that can't be shown field by field."""
    if value is None:
        return None
    try:
        kind, record = schemas.decode(value)
    except Exception:  # the decoder raises whatever the bytes make it raise
        return None
    return kind, record
