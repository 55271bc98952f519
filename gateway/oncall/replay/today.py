"""What would become of an input record today: decoded and decided as a lane does, by consents and holds as they are.

Knows the decision and where consents and holds are read. What it says is no promise: a replay decides again, behind a
fence. Must not know why it is asked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.core import events
from gateway.core.decide import Permit, decide
from gateway.core.events import Event, EventType, Layout
from gateway.core.holds import Hold, Holds
from gateway.core.policy import Policy
from gateway.core.reasons import Reason
from gateway.core.rules import Limits
from gateway.kafka.cluster import describe
from gateway.kafka.codec import Decoded
from gateway.kafka.names import TopicNames
from gateway.kafka.partitioner import partition_of
from gateway.kafka.scan import scan
from gateway.kafka.view_reader import LOGGED_OF_EACH, ViewCounts, ViewReader
from gateway.kafka.view_rows import Seen
from gateway.oncall import times
from gateway.oncall.desk import Desk
from gateway.oncall.replay.inputs import Raw
from gateway.oncall.replay.plan_file import PROVIDE

_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Judged:
    """What would become of one record: PROVIDE or the code of a reason; `subject_ref` is None if none may be
    believed."""

    today: str
    subject_ref: str | None
    event_id: str | None


def event_types(names: TopicNames) -> dict[str, EventType]:
    """The input topics, and what is in them."""
    return {names.payments: EventType.LEASE_PAYMENT, names.scores: EventType.NOREL_SCORE_UPDATE}


class Today:
    """Consents of the subjects asked about, and all holds."""

    def __init__(self, desk: Desk, policy: Policy) -> None:
        self._desk = desk
        self._policy = policy
        self._types = event_types(desk.names)
        self._layouts: dict[int, Layout] = {}
        self._seen: dict[str, Seen | None] = {}
        self._held: dict[str, Hold] = {}
        self._holds = Holds()
        self._lanes = 1

    async def read(self, subjects: Collection[str]) -> None:
        """Read consents of these subjects, besides those known, and holds."""
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
        self._holds = Holds(self._held.values())
        cluster = await describe(desk.client, [names.replays])
        self._lanes = len(cluster.topics[names.replays].leaders)

    def knows(self, subject: str) -> bool:
        """Whether the consent of this subject was read."""
        return subject in self._seen

    async def prepare(self, raws: Sequence[Raw]) -> None:
        """Learn the schemas of these records; raises RegistryAway."""
        await self._desk.codec.prepare([raw.value for raw in raws])

    def event(self, raw: Raw) -> Event | Reason:
        """What the record says, or why nothing; its schema must have been learnt."""
        decoded = self._desk.codec.decode(raw.topic, raw.value)
        if not isinstance(decoded, Decoded):
            return decoded.reason
        layout = self._layouts.get(decoded.schema_id)
        if layout is None:
            layout = Layout(decoded.schema_id, self._desk.codec.fields(decoded.schema_id))
            self._layouts[decoded.schema_id] = layout
        return events.parse(self._types[raw.topic], layout, decoded.record, raw.key)

    def judge(self, raw: Raw, event: Event | Reason) -> Judged:
        """What a replay of it would come to now."""
        if isinstance(event, Reason):
            return Judged(event.code, None if raw.key is None else events.check_ref(raw.key), None)
        now = times.now_ms()
        subject = event.subject_ref
        if self._is_held(raw, event, now):
            return Judged(Reason.HELD.code, subject, event.event_id)
        seen = self._seen[subject]
        said = decide(
            event,
            None if seen is None else seen.state,
            self._policy,
            now=now,
            expires_at=now + _LIMITS.expires_ms,
            skew_ms=_LIMITS.skew_ms,
        )
        return Judged(PROVIDE if isinstance(said, Permit) else said.code, subject, event.event_id)

    def _is_held(self, raw: Raw, event: Event, now: int) -> bool:
        """As a lane of replays asks: it mixes types and is not paused, so what is held would be parked again."""
        if self._holds.parks(event.subject_ref, now):
            return True
        lane = partition_of(event.subject_ref.encode(), self._lanes)
        lanes = (f"{self._desk.names.replays}:{lane}", f"{raw.topic}:{raw.partition}")
        return any(self._holds.pauses(event.type.code, each, now) for each in lanes)
