"""What one measured round came to, as a value and as JSON, and what makes it count for nothing.

Knows figures and the rules that void them. Must not know how anything is measured or shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import Enum
from typing import Any

SANDBOX_BUSY_SHARE = 0.9  # of a core: above it the sandbox may have been the limit
PRODUCER_LATE_MS = 1_000.0  # above it arrivals did not follow their clock


class Mode(Enum):
    """How entries travel to GeNiE."""

    BATCH = "batch"
    SINGLE = "single"


class Kind(Enum):
    """What a process of a round is."""

    GATEWAY = "gateway"
    KAFKA = "kafka"
    GENIE = "genie"
    PRODUCER = "producer"


class Void(Enum):
    """Why a round counts for nothing: (code, sentence)."""

    sentence: str

    def __new__(cls, code: str, sentence: str) -> Void:
        member = object.__new__(cls)
        member._value_ = code
        member.sentence = sentence
        return member

    NOT_VERIFIED = ("not_verified", "The verifier gave no verdict: nobody knows whether something was lost or leaked.")
    DEFECTS = (
        "defects",
        "The verifier found something lost, leaked, unrecorded, unconsented, doubled or out of order.",
    )
    NOTHING_SETTLED = ("nothing_settled", "The gateway settled no event in the measured time.")
    NOTHING_PROVIDED = ("nothing_provided", "GeNiE received no event.")
    NO_FENCES = ("no_fences", "The gateway counted no fence: consent was not proven fresh.")
    NO_ANNOUNCEMENTS = ("no_announcements", "The gateway counted no announced entry: intents were not written.")
    NO_VERIFIED_ANSWERS = ("no_verified_answers", "The gateway counted no verified answer of GeNiE.")
    NO_TRANSACTIONS = ("no_transactions", "The gateway counted no committed transaction.")


@dataclass(frozen=True, slots=True)
class Latency:
    """From the broker's append of an input record to the broker's append of its ledger record, in ms.

    Both are Kafka's LogAppendTime, whole milliseconds of one clock; the transaction's commit marker, which lets a
    read_committed reader see the ledger record, follows within a commit (gateway_commit_seconds)."""

    p50: float
    p99: float
    p999: float
    max: float
    events: int
    histogram: str = ""  # HdrHistogram's own encoding of all of them, in milliseconds


@dataclass(frozen=True, slots=True)
class PerEvent:
    """What the gateway itself counted, over the events settled in the measured time."""

    fences: float
    announcements: float
    verified_answers: float
    transactions: float


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Whether the sandbox was the limit."""

    genie_cores: float  # CPU seconds of the sandbox GeNiE a second; it has one thread that matters
    latency_ms: float  # what it was told to take before it answers
    answer_ms: float | None  # what the gateway waited for an answer, mean; None if nobody asked
    producer_behind_ms: float  # how far the open loop fell behind its own schedule, at worst

    @property
    def busy(self) -> bool:
        return self.genie_cores > SANDBOX_BUSY_SHARE

    @property
    def late(self) -> bool:
        return self.producer_behind_ms > PRODUCER_LATE_MS


@dataclass(frozen=True, slots=True)
class Baseline:
    """The naive baseline beside it (load/baseline.py), measured the same way."""

    events: int
    seconds: float
    events_per_second: float
    cpu_us_per_event: float
    rss_mb: float = 0.0


@dataclass(frozen=True, slots=True)
class Result:
    """One measured round: from the end of its warm-up until all its events were settled."""

    scenario: str
    mode: Mode
    gateways: int  # processes
    partitions: int  # of both input topics together
    subjects: int
    events: int  # settled in the measured time
    seconds: float
    events_per_second: float
    gateway_cpu_us_per_event: float  # user and system time of all gateway processes, all threads, children too
    cpu_us_per_event: Mapping[Kind, float]
    latency_ms: Latency | None  # None: nothing was offered by a clock, so waiting says nothing
    wire_bytes_per_event: float  # read by GeNiE: content, HTTP heads and TLS; 0 where no system counts them
    rss_mb: float  # of the largest gateway process, at its highest
    per_event: PerEvent
    sandbox: Sandbox
    verdict: Mapping[str, int]  # the verifier's counts by name; empty without a verdict
    provided: int = 0  # events that GeNiE took, by its receipts
    settled: Mapping[str, int] = field(default_factory=dict)  # ledger records by outcome
    commit_ms: float = 0.0  # mean of the gateway's commits
    rss_slope_mb_per_minute: float | None = None  # soak alone
    extra: Mapping[str, float] = field(default_factory=dict)  # what one scenario alone measures
    baseline: Baseline | None = None

    @property
    def voids(self) -> tuple[Void, ...]:
        """Every reason for which the round counts for nothing."""
        return tuple(self._voids())

    def _voids(self) -> Iterator[Void]:
        if not self.verdict:
            yield Void.NOT_VERIFIED
        if any(self.verdict.values()):
            yield Void.DEFECTS
        if not self.events:
            yield Void.NOTHING_SETTLED
        if not self.provided:
            yield Void.NOTHING_PROVIDED
        counted = {
            Void.NO_FENCES: self.per_event.fences,
            Void.NO_ANNOUNCEMENTS: self.per_event.announcements,
            Void.NO_VERIFIED_ANSWERS: self.per_event.verified_answers,
            Void.NO_TRANSACTIONS: self.per_event.transactions,
        }
        yield from (void for void, count in counted.items() if count <= 0)

    @property
    def verified(self) -> bool:
        """The round counts."""
        return not self.voids

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON document; what follows from the others is written too, for people."""
        document: dict[str, Any] = _plain(asdict(self))
        document |= {"verified": self.verified, "voids": [void.value for void in self.voids]}
        document["sandbox"] |= {"busy": self.sandbox.busy, "late": self.sandbox.late}
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Result:
        """The result that `to_json` wrote."""
        values = {each.name: document[each.name] for each in fields(cls) if each.name in document}
        values["mode"] = Mode(values["mode"])
        values["cpu_us_per_event"] = {Kind(kind): value for kind, value in values["cpu_us_per_event"].items()}
        values["per_event"] = PerEvent(**values["per_event"])
        values["sandbox"] = _known(Sandbox, values["sandbox"])
        values["latency_ms"] = None if values["latency_ms"] is None else Latency(**values["latency_ms"])
        values["baseline"] = None if values.get("baseline") is None else Baseline(**values["baseline"])
        return cls(**values)


def _known(kind: type[Sandbox], document: Mapping[str, Any]) -> Sandbox:
    return kind(**{each.name: document[each.name] for each in fields(kind)})


def _plain(value: Any) -> Any:
    """Enum members by their codes, mappings with plain keys."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {_plain(key): _plain(each) for key, each in value.items()}
    return value
