"""A real gateway that traces: from a producer's header to GeNiE's request and the ledger; and without a collector."""

import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from gateway import schemas
from gateway.sandbox.genie.answer import Wire
from gateway.sandbox.genie.faults import Point
from gateway.sandbox.verifier.canary import Personal
from tests.integration.chosen_records import a_payment
from tests.integration.gateway_world import LANES, Gate, World
from tests.tracing.collector import Collector

pytestmark = pytest.mark.integration

TRACES = [f"{number:032x}" for number in (0xA1, 0xB2)]
SPANS = [f"{number:016x}" for number in (0xC3, 0xD4)]
PHONE = "00000000000000000000009012345678"  # a trace id that a producer could make
HOSTILE = (b"", b"\xff" * 55, b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-01", b"0" * 50_000)


class Heads(Gate):
    """Lets every request pass, and keeps what header of W3C Trace Context it has."""

    def __init__(self) -> None:
        super().__init__(Point.BEFORE_READING)
        self.traceparents: list[str | None] = []
        self.open()
        self.share = 1.0

    async def act(self, wire: Wire, chance: Any) -> None:
        self.traceparents.append(wire._request.headers.get("traceparent"))
        assert "tracestate" not in wire._request.headers


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with Collector() as made:
        yield made


@pytest.fixture
async def world(kafka: str, prefix: str, tmp_path: Path) -> AsyncIterator[World]:
    async with World(kafka, prefix, tmp_path) as made:
        yield made


async def write(world: World, payment: dict[str, Any], *traceparents: bytes) -> int:
    """A payment with these headers; its offset."""
    headers = [("producer", b"billing"), ("tracestate", b"canary=tracestate")]
    headers += [("traceparent", value) for value in traceparents]
    value = schemas.encode("LeasePaymentEvent", payment)
    return await world.write(world.names.payments, payment["subject_ref"], value, headers=headers)


async def ledger_headers(world: World, count: int) -> dict[int, list[tuple[str, bytes]]]:
    """Of the payments, by offset."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=world.kafka, isolation_level="read_committed", auto_offset_reset="earliest"
    )
    consumer.assign([TopicPartition(world.names.ledger, number) for number in range(2)])
    found: dict[int, list[tuple[str, bytes]]] = {}
    async with consumer:
        while len(found) < count:
            raw = await consumer.getone()
            found[schemas.decode(raw.value)[1]["input"]["offset"]] = list(raw.headers)
    return found


async def nobody_has_vouched(world: World, heads: Heads, settled: int) -> None:
    """As it is shipped: one more record, with an id that is a phone number, and every trace is our own."""
    before = len(heads.traceparents)
    async with (
        Collector() as collector,
        world.gateway(tracing__endpoint=collector.endpoint, tracing__ratio="1") as gateway,
    ):
        await gateway.ready(LANES)
        offset = await write(world, a_payment("subject-0"), f"00-{PHONE}-{PHONE[-16:]}-01".encode())
        await world.settled(settled + 1)
        await world.sees(lambda: len(collector.spans) >= 2, "two spans")
    (record,) = collector.of("process")
    kept = (await ledger_headers(world, settled + 1))[offset]
    assert kept == [("traceparent", f"{record.traceparent}03".encode())]
    shown = [str((span.context, span.parent, span.links)) for span in collector.spans]
    shown += [str(told) for told in heads.traceparents[before:]]
    assert len(shown) == 3
    assert [text for text in shown if "9012345678" in text] == []


def texts(part: Any) -> Iterator[str]:
    """Every text in a record."""
    if isinstance(part, dict):
        for inner in part.values():
            yield from texts(inner)
    elif isinstance(part, str):
        yield part


async def test_a_trace_from_the_producer_to_genie_and_the_ledger(world: World, collector: Collector) -> None:
    """One batch of three records, two of them traced; then headers that are none; then a collector that is gone."""
    personal, heads = Personal(), world.add(Heads())
    payments = [a_payment(f"subject-{number}") for number in range(3)]
    for payment in payments:
        personal.learn(payment)
        await world.consent(payment["subject_ref"])
    for payment, trace, span in zip(payments, TRACES, SPANS, strict=False):
        await write(world, payment, f"00-{trace}-{span}-01".encode())
    await write(world, payments[2])
    settings = {"tracing__endpoint": collector.endpoint, "tracing__ratio": "0", "genie__batch": "3"}
    async with world.gateway(**settings, tracing__trust_producers="true") as gateway:
        await gateway.ready(LANES)
        await world.settled(3)
        await world.sees(lambda: len(collector.spans) >= 3, "three spans")
        assert "opentelemetry" not in gateway.log.read_text("utf-8")

        first, second = sorted(collector.of("process"), key=lambda span: span.attributes["messaging.kafka.offset"])
        (request,) = collector.of("provide")
        assert [(span.trace, span.parent) for span in (first, second)] == list(zip(TRACES, SPANS, strict=True))
        assert set(request.links) == {first.context, second.context}
        assert (request.attributes["gateway.entries"], request.attributes["gateway.answer"]) == (3, "2xx")
        assert first.attributes["gateway.outcome"] == "PROVIDED"
        assert heads.traceparents == [f"{request.traceparent}03"]
        assert request.trace not in TRACES
        assert await ledger_headers(world, 3) == {
            0: [("traceparent", f"{first.traceparent}01".encode())],
            1: [("traceparent", f"{second.traceparent}01".encode())],
            2: [],
        }

        # A header that is none is as if it were not there, and parks nothing.
        for value in HOSTILE:
            await write(world, a_payment("subject-0"), value)
        await write(world, a_payment("subject-0"), *(f"00-{TRACES[0]}-{span}-01".encode() for span in SPANS))
        await world.settled(3 + len(HOSTILE) + 1)
        assert set(world.reasons()) == {"accepted"}

        # A collector that answers nothing, and then is gone, holds nobody up.
        collector.hold()
        for number in range(3):
            await write(world, a_payment("subject-1"), f"00-{TRACES[0]}-{SPANS[0]}-01".encode())
            await world.settled(9 + number)
        assert len(collector.spans) == 3
        await collector.__aexit__()
        await write(world, a_payment("subject-1"), f"00-{TRACES[0]}-{SPANS[0]}-01".encode())
        await world.settled(12)
        gateway.signal(signal.SIGTERM)
        assert await gateway.end_status() == 0

    await nobody_has_vouched(world, heads, settled=12)
    assert [line["event"] for line in gateway.lines() if line["level"] == "error"] == []
    assert list(personal.canaries.found(collector.text)) == []
    known = {text for span in collector.spans for text in texts(span.attributes)}
    for payment in payments:
        assert known & set(texts(payment)) == set()
    assert "canary" not in collector.text
    await world.judged()
