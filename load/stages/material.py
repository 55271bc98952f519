"""What stages work on: real records, as they come from Kafka, and the parts of a gateway that is not running.

Knows how the gateway's rooms are made by their doors, with no broker and no partner. Must not know what is timed.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

from gateway import policies, schemas
from gateway.core.consent import Consent, parse_consent
from gateway.core.entry import Entry, InputRecord
from gateway.core.events import EventType
from gateway.core.holds import Holds
from gateway.core.identity import Identity
from gateway.core.judge import Judge
from gateway.core.minimise import Minimiser
from gateway.core.records import Origin, Recipient
from gateway.core.rules import Limits, Rules
from gateway.genie.contract import PROBLEM_TYPES
from gateway.kafka.codec import Codec
from gateway.kafka.intake import Intake
from gateway.kafka.names import TopicNames
from gateway.kafka.registry import FileRegistry
from load.records import Made, Moulds

INSTANCE = "load"
CLUSTER = "load-cluster"
RETENTION_MS = 90 * 86_400_000
_KEYS = b"k" * 32, b"p" * 32


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    subjects: int = 100_000
    events: int = 2_000  # of each topic, a round
    rounds: int = 7


@dataclass(slots=True)
class Raw:
    """A consumed record."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = field(default=(("producer", b"billing"),))


class Material:
    """Records of both input topics, and what reads and judges them. No event is handed out twice."""

    def __init__(self, size: Size, bootstrap: str = "") -> None:
        self.size = size
        self.bootstrap = bootstrap  # of the broker, for stages that need one
        self.moulds = Moulds(size.subjects)
        self.names = TopicNames(f"stage-{uuid.uuid4().hex[:8]}.")
        self.topics = {
            EventType.LEASE_PAYMENT: self.names.payments,
            EventType.NOREL_SCORE_UPDATE: self.names.scores,
        }
        self.codec = Codec(FileRegistry(), self.names.record_kinds())
        self.identity = Identity(*_KEYS, "genie", CLUSTER)
        self.policy = policies.load()
        self.minimiser = Minimiser(self.policy, self.identity)
        self.intakes = {kind: Intake(self.codec, self.identity, kind) for kind in EventType}
        self.limits = Limits()
        self._random = Random(size.subjects)
        self._number = 0
        self._offsets = dict.fromkeys(EventType, 0)
        self._subjects: dict[str, int] = {}
        self._consents: dict[str, Consent] = {}

    def made(self, kind: EventType, count: int) -> Iterator[Made]:
        """The next events of a type, of anybody."""
        for _ in range(count):
            number = 2 * self._number + (kind is EventType.NOREL_SCORE_UPDATE)
            self._number += 1
            subject = self._random.randrange(self.size.subjects)
            made = self.moulds.event(number, subject)
            self._subjects[made.key.decode()] = subject
            yield made

    def raws(self, kind: EventType, count: int) -> list[Raw]:
        """The next events of a type, as consumed from one partition."""
        now, first = now_ms(), self._offsets[kind]
        self._offsets[kind] += count
        return [
            Raw(self.topics[kind], 0, offset, now, made.key, made.value)
            for offset, made in enumerate(self.made(kind, count), first)
        ]

    async def records(self, kind: EventType, count: int) -> list[InputRecord]:
        """The next events of a type, decoded and checked."""
        return await self.intakes[kind].read(self.raws(kind, count))

    async def entries(self, count: int) -> list[Entry]:
        """The next events of both types, `count` of each, with everybody's consent."""
        return [
            Entry(record, consent=self.consent(record.subject_ref or ""))
            for kind in EventType
            for record in await self.records(kind, count)
        ]

    def consent(self, subject_ref: str) -> Consent:
        """What a view would remember of this subject."""
        known = self._consents.get(subject_ref)
        if known is None:
            _, record = schemas.decode(self.moulds.consent(self._subjects[subject_ref]).value)
            known = self._consents[subject_ref] = parse_consent(record)
        return known

    def origin(self, kind: EventType) -> Origin:
        """Where a lane's records come from."""
        who = Recipient("genie", "GeNiE", "somewhere", "somebody")
        return Origin(
            *(CLUSTER, self.topics[kind], 0, RETENTION_MS, who),
            *(self.policy.mapping_version, "0", INSTANCE, PROBLEM_TYPES),
        )

    def rules(self, kind: EventType) -> Rules:
        """What a lane decides by; nothing is ever tried again here."""
        return Rules(
            self.policy, self.minimiser, self.origin(kind), self.limits, lambda _, __: 0, lambda: 0, event_type=kind
        )

    def judge(self, kind: EventType) -> Judge:
        """Who decides, while nothing is held."""
        return Judge(self.rules(kind), Holds())


def now_ms() -> int:
    """The wall clock."""
    return time.time_ns() // 1_000_000
