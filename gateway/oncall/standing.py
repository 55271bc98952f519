"""What a replay would come to now: consents and holds as they are, read with the eyes of the gateway's own view, and
core/decide.py asked by them. Nothing is sent.

What it says is no promise: a replay decides anew, behind a fence. Must not know why it is asked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.core import events
from gateway.core.consent import ConsentState
from gateway.core.decide import Permit, decide
from gateway.core.events import Event, EventType, Layout
from gateway.core.holds import Hold, Holds
from gateway.core.policy import Policy
from gateway.core.reasons import Reason
from gateway.kafka.cluster import describe
from gateway.kafka.codec import Decoded
from gateway.kafka.names import TopicNames
from gateway.kafka.partitioner import partition_of
from gateway.kafka.scan import scan
from gateway.kafka.view_reader import LOGGED_OF_EACH, ViewCounts, ViewReader
from gateway.kafka.view_rows import Seen
from gateway.oncall import times
from gateway.oncall.desk import Desk


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


def event_types(names: TopicNames) -> Mapping[str, EventType]:
    """The input topics, and the type of what is in them."""
    return {names.payments: EventType.LEASE_PAYMENT, names.scores: EventType.NOREL_SCORE_UPDATE}


class Standing:
    """Consents of the subjects asked about, and all holds."""

    def __init__(self, desk: Desk, rules: Rules) -> None:
        self._desk = desk
        self._rules = rules
        self._types = event_types(desk.names)
        self._layouts: dict[int, Layout] = {}
        self._seen: dict[str, Seen | None] = {}
        self._held: dict[str, Hold] = {}
        self._replay_lanes = 1

    def event(self, topic: str, key: bytes | None, value: bytes | None) -> Event | Reason:
        """The event in a record of an input topic, or why there is none; as the gateway's intake reads it.

        The codec must have been prepared for it.
        """
        decoded = self._desk.codec.decode(topic, value)
        if not isinstance(decoded, Decoded):
            return decoded.reason
        layout = self._layouts.get(decoded.schema_id)
        if layout is None:
            layout = Layout(decoded.schema_id, self._desk.codec.fields(decoded.schema_id))
            self._layouts[decoded.schema_id] = layout
        return events.parse(self._types[topic], layout, decoded.record, key)

    async def read(self, subjects: Collection[str]) -> None:
        """Read consents of these subjects, besides those known, and holds.

        Raises TopicMissingError, KafkaUnavailableError, RegistryAway.
        """
        desk, names = self._desk, self._desk.names
        fresh: dict[str, Seen | None] = dict.fromkeys(subjects)
        # Whoever follows these topics logs what is wrong in them; here it would be noise among the answers.
        quiet = ViewCounts(*[LOGGED_OF_EACH] * len(ViewCounts.__slots__))
        reader = ViewReader(desk.codec, names.consents, quiet)

        def look_up(wanted: Iterable[str]) -> dict[str, Seen | None]:
            return {subject: fresh.get(subject) for subject in wanted}

        async def take(raws: Sequence[Any]) -> None:
            await desk.codec.prepare([raw.value for raw in raws])
            changes = reader.read(raws, look_up)
            fresh.update({subject: seen for subject, seen in changes.seen.items() if subject in fresh})
            for hold_id, hold in changes.holds.items():
                self._held.pop(hold_id, None)
                if hold is not None:
                    self._held[hold_id] = hold

        for topic in (names.consents, names.controls):
            await scan(desk.connection, desk.client, topic, take, desk.tell)
        self._seen |= fresh
        self._replay_lanes = len((await describe(desk.client, [names.replays])).topics[names.replays].leaders)

    def knows(self, subject: str) -> bool:
        """Whether the consent of this subject was read."""
        return subject in self._seen

    def decide(self, event: Event, lane: str) -> Verdict:
        """What a replay of this event, which came in by `lane`, would come to; its subject must be known."""
        now = times.now_ms()
        seen = self._seen[event.subject_ref]
        state = None if seen is None else seen.state
        if holding := self._in_the_way(event, lane, now):
            return Verdict(now, Reason.HELD, state, holding)
        rules = self._rules
        said = decide(event, state, rules.policy, now=now, expires_at=now + rules.expires_ms, skew_ms=rules.skew_ms)
        return Verdict(now, said, state)

    def _in_the_way(self, event: Event, lane: str, now: int) -> tuple[Hold, ...]:
        """As a lane of replays asks: it mixes types and is not paused, so what is held would be parked again."""
        if not self._held:
            return ()
        replays = partition_of(event.subject_ref.encode(), self._replay_lanes)
        lanes = (lane, f"{self._desk.names.replays}:{replays}")
        return tuple(hold for hold in self._held.values() if _holds(Holds([hold]), event, lanes, now))


def _holds(hold: Holds, event: Event, lanes: Iterable[str], now: int) -> bool:
    return hold.parks(event.subject_ref, now) or any(hold.pauses(event.type.code, lane, now) for lane in lanes)
