"""What goes wrong in one story: which kinds, to whom, when, for how long. It all follows from the seed.

Knows kinds, sorts and times. Must not know how anything is brought about (deeds.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from random import Random

from gateway.sandbox.producers.shares import evenly
from tests.chaos.plan import LinkTrouble, Outage
from tests.chaos.points import Point
from tests.coded import Coded
from tests.simulation.shape import DRIFTS_MS, MOST_FAULTS, SESSION_MS, SKEW_MS, Shape


class Broken(Enum):
    """How GeNiE talks nonsense, or takes its time: the names are those of the sandbox's faults."""

    GARBAGE_JSON = "garbage_json"
    DEEP_JSON = "deep_json"
    OTHER_JSON_TYPES = "other_json_types"
    MISSING_RESULTS = "missing_results"
    EXTRA_RESULTS = "extra_results"
    REPEATED_RESULTS = "repeated_results"
    WRONG_KEYS = "wrong_keys"
    UNSIGNED_ANSWER = "unsigned_answer"
    BAD_SIGNATURE = "bad_signature"
    SWAPPED_SIGNATURE = "swapped_signature"
    OLD_SIGNATURE = "old_signature"
    LOOKUP_PROCESSING = "lookup_processing"
    EARLY_AS_OF = "early_as_of"
    ENTRY_RETRY = "entry_retry"
    ENTRY_REJECTED = "entry_rejected"
    ENTRY_BREAKS = "entry_breaks"
    ENTRY_SPOILS_BATCH = "entry_spoils_batch"
    CLIENT_ERROR = "client_error"
    SIGNATURE_EXPIRED = "signature_expired"
    LATENCY = "latency"


class BrokerTrouble(Coded):
    """What befalls a broker's answers: (code, sentence)."""

    sentence: str

    LOST_COMMIT = ("lost_commit", "the answer to a commit is lost, which is carried out")
    LATE_COMMIT = ("late_commit", "the answer to a commit comes late")
    REFUSED_COMMIT = ("refused_commit", "a commit is answered with an error that may be tried again")
    COMMIT_DONE_LATE = ("commit_done_late", "a commit is carried out late, when its sender may have given up")
    LOST_OFFSETS = ("lost_offsets", "the answer to offsets in a transaction is lost, which are kept")
    LOST_PRODUCE = ("lost_produce", "the answer to a produced batch is lost, which is kept")
    REFUSED_PRODUCE = ("refused_produce", "a batch is answered with an error that may be tried again")
    LOST_HEARTBEAT = ("lost_heartbeat", "the answer to a heartbeat is lost")
    SLOW_OFFSETS = ("slow_offsets", "end offsets are told late, so a fence is slow")
    SLOW_FETCH = ("slow_fetch", "records are delivered late")


class Change(Enum):
    """What a transaction that is left open changes."""

    CONSENT = "consent"
    HOLD = "hold"


class Kind(Coded):
    """Everything that is done to the parts: (code, how often among all, sentence)."""

    weight: float
    sentence: str

    KILL_AT = ("kill_at", 16, "a gateway is killed at a named point")
    FREEZE_AT = ("freeze_at", 12, "a gateway stops at a named point, and goes on later")
    KILL = ("kill", 6, "a gateway is killed, wherever it is")
    FREEZE = ("freeze", 6, "a gateway stops, wherever it is, and goes on later")
    RESTART = ("restart", 5, "a gateway ends in order and is started again, so lanes move")
    LOSE_VIEW = ("lose_view", 2, "a gateway is killed and its consent view is gone")
    KAFKA_LINK = ("kafka_link", 10, "trouble between a gateway and Kafka")
    GENIE_LINK = ("genie_link", 8, "trouble between a gateway and GeNiE")
    BROKER_STOP = ("broker_stop", 4, "a broker stops, and starts again on its data")
    LEADER_MOVE = ("leader_move", 4, "a partition gets another leader")
    COORDINATOR_MOVE = ("coordinator_move", 4, "the group and all transactions get other coordinators")
    SLOW_MARKERS = ("slow_markers", 4, "a transaction's markers are written late")
    SLOW_REPLICAS = ("slow_replicas", 4, "followers are far behind: what is written is acknowledged late, or lost")
    BROKER_TROUBLE = ("broker_trouble", 14, "a broker's answers are lost, late or refusals")
    OUTAGE = ("outage", 10, "GeNiE fails on everything for a while")
    BROKEN = ("broken", 24, "GeNiE talks nonsense, refuses or is slow for a while")
    GENIE_KILL = ("genie_kill", 2, "GeNiE is killed and starts again on what it took")
    OPEN_CHANGE = ("open_change", 4, "a consent or a hold changes in a transaction that is left open for a while")
    REGISTRY_AWAY = ("registry_away", 5, "the schema registry does not answer for a while")
    COMPACTION = ("compaction", 3, "consents, controls and committed offsets are compacted")
    CLOCK = ("clock", 4, "a gateway's clock is set")
    GENIE_CLOCK = ("genie_clock", 4, "GeNiE's clock is set")
    STANDSTILL = (
        "standstill",
        0,
        "all gateways stop for longer than brokers wait for a transaction",
    )  # shape.py draws it


