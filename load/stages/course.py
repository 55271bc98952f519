"""Leads one lane from delivery to settlement, playing Kafka and a GeNiE that accepts everything.

Knows facts and commands. Must not know tasks or the network: what the lane itself costs is all that is left.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from gateway.core import facts
from gateway.core.entry import InputRecord
from gateway.core.events import EventType
from gateway.core.holds import Holds
from gateway.core.lane import Lane
from gateway.core.metadata import CommitMetadata, IntentRef
from gateway.core.minimise import body_digest
from gateway.core.outcome import First, Reply, Result
from load.stages.material import Material, now_ms

STEP_MS = 10  # that Kafka or GeNiE takes to answer
MAX_STEPS = 1_000_000  # a lane that asks for more is stuck


@dataclass(slots=True)
class Traffic:
    """What passed."""

    ledger: list[Mapping[str, Any]] = field(default_factory=list)
    intents: list[Mapping[str, Any]] = field(default_factory=list)
    sends: list[facts.Send] = field(default_factory=list)
    transactions: int = 0


class Course:
    """One lane and its clock."""

    def __init__(self, material: Material, kind: EventType, first_offset: int) -> None:
        self._bench = material
        self._now = now_ms()
        opened = facts.Opened(first_offset, CommitMetadata(), (), Holds(), 1)
        self._lane = Lane(material.rules(kind), opened, self._now)
        self._commands = deque(self._lane.start(self._now))
        self._waiting: deque[InputRecord] = deque()
        self._wants: facts.FetchMore | None = None
        self.traffic = Traffic()

    def run(self, records: Sequence[InputRecord], watch: AbstractContextManager[object]) -> Traffic:
        """Settle all these; what passed meanwhile. Only the lane's own work is inside `watch`."""
        self.traffic = Traffic()
        self._waiting.extend(records)
        for _ in range(MAX_STEPS):
            if len(self.traffic.ledger) >= len(records):
                return self.traffic
            fact = self._next_fact()
            with watch:
                self._commands += self._lane.handle(fact, self._now)
        raise AssertionError("the lane does not settle what it was given")

    def _next_fact(self) -> facts.Fact:
        if self._wants is not None and self._waiting:
            return self._fetched(self._wants)
        while self._commands:
            command = self._commands.popleft()
            if isinstance(command, facts.FetchMore) and not self._waiting:
                self._wants = command
            elif not isinstance(command, facts.FreeSlots):
                return self._answer(command)
        wake_at = self._lane.wake_at(self._now)
        self._now = max(self._now + 1, wake_at if wake_at is not None else 0)
        return facts.Tick(self._now)

    def _answer(self, command: facts.Command) -> facts.Fact:
        match command:
            case facts.FetchMore():
                return self._fetched(command)
            case facts.WantSlots():
                return facts.SlotsGranted(command.count)
            case facts.Produce():
                self._now += STEP_MS
                return self._produced(command)
            case facts.Commit():
                self._now += STEP_MS
                return facts.Committed()
            case facts.StartFence():
                return facts.FenceReached(self._now, self._consents(command.subjects), Holds())
            case facts.Send():
                self.traffic.sends.append(command)
                return facts.Answered(command.batch_id, accepted(command.entries, self._now))
            case _:
                raise AssertionError(f"nothing goes wrong here, yet the lane asks for {type(command).__name__}")

    def _fetched(self, command: facts.FetchMore) -> facts.Fetched:
        self._wants = None
        records = [self._waiting.popleft() for _ in range(min(command.limit, len(self._waiting)))]
        subjects = {record.subject_ref for record in records if record.subject_ref is not None}
        return facts.Fetched(records, records[-1].offset + 1, self._consents(subjects))

    def _produced(self, command: facts.Produce) -> facts.Produced:
        traffic = self.traffic
        first = len(traffic.intents)
        traffic.ledger += command.ledger
        traffic.intents += command.intents
        traffic.transactions += 1
        return facts.Produced([IntentRef(0, first + place) for place in range(len(command.intents))])

    def _consents(self, subjects: set[str] | frozenset[str]) -> Mapping[str, Any]:
        return {subject: self._bench.consent(subject) for subject in subjects}


def accepted(entries: Sequence[facts.OutgoingEntry], now: int) -> Reply:
    """GeNiE's verified yes to all of them."""
    results = tuple(
        Result(
            entry.idempotency_key,
            "accepted",
            First(entry.origin, entry.source_digest, body_digest(entry.body), now),
            f"receipt-{number:08}",
        )
        for number, entry in enumerate(entries)
    )
    return Reply(200, True, "application/json", None, results, None, b"d" * 32, "genie-2026-1")
