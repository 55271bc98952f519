"""Plays one story: virtual time, and what happens to the owners of one lane."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from random import Random

from gateway.core import facts
from gateway.core.decide import Permit, decide
from gateway.core.entry import InputRecord
from gateway.core.events import EventType
from gateway.core.lane import Rules
from gateway.core.minimise import Minimiser, body_digest
from gateway.core.outcome import First
from gateway.core.reasons import Reason
from gateway.core.records import Origin, Recipient
from tests.core_cases import IDENTITY, NOW, POLICY, consent
from tests.lane_world import promises
from tests.lane_world.consents import Consents, HoldsOverTime
from tests.lane_world.genie import Genie, Stored
from tests.lane_world.inputs import PARTITION, TOPIC, in_order_of_arrival, partition
from tests.lane_world.kafka import Kafka
from tests.lane_world.owner import Owner
from tests.lane_world.shape import Shape, draw

MINIMISER = Minimiser(POLICY, IDENTITY)
RECIPIENT = Recipient("genie", "GeNiE", "address", "representative")
ORIGIN = Origin("cluster-1", TOPIC, PARTITION, 90 * 86_400_000, RECIPIENT, 1, "0", "test", frozenset())
HEALED_MS = 2_400_000  # how long everything may take to settle once nothing fails any more


def run(seed: int, shape: Shape | None = None) -> Counter[str]:
    """Play the story of a seed to its end; what happened in it, counted."""
    world = World(seed, shape)
    world.play()
    return world.happened


class World:
    """All that exists around one lane."""

    def __init__(self, seed: int, shape: Shape | None = None) -> None:
        self.seed, self.rng = seed, Random(seed)
        self.shape = shape or draw(self.rng)
        self.story: list[str] = []
        self.happened: Counter[str] = Counter()
        self.now = NOW
        self.step = 0
        self.partition = partition(self.rng, self.shape)
        self.arrivals = list(in_order_of_arrival(self.partition))
        self.by_key = {
            slot.record.idempotency_key: slot for slot in reversed(self.partition) if slot and slot.record.event
        }
        self.consents = Consents(self.rng, self.shape)
        self.holds = HoldsOverTime(self.rng, self.shape)
        self.kafka = Kafka()
        self.genie = Genie(self.by_key, self.subject, self._whim)
        self.provided_before = self._provide_some_before() if self.shape.replays else frozenset[str]()
        self.announced_in: dict[str, int] = {}  # batch -> step of its commit
        self.first_reader: dict[int, int] = {}  # offset -> epoch
        self.rules = Rules(
            POLICY,
            MINIMISER,
            ORIGIN,
            self.shape.limits,
            self._waits,
            lambda: self.rng.choice([0, 0, self.rng.randrange(5_000)]),
            None if self.shape.replays else EventType.LEASE_PAYMENT,
        )
        self._agenda: list[tuple[int, int, Callable[[], None]]] = []
        self._tie = 0
        self.owner = Owner(self)

    # --- time ---------------------------------------------------------------------------------------------

    def later(self, delay: int, act: Callable[[], None]) -> None:
        """Do it in so many ms."""
        self._tie += 1
        heapq.heappush(self._agenda, (self.now + max(0, delay), self._tie, act))

    def tell(self, sentence: str, *counted: str) -> None:
        """A line of the story."""
        self.story.append(f"{self.now - NOW:>8} {sentence}")
        self.happened.update(counted)

    def play(self) -> None:
        """From the first opening to the end."""
        shape, rng = self.shape, self.rng
        self.owner.start()
        for times, act in ((shape.kills, self._kill), (shape.freezes, self._freeze), (shape.closings, self._close)):
            for _ in range(times):
                self.later(rng.randrange(shape.troubles_ms), act)
        self.later(shape.troubles_ms, self._set_clocks)
        until = NOW + shape.troubles_ms + HEALED_MS
        while self._agenda and not self._is_over():
            at, _, act = heapq.heappop(self._agenda)
            if at > until:
                break
            self.now, self.step = max(self.now, at), self.step + 1
            act()
        promises.at_the_end(self, self.owner)

    @property
    def is_troubled(self) -> bool:
        """Whether anything may still fail."""
        return self.now < NOW + self.shape.troubles_ms

    def _is_over(self) -> bool:
        if self.is_troubled or len(self.kafka.ledger) < sum(slot is not None for slot in self.partition):
            return False
        return self.owner.is_idle()

    def _whim(self) -> bool:
        return self.is_troubled and self.rng.random() < self.shape.whims

    def _waits(self, attempt: int, retry_after_ms: int | None) -> int:
        return (retry_after_ms or 0) + self.rng.randrange(20, min(10_000, 200 << min(attempt, 6)))

    def _set_clocks(self) -> None:
        most = self.shape.limits.skew_ms
        self.owner.offset_of_clock = max(-most, min(most, self.owner.offset_of_clock))

    # --- what happens to owners ---------------------------------------------------------------------------

    def open_anew(self, delay: int) -> None:
        """Another owner opens the lane; an old one that is not gone is a zombie from then on."""
        before = self.owner

        def act() -> None:
            if self.owner is before:
                self.owner = Owner(self)
                self.owner.start()

        self.later(delay, act)

    def _kill(self) -> None:
        self.owner.gone = True
        self.tell(f"owner {self.owner.epoch} is killed", "kills")
        if any(
            stored.offset is not None and stored.offset not in self.kafka.ledger
            for stored in self.genie.stored.values()
        ):
            self.happened["killed between acceptance and settlement"] += 1
        self.open_anew(self.rng.randrange(5_000))

    def _freeze(self) -> None:
        span = self.rng.randrange(20_000)
        self.owner.frozen_until = self.now + span
        self.tell(f"owner {self.owner.epoch} freezes for {span} ms", "freezes")
        self.open_anew(self.rng.randrange(span + 1_000))

    def _close(self) -> None:
        span = self.rng.choice([0, 200, 5_000])
        self.tell(f"owner {self.owner.epoch} is to close within {span} ms", "closings")
        self.owner.hear(facts.Closing(self.owner.now() + span))

    # --- the world's facts --------------------------------------------------------------------------------

    def subject(self, key: str) -> str:
        """Whose event a key names."""
        event = self.by_key[key].record.event
        assert event is not None
        return event.subject_ref

    def read(self, offset: int, epoch: int) -> InputRecord:
        """The record at an offset, as this owner can decode it."""
        slot = self.partition[offset]
        assert slot is not None
        first = self.first_reader.setdefault(offset, epoch)
        record = slot.record
        if slot.fails_later and epoch != first and record.event is not None:
            self.happened["a record cannot be decoded any more"] += 1
            return replace(record, event=None, reason=Reason.UNKNOWN_SCHEMA_ID, idempotency_key="", subject_ref=None)
        return record

    def _provide_some_before(self) -> frozenset[str]:
        """Replays of what GeNiE had all along."""
        before = set()
        for key, slot in self.by_key.items():
            record, event = slot.record, slot.record.event
            assert event is not None
            permit = decide(event, consent(subject_ref=event.subject_ref), POLICY, now=NOW, expires_at=NOW, skew_ms=0)
            if self.rng.random() < 0.3 and isinstance(permit, Permit):
                entry = facts.OutgoingEntry(
                    key, record.origin, record.source_digest, MINIMISER.body(event, permit.scope)
                )
                first = First(entry.origin, entry.source_digest, body_digest(entry.body), NOW - 3_600_000)
                self.genie.stored[key] = Stored(-1, None, first, False)
                before.add(key)
        return frozenset(before)
