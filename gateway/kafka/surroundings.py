"""What all lanes of a process share, and what a lane's driver needs of the rooms that it must not know.

Knows shapes only: whoever wires the process fills them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from aiokafka.client import AIOKafkaClient

from gateway.core import facts
from gateway.core.entry import InputRecord
from gateway.core.outcome import Answer, LookupReply
from gateway.kafka.codec import Codec
from gateway.kafka.connection import KafkaConnection
from gateway.kafka.consent_view import ConsentView
from gateway.kafka.fence import Fence
from gateway.observe.metrics import Metrics


class Partner(Protocol):
    """GeNiE's client."""

    async def send(
        self, entries: Sequence[facts.OutgoingEntry], expires_at: int, traceparent: str | None = None
    ) -> Answer:
        """Make one attempt."""

    async def look_up(self, keys: Sequence[str], traceparent: str | None = None) -> LookupReply | None:
        """Ask what became of keys."""


class Slots(Protocol):
    """Slots for requests, shared by all lanes of the process."""

    async def acquire(self, upto: int) -> int:
        """Wait for slots."""

    def release(self, count: int = 1) -> None:
        """Give slots back."""

    def observe(self, answer: Answer) -> None:
        """Learn from an answer."""

    def retry_delay(self) -> int:
        """Take a turn of the retry budget; how far away it is, ms."""

    def asked(self, *, answered: bool) -> None:
        """Learn whether a lookup got a verified answer, before its slot is given back."""


class Reader(Protocol):
    """Makes InputRecords of the raw records of one input topic."""

    async def read(self, raws: Sequence[Any], *, wary: bool = False) -> list[InputRecord]:
        """Decode and check, `wary` in a child process first; raises RegistryAway."""


@dataclass(frozen=True, slots=True)
class OwnTopics:
    """Where lanes write, and the schema ids they write with."""

    ledger: str
    parked: str
    intents: str
    ledger_id: int
    parked_id: int
    intent_id: int


@dataclass(slots=True)
class Heard:
    """What all lanes of this process know of GeNiE's health."""

    ok_at: int = 0  # when it last gave a verified 200, ms
    last: str = "none"  # how the last request ended: one of ANSWER_KINDS
    last_at: int = 0  # and when, ms
    trouble: str = "none"  # a code of what came of the last request that was not answered


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all lanes of a process share. Times in ms."""

    connection: KafkaConnection
    client: AIOKafkaClient
    topics: OwnTopics
    codec: Codec
    view: ConsentView
    fence: Fence
    partner: Partner
    slots: Slots
    metrics: Metrics
    heard: Heard
    alert: Callable[[str, facts.Alert], None]

    @staticmethod
    def now() -> int:
        """The wall clock."""
        return time.time_ns() // 1_000_000
