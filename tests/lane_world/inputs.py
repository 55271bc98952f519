"""What lies in the input partition, and when it gets there: events, producer's duplicates, poison, gaps."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from random import Random

from gateway.core.entry import InputRecord, ReplayOf
from gateway.core.events import Event
from gateway.core.reasons import Reason
from tests.core_cases import NOW, payment_event
from tests.lane_world.shape import Shape

TOPIC, PARTITION = "lease.payments", 0
POISONS = ("hangs", "busy", "rejected", "unreadable")  # what GeNiE does with it, each time


@dataclass(frozen=True, slots=True)
class Input:
    """One record of the partition, and what is special about it."""

    record: InputRecord
    arrives_at: int
    poison: str | None = None
    stale: bool = False  # GeNiE answers superseded
    fails_later: bool = False  # no owner but the first that reads it can decode it


@cache
def event(number: int, subject: int) -> Event:
    """Event `number`, about `subject`."""
    return payment_event(
        event_id=f"00000000-0000-4000-8000-{number:012d}", subject_ref=f"subject-{subject}a", occurred_at=NOW - 1_000
    )


def digest(*parts: object) -> bytes:
    """Any 32 bytes that depend on the parts alone."""
    return sha256(repr(parts).encode()).digest()


def origin(place: int) -> str:
    """The name of the input record at an offset, or of one elsewhere (negative)."""
    return f"origin-{place}"


def partition(rng: Random, shape: Shape) -> list[Input | None]:
    """By offset; None where nothing is ever delivered."""
    slots: list[Input | None] = []
    made: list[Event] = []
    for _ in range(shape.records):
        while rng.random() < shape.gap:
            slots.append(None)
        slots.append(_input(rng, shape, len(slots), made))
    return slots


def _input(rng: Random, shape: Shape, offset: int, made: list[Event]) -> Input:
    at = NOW + rng.randrange(shape.troubles_ms * 3 // 4)
    bare = InputRecord(offset, NOW, 1_000, digest("value", offset), origin=origin(offset))
    if rng.random() < shape.undecodable:
        return Input(replace(bare, reason=rng.choice([Reason.NOT_AVRO, Reason.UNKNOWN_SCHEMA_ID])), at)
    repeats = bool(made) and rng.random() < shape.duplicate
    told = rng.choice(made) if repeats else event(len(made), rng.randrange(shape.subjects))
    made.append(told)
    source = digest("event", told.event_id) if rng.random() < 0.8 else bare.source_digest
    record = replace(
        bare,
        event=told,
        source_digest=source,
        subject_ref=told.subject_ref,
        idempotency_key=f"key-{told.event_id[-6:]}",
    )
    if shape.replays:
        place = int(told.event_id[-6:])
        record = replace(
            record, replay_of=ReplayOf(TOPIC, 7, place, f"request-{offset}"), origin=origin(-1 - place), timestamp=at
        )
    poison = rng.choice(POISONS) if rng.random() < shape.poison else None
    return Input(record, at, poison, rng.random() < 0.05, rng.random() < 0.03)


def in_order_of_arrival(slots: list[Input | None]) -> Iterator[int]:
    """When each offset is there: never before those below it."""
    latest = NOW
    for slot in slots:
        latest = max(latest, slot.arrives_at if slot else latest)
        yield latest
