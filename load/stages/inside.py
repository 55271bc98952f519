"""Stages inside the process: from a consumed record to what is written and sent, without any network.

Knows the doors of the pure core, of intake, Avro and metrics. Must not know how time is taken.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from gateway import schemas
from gateway.core.decide import Permit
from gateway.core.events import EventType, Layout, parse
from gateway.core.minimise import body_digest
from gateway.core.outcome import SentEntry, classify
from gateway.kafka.codec import Undecodable
from gateway.kafka.transactions import Outgoing
from gateway.observe.metrics import Metrics
from load.stages.course import Course, Traffic, accepted
from load.stages.material import Material, now_ms
from load.stages.watch import Watch

FETCH = 500  # records decoded at once, as a lane asks for them


async def intake(material: Material, watch: Watch) -> None:
    """Intake.read: Avro, checks, names and digests."""
    count = material.size.events
    for _ in watch.rounds(len(EventType) * count):
        for kind, reader in material.intakes.items():
            raws = material.raws(kind, count)
            for start in range(0, count, FETCH):
                with watch:
                    await reader.read(raws[start : start + FETCH])


async def decode(material: Material, watch: Watch) -> None:
    """Codec: from an input record's bytes to a mapping."""
    codec = material.codec
    for _ in watch.rounds(len(EventType) * material.size.events):
        for kind, topic in material.topics.items():
            values = [raw.value for raw in material.raws(kind, material.size.events)]
            with watch:
                await codec.prepare(values)
                for value in values:
                    codec.decode(topic, value)


async def check(material: Material, watch: Watch) -> None:
    """events.parse: formats, ranges, and whose it is."""
    for _ in watch.rounds(len(EventType) * material.size.events):
        for kind in EventType:
            decoded = await _decoded(material, kind)
            with watch:
                for layout, record, key in decoded:
                    parse(kind, layout, record, key)


async def _decoded(material: Material, kind: EventType) -> list[tuple[Layout, dict[str, Any], bytes | None]]:
    """New events as the codec hands them on."""
    codec, raws = material.codec, material.raws(kind, material.size.events)
    await codec.prepare([raw.value for raw in raws])
    found = []
    for raw in raws:
        decoded = codec.decode(raw.topic, raw.value)
        if isinstance(decoded, Undecodable):
            raise AssertionError("an event of the load can't be decoded")
        found.append((Layout(decoded.schema_id, codec.fields(decoded.schema_id)), decoded.record, raw.key))
    return found


async def lane(material: Material, watch: Watch) -> None:
    """A whole lane, with deciding, minimising and classifying in it."""
    courses = {kind: Course(material, kind, 0) for kind in EventType}
    for _ in watch.rounds(len(EventType) * material.size.events):
        for kind, course in courses.items():
            records = await material.records(kind, material.size.events)
            for record in records:  # consents are looked up elsewhere
                material.consent(record.subject_ref or "")
            course.run(records, watch)


async def decide(material: Material, watch: Watch) -> None:
    """Judge.judge, at the announcement and behind the fence."""
    judge, ahead = material.judge(EventType.LEASE_PAYMENT), material.limits.expires_ms
    for _ in watch.rounds(len(EventType) * material.size.events):
        entries, now = await material.entries(material.size.events), now_ms()
        with watch:
            for entry in entries:
                judge.judge(entry, now, now + ahead)
            for entry in entries:
                judge.judge(entry, now + 1, now + ahead)


async def minimise(material: Material, watch: Watch) -> None:
    """Judge.make: the body and its digest."""
    judge, ahead = material.judge(EventType.LEASE_PAYMENT), material.limits.expires_ms
    for _ in watch.rounds(len(EventType) * material.size.events):
        entries, now = await material.entries(material.size.events), now_ms()
        permits = [judge.judge(entry, now, now + ahead) for entry in entries]
        permitted = [
            (entry, permit) for entry, permit in zip(entries, permits, strict=True) if isinstance(permit, Permit)
        ]
        if len(permitted) < len(entries):
            raise AssertionError("an event of the load may not be provided")
        with watch:
            for entry, permit in permitted:
                judge.make(entry, permit)


async def understand(material: Material, watch: Watch) -> None:
    """classify: what GeNiE's results mean for each entry."""
    for _ in watch.rounds(len(EventType) * material.size.events):
        for traffic in await traffics(material):
            for send in traffic.sends:
                reply = accepted(send.entries, now_ms())
                sent = [
                    SentEntry(entry.idempotency_key, entry.origin, entry.source_digest, body_digest(entry.body))
                    for entry in send.entries
                ]
                with watch:
                    classify(reply, sent)


async def ledger(material: Material, watch: Watch) -> None:
    """schemas.encode of ledger records."""
    for _ in watch.rounds(len(EventType) * material.size.events):
        for traffic in await traffics(material):
            with watch:
                outgoing(material, traffic)


async def intents(material: Material, watch: Watch) -> None:
    """schemas.encode of intents."""
    number = schemas.schema_id("ProvisionIntent")
    for _ in watch.rounds(len(EventType) * material.size.events):
        for traffic in await traffics(material):
            with watch:
                for intent in traffic.intents:
                    schemas.encode("ProvisionIntent", intent, number)


async def metrics(material: Material, watch: Watch) -> None:
    """What is counted of each batch and each transaction."""
    counted = Metrics("0", "load")
    topic = material.names.payments
    batch, transaction = material.limits.batch, material.size.events
    for _ in watch.rounds(transaction):
        settled = [number / 1000 for number in range(transaction)]
        with watch:
            for _ in range(-(-transaction // batch)):
                counted.announced(batch)
                counted.sent(batch)
                counted.answered("ok", 0.02)
            counted.committed(0.01, transaction)
            counted.fence_reached(0.01)
            counted.settled(topic, "provided", "accepted", transaction)
            counted.append_to_ledger_many(settled)


async def traffics(material: Material, events: int | None = None) -> list[Traffic]:
    """What passes when new events of each type go their whole way."""
    found = []
    for kind in EventType:
        records = await material.records(kind, material.size.events if events is None else events)
        course = Course(material, kind, records[0].offset)
        found.append(course.run(records, nullcontext()))
    return found


def outgoing(material: Material, traffic: Traffic) -> list[Outgoing]:
    """The ledger's records, ready to be produced."""
    number, topic = schemas.schema_id("ProvisionRecord"), material.names.ledger
    return [
        Outgoing(topic, None, record["subject_ref"].encode(), schemas.encode("ProvisionRecord", record, number))
        for record in traffic.ledger
    ]
