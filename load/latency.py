"""How long each event took from one append to the other, read from the topics afterwards.

Knows where the two times stand: both are the broker's own (LogAppendTime). Must not know who wrote the records.
"""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any

import fastavro
from hdrh.histogram import HdrHistogram

from gateway import schemas
from gateway.sandbox.producers.stream import PAYMENTS, SCORES
from gateway.sandbox.verifier.topics import Topics
from load.result import Latency

LEDGER = "genie.provision.ledger"
LONGEST_MS = 3_600_000
DIGITS = 3

Place = tuple[str, int, int]


async def read(bootstrap: str, prefix: str, since_ms: int) -> Latency:
    """Of all events that were appended since then, whatever became of them. Raises TopicsError."""
    histogram: Any = HdrHistogram(1, LONGEST_MS, DIGITS)  # type: ignore[no-untyped-call]  # hdrh ships no types
    async with Topics(bootstrap) as topics:
        appended: dict[Place, int] = {}
        for topic in (PAYMENTS, SCORES):
            async for record in topics.records(prefix + topic, _quietly):
                if record.timestamp >= since_ms:
                    appended[record.topic, record.partition, record.offset] = record.timestamp
        position = _position_reader()
        async for record in topics.records(prefix + LEDGER, _quietly):
            if record.value is None or record.timestamp < since_ms:
                continue
            of = position(record.value)
            at = appended.pop((of["topic"], of["partition"], of["offset"]), None)
            if at is not None:
                histogram.record_value(max(1, record.timestamp - at))
    return summary(histogram)


def summary(histogram: Any) -> Latency:
    """The histogram's usual points."""
    return Latency(
        p50=histogram.get_value_at_percentile(50),
        p99=histogram.get_value_at_percentile(99),
        p999=histogram.get_value_at_percentile(99.9),
        max=histogram.get_max_value(),
        events=histogram.get_total_count(),
        histogram=histogram.encode().decode(),
    )


def _position_reader() -> Any:
    """Reads the first field of a ledger record alone: Avro has no marks between fields, so that costs a tenth."""
    source = dict(schemas.schema("ProvisionRecord").source)
    first = fastavro.parse_schema({**source, "fields": source["fields"][:1]})

    def read_position(value: bytes) -> Mapping[str, Any]:
        _, payload = schemas.unframe(value)
        record: Any = fastavro.schemaless_reader(BytesIO(payload), first, None)
        position: Mapping[str, Any] = record["input"]
        return position

    return read_position


def _quietly(topic: str, done: int, total: int) -> None:
    """It takes seconds."""
