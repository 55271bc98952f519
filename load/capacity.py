"""How much of everything a given rate and number of subjects need, by formulas from what was measured.

Knows the formulas, and what is assumed of lenders. Must not know how anything was measured or shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from load.stages.sizes import Sizes

BUSY = 0.7  # share of a core that is planned: what is left takes peaks, and p99 is measured there
SPARE = 1  # processes more than are needed, so that one may be away
REPLICAS = 3
LANES_A_PROCESS = 2  # of each topic, so that work divides evenly when a process goes or comes
PARTITIONS = (6, 12, 24, 48, 96, 192, 384)  # numbers that divide well
BATCH = 100
MB = 1e6
DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Measured:
    """What all figures rest on."""

    cpu_us: float  # of the gateway for an event in batches, when there is as much to do as it can
    sizes: Sizes


@dataclass(frozen=True, slots=True)
class Need:
    """What one rate needs."""

    rate: float
    processes: int
    partitions: int  # of each input topic
    connections_fast: int  # to GeNiE in all, when it answers in 20 ms
    connections_slow: int  # and in 200 ms
    written_mb_s: float  # by all brokers together, replicas included
    to_genie_mb_s: float


@dataclass(frozen=True, slots=True)
class Lender:
    """What is assumed of a lender's events."""

    name: str
    subjects: int
    contracts_each: float = 1.3
    due_days: int = 3  # in a month; the payments of one come within
    payment_hours: float = 2.0
    score_hours: float = 4.0  # all scores, once a day, within these
    outage_hours: float = 1.0  # of the gateway or of GeNiE, at the peak, worked off within
    recovery_hours: float = 0.5

    @property
    def peak(self) -> float:
        """Events a second when payments and scores come together."""
        payments = self.subjects * self.contracts_each / self.due_days / (self.payment_hours * 3600)
        return payments + self.subjects / (self.score_hours * 3600)

    @property
    def design_rate(self) -> float:
        """Events a second that it is built for: the peak, and what has gathered in an outage."""
        return self.peak * (1 + self.outage_hours / self.recovery_hours)

    @property
    def events_a_year(self) -> float:
        """All of them."""
        return self.subjects * (self.contracts_each * 12 + 365)


LENDERS = (
    Lender("regional", 300_000),
    Lender("large", 3_000_000),
    Lender("national", 30_000_000),
)
RATES = (100, 1_000, 5_000, 20_000, 100_000)


def need(rate: float, measured: Measured) -> Need:
    """What this rate needs."""
    processes = ceil(rate * measured.cpu_us / 1e6 / BUSY) + SPARE
    sizes = measured.sizes
    return Need(
        rate=rate,
        processes=processes,
        partitions=next((n for n in PARTITIONS if n >= LANES_A_PROCESS * processes), LANES_A_PROCESS * processes),
        connections_fast=connections(rate, 0.020),
        connections_slow=connections(rate, 0.200),
        written_mb_s=rate * (sizes.input + sizes.intent + sizes.ledger) * REPLICAS / MB,
        to_genie_mb_s=rate * sizes.request / MB,
    )


def connections(rate: float, answer_s: float, batch: int = BATCH) -> int:
    """Requests under way at once, by Little's law, with the same room for peaks."""
    return ceil(rate / batch * answer_s / BUSY)


def ledger_tb_a_year(lender: Lender, sizes: Sizes) -> float:
    """What the ledger grows by, replicas included, before compression."""
    return lender.events_a_year * sizes.ledger * REPLICAS / 1e12


def of_view(views: Sequence[Mapping[str, float]], subjects: int) -> Mapping[str, float] | None:
    """The consent view of so many subjects, in proportion to the largest that was measured."""
    if not views:
        return None
    largest = max(views, key=lambda each: each["subjects"])
    scale = subjects / largest["subjects"]
    return {name: largest[name] * scale for name in ("catch_up_cpu_s", "file_mb")}