Detail = Point | Outage | Broken | LinkTrouble | BrokerTrouble | Change | None
_SORTS: Mapping[Kind, Sequence[Detail]] = {
    Kind.KILL_AT: tuple(Point),
    Kind.FREEZE_AT: tuple(Point),
    Kind.KAFKA_LINK: tuple(LinkTrouble),
    Kind.GENIE_LINK: tuple(LinkTrouble),
    Kind.BROKER_TROUBLE: tuple(BrokerTrouble),
    Kind.OUTAGE: tuple(Outage),
    Kind.BROKEN: tuple(Broken),
    Kind.OPEN_CHANGE: tuple(Change),
}
LAST_SHARE = 0.85  # of the time of troubles: by then the last of them has begun
_SESSION_S = SESSION_MS / 1000
_STANDSTILL_AT_S = (3.0, 15.0)  # so that it is over before the troubles are
_FREEZES_S = (0.3, 1.5, 0.6 * _SESSION_S, 1.5 * _SESSION_S, 3 * _SESSION_S)
_CLOCKS_MS = (3 * SKEW_MS, -3 * SKEW_MS)  # beyond what is allowed


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to do."""

    number: int  # in its story
    due_s: float
    kind: Kind
    detail: Detail
    host: int
    seconds: float  # how long it lasts, where it lasts
    chance: float  # from 0 to 1: for whatever is left to choose

    @property
    def name(self) -> str:
        """What is counted: the kind, and which of its sorts."""
        return _name(self.kind, self.detail)


def plan(shape: Shape) -> list[Fault]:
    """In the order of their times, but for a standstill, which comes last."""
    rng = Random(f"{shape.seed}/faults")
    drawn = shape.faults - bool(shape.standstill_s)
    kinds, weights = list(Kind), [kind.weight for kind in Kind]
    times = sorted(rng.uniform(0.5, LAST_SHARE * shape.trouble_s) for _ in range(drawn))
    faults = []
    for number, due_s in enumerate(times):
        kind = rng.choices(kinds, weights)[0]
        detail = _sort(kind, shape.seed, number)
        host = rng.randrange(shape.hosts)
        faults.append(Fault(number, due_s, kind, detail, host, _seconds(kind, rng), rng.random()))
    if shape.standstill_s:
        due_s, host = rng.uniform(*_STANDSTILL_AT_S), rng.randrange(shape.hosts)
        faults.append(Fault(drawn, due_s, Kind.STANDSTILL, None, host, shape.standstill_s, rng.random()))
    return faults


def names() -> list[str]:
    """What every fault is called that may happen."""
    pairs = [(kind, detail) for kind in Kind for detail in _SORTS.get(kind, (None,))]
    return [_name(kind, detail) for kind, detail in pairs]


def clock_ms(fault: Fault, drift_ms: int) -> int:
    """By how much a clock is set: mostly within what is allowed."""
    if fault.chance < 0.3:
        return _CLOCKS_MS[int(fault.chance * 100) % len(_CLOCKS_MS)]
    return round((fault.chance - 0.65) * 2 * (drift_ms or max(DRIFTS_MS)))


def _sort(kind: Kind, seed: int, number: int) -> Detail:
    """The sorts of a kind take turns over the seeds, so that none is rare by bad luck."""
    sorts = _SORTS.get(kind, (None,))
    return sorts[int(evenly(seed * MOST_FAULTS + number, 0) * len(sorts))]


def _name(kind: Kind, detail: Detail) -> str:
    return kind.value if detail is None else f"{kind.value} {detail.value}"


def _seconds(kind: Kind, rng: Random) -> float:
    if kind in (Kind.FREEZE, Kind.FREEZE_AT):
        return rng.choice(_FREEZES_S)
    return rng.choice([rng.uniform(0.2, 2.0), rng.uniform(1.0, 6.0), rng.uniform(4.0, 12.0)])
