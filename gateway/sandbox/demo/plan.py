"""What one run of the demo is to do, and what it must have shown in the end for its verdict to mean something.

Knows numbers and names. Must not know how anything is run.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

PARTITIONS = 3  # of each busy topic: six lanes and one for replays
SMALLEST_MACHINE_CORES = 2
EVENTS_PER_SUBJECT = 10
FEWEST_SUBJECTS = 100
PACED_SECONDS = 30.0
SLOWEST_RATE = 500.0  # events/s: a smaller run is shorter, not slower
AS_FAST_AS_KAFKA = 0.0
EXPECTED_SPEED = 5_000.0  # events/s that the gateway settles

# Smaller runs may miss a kind by chance, and it would be dishonest to call that a defect.
EVENTS_FOR_ALL_OUTCOMES = 2_000
EVENTS_FOR_CHANCES = 10_000  # for what strikes few requests, or needs two things at once

OUTCOMES = ("PROVIDED", "DUPLICATE", "SUPERSEDED", "WITHHELD", "PARKED", "INVALID")


class Kill(Enum):
    """At which moment the gateway is killed."""

    ANY = "whatever it is doing"
    UNSETTLED = "GeNiE has taken events that are not settled yet"


class Reached(Enum):
    """What a run may come upon: (name in the report, sentence)."""

    sentence: str

    def __new__(cls, name: str, sentence: str) -> Reached:
        member = object.__new__(cls)
        member._value_ = name
        member.sentence = sentence
        return member

    WITHDRAWN_IN_GAP = (
        "withdrawn_between_announce_and_decision",
        "announced, then withdrawn before the decision: not sent",
    )
    LOOKUPS = ("lookups", "events that GeNiE was asked about")
    UNKNOWN_OUTCOMES = ("unknown_outcomes", "requests whose fate was unknown")
    RETRIES = ("retries", "events announced more than once")
    PRODUCER_DUPLICATES = ("producer_duplicates", "events that producers sent twice")
    CONSENT_CHANGES = ("consent_changes", "consents changed while events flowed")
    ABORTED_INPUTS = ("aborted_inputs", "records of producers' aborted transactions: gaps in the input")
    KILLS = ("kills", "times the gateway was killed with -9")
    KILLS_UNSETTLED = ("kills_between_answer_and_settlement", "of them after GeNiE's 2xx and before its settlement")


@dataclass(frozen=True, slots=True)
class Plan:
    """One run."""

    events: int
    subjects: int
    seed: int
    faults: bool
    kills: bool

    @property
    def for_speed(self) -> bool:
        """Whether the run is about how fast the gateway settles. Then all events are there when it starts, so that
        neither waits for the other; consents go on changing."""
        return not self.faults

    @property
    def gateways(self) -> int:
        """Processes of the gateway. Each keeps one core busy at most, so a run for speed has as many as the smallest
        machine has cores; they share the lanes."""
        return SMALLEST_MACHINE_CORES if self.for_speed else 1

    @property
    def rate(self) -> float:
        """Events a second."""
        return AS_FAST_AS_KAFKA if self.for_speed else max(SLOWEST_RATE, self.events / PACED_SECONDS)

    @property
    def withdrawals(self) -> float:
        """Changes of consent a second: so many that some fall between an announcement and its decision. One in ten is
        in a transaction, which holds every fence up while it is open: in a run for speed a usual number of them."""
        return 2.0 if self.for_speed else 20.0

    @property
    def withdrawals_after(self) -> float:
        """Seconds for which they go on after the last event."""
        return self.events / EXPECTED_SPEED if self.for_speed else 0.0

    @property
    def fault_shares(self) -> dict[str, float]:
        """Trouble at GeNiE: the share of requests, or of entries, that each kind strikes."""
        return _FAULT_SHARES if self.faults else {}

    @property
    def latency_ms(self) -> float:
        """How long GeNiE takes to judge."""
        return 20.0

    @property
    def kill_moments(self) -> tuple[tuple[float, Kill], ...]:
        """(share of events settled, moment) of each kill."""
        return ((0.1, Kill.UNSETTLED), (0.35, Kill.ANY), (0.6, Kill.UNSETTLED)) if self.kills else ()

    @property
    def required_outcomes(self) -> tuple[str, ...]:
        """Outcomes that this run must have come to."""
        return OUTCOMES if self.events >= EVENTS_FOR_ALL_OUTCOMES else OUTCOMES[:1]

    @property
    def required(self) -> tuple[Reached, ...]:
        """What this run must have come upon."""
        required: list[Reached] = []
        if self.events >= EVENTS_FOR_ALL_OUTCOMES:
            required += [Reached.PRODUCER_DUPLICATES, Reached.CONSENT_CHANGES]
        if self.faults and self.events >= EVENTS_FOR_CHANCES:
            required += [Reached.UNKNOWN_OUTCOMES, Reached.RETRIES, Reached.LOOKUPS]
            required += [Reached.WITHDRAWN_IN_GAP, Reached.ABORTED_INPUTS]
        if self.kills:
            required += [Reached.KILLS, Reached.KILLS_UNSETTLED]
        return tuple(required)


_FAULT_SHARES = {
    "too_many_requests": 0.01,
    "unavailable": 0.01,
    "bad_gateway": 0.01,
    "bad_gateway_after_accepting": 0.02,
    "timeout_after_accepting": 0.01,
    "reset_before_accepting": 0.01,
    "reset_after_accepting": 0.02,
    "entry_retry": 0.002,
    "entry_rejected": 0.002,
}
