"""What a replay of one input record would come to now: decided again by core/decide.py, and nothing is sent.

Knows where the subject's consent, the holds and the policy are read, with the same eyes as the gateway's own view. What
it says is no promise: a replay decides anew, behind a fence. Must not know why it is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.core import events
from gateway.core.consent import ConsentState
from gateway.core.decide import Permit, decide
from gateway.core.events import Event, EventType, Layout
from gateway.core.holds import Hold, Holds, HoldScope
from gateway.core.policy import Policy
from gateway.core.reasons import Reason
from gateway.kafka.cluster import describe
from gateway.kafka.codec import Decoded
from gateway.kafka.names import TopicNames
from gateway.kafka.partitioner import partition_of
from gateway.kafka.view_reader import LOGGED_OF_EACH, ViewCounts, ViewReader
from gateway.kafka.view_rows import Seen
from gateway.oncall import times
from gateway.oncall.desk import Desk, Found


@dataclass(frozen=True, slots=True)
class Rules:
    """What a decision goes by besides consent and holds. Times in ms."""

    policy: Policy
    expires_ms: int  # how long an attempt may take
    skew_ms: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What would become of it."""

    at: int  # decided then, ms
    said: Permit | Reason
    state: ConsentState = None  # of the subject, as it is now
    holds: tuple[Hold, ...] = ()  # that are in the way


@dataclass(slots=True)
class _Standing:
    """Consent of the subject asked about, and all holds, as read so far."""

    subject: str
    seen: dict[str, Seen] = field(default_factory=dict)
    holds: dict[str, Hold] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Raw:
    """A found record as the view's reader takes it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


def event_types(names: TopicNames) -> Mapping[str, EventType]:
    """The input topics, and the type of what is in them."""
    return {names.payments: EventType.LEASE_PAYMENT, names.scores: EventType.NOREL_SCORE_UPDATE}


def event_in(desk: Desk, found: Found) -> Event | Reason:
    """The event in a record of an input topic, or why there is none; as the gateway's intake reads it."""
    decoded = desk.codec.decode(found.topic, found.value)
    if not isinstance(decoded, Decoded):
        return decoded.reason
    layout = Layout(decoded.schema_id, desk.codec.fields(decoded.schema_id))
    key = None if found.key is None else found.key.encode()
    return events.parse(event_types(desk.names)[found.topic], layout, decoded.record, key)


async def what_if(desk: Desk, found: Found, rules: Rules) -> Verdict:
    """Decide now what a replay of this input record would come to.

    Raises TopicMissingError, KafkaUnavailableError, RegistryAway.
    """
    event = event_in(desk, found)
    if isinstance(event, Reason):
        return Verdict(times.now_ms(), event)
    standing = await _read(desk, event.subject_ref)
    lanes = await _lanes(desk, found, event)
    now = times.now_ms()
    holding = _in_the_way(standing.holds.values(), event, lanes, now)
    seen = standing.seen.get(event.subject_ref)
    state = None if seen is None else seen.state
    if holding:
        return Verdict(now, Reason.HELD, state, holding)
    expires_at = now + rules.expires_ms
    return Verdict(
        now, decide(event, state, rules.policy, now=now, expires_at=expires_at, skew_ms=rules.skew_ms), state
    )


async def _read(desk: Desk, subject: str) -> _Standing:
    standing = _Standing(subject)
    # Whoever follows these topics logs what is wrong in them; here it would be noise among the answers.
    quiet = ViewCounts(*[LOGGED_OF_EACH] * len(ViewCounts.__slots__))
    reader = ViewReader(desk.codec, desk.names.consents, quiet)

    def look_up(subjects: Iterable[str]) -> dict[str, Seen | None]:
        return {each: standing.seen.get(each) for each in subjects}

    def take(found: Sequence[Found]) -> None:
        changes = reader.read([_raw(each) for each in found if _concerns(each, subject, desk.names)], look_up)
        standing.seen |= changes.seen
        for hold_id, hold in changes.holds.items():
            standing.holds.pop(hold_id, None)
            if hold is not None:
                standing.holds[hold_id] = hold

    for topic in (desk.names.consents, desk.names.controls):
        await desk.read(topic, take)
    return standing


async def _lanes(desk: Desk, found: Found, event: Event) -> tuple[str, str]:
    """Where the record came from, and where a replay of it would go."""
    replays = desk.names.replays
    partitions = len((await describe(desk.client, [replays])).topics[replays].leaders)
    replay = partition_of(event.subject_ref.encode(), partitions)
    return f"{found.topic}:{found.partition}", f"{replays}:{replay}"


def _in_the_way(holds: Iterable[Hold], event: Event, lanes: Iterable[str], now: int) -> tuple[Hold, ...]:
    """As a lane of replays asks: it mixes types and is not paused, so what is held would be parked again."""
    return tuple(hold for hold in holds if _holds(Holds([hold]), event, lanes, now))


def _holds(hold: Holds, event: Event, lanes: Iterable[str], now: int) -> bool:
    return hold.parks(event.subject_ref, now) or any(hold.pauses(event.type.code, lane, now) for lane in lanes)


def _concerns(found: Found, subject: str, names: TopicNames) -> bool:
    """Whether it is a hold, or names the subject: in its key, or in its value alone."""
    if found.topic == names.controls or found.key == subject:
        return True
    record: Mapping[str, Any] = found.record or {}
    return record.get("subject_ref") == subject


def _raw(found: Found) -> _Raw:
    key = None if found.key is None else found.key.encode()
    return _Raw(found.topic, found.partition, found.offset, key, found.value)


def hold_in_words(hold: Hold) -> str:
    """`subject subject-1a`, `all`."""
    return hold.scope.value if hold.scope is HoldScope.ALL else f"{hold.scope.value} {hold.value}"
