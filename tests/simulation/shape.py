"""How large one story is, how long its troubles last, and what its gateways are set to. It all follows from the seed.

Knows numbers. Must not know what happens in the story.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

SHORT_S, LONG_S = (8.0, 12.0, 12.0, 18.0), 45.0  # of troubles
LARGE_SHARE = 0.015
HUGE_SHARE = 0.01
STANDSTILL_SHARE = 0.03
STANDSTILL_S = (34.0, 45.0)  # past the gateway's transactions (20 s), and how often brokers look for such (10 s)
STANDSTILL_STORY_S = 70.0  # of troubles
STANDSTILL_EVENTS = 150  # so that something is under way when it begins
MOST_HOSTS = 4
MOST_EVENTS = 5_000
CHOKES_SHARE = 0.05
MOST_FAULTS = 27  # of one story
SKEW_MS = 1_000  # that the gateways allow
EXPIRES_MS = 3_000
SESSION_MS = 6_000
REBALANCES_MS = (10_000, 10_000, 10_000, 5_000)  # the last: who drains long, or stands still meanwhile, is too late
DRIFTS_MS = (0, 0, 0, 400)  # how far a host's clock may be from the brokers'
LAGS_MS = (0, 0, 150, 1_500)  # how far followers may be behind


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of world."""

    seed: int
    hosts: int
    partitions: int  # of each input topic
    consent_partitions: int
    events: int
    subjects: int
    trouble_s: float  # events flow and things go wrong so long
    faults: int
    standstill_s: float  # how long all hosts stop at once, as one of the faults; 0: never
    changes_per_s: float  # of consents
    holds: int
    replays: int  # plans of them
    replay_partitions: int  # of the topic of requests: those of one customer lie in one
    batch: int
    window: int
    connections: int
    rebalance_ms: int  # how long members have to join again
    drift_ms: int  # how far the clocks of hosts and GeNiE's may be from the brokers'
    lag_ms: int  # of replicas, at most
    latency_ms: int  # of GeNiE, on average, beside the network's
    usual: float  # the share of requests that fail without any cause
    chokes: bool  # whether GeNiE fails on some entries all along
    compacts: bool  # whether consents may be compacted: then none goes back, for what shows that may be gone too
    static: bool  # whether hosts are static members of their group

    @property
    def size(self) -> str:
        """For people."""
        lanes = 2 * self.partitions + self.replay_partitions
        return (
            f"{self.hosts} gateways, {lanes} lanes, {self.events} events of {self.subjects} subjects, "
            f"{self.faults} faults in {self.trouble_s:g} s"
        )


def draw(seed: int) -> Shape:
    """The world of a seed: most are small, some crowded, a few large or long, and very few huge."""
    shape, rng, long = _drawn(seed), Random(f"{seed}/huge"), Random(f"{seed}/long")
    if rng.random() < HUGE_SHARE:
        return _huge(shape, rng)
    return _long(shape, long) if shape.faults < MOST_FAULTS and long.random() < STANDSTILL_SHARE else shape


def _huge(shape: Shape, rng: Random) -> Shape:
    """As many gateways as there may be, and more lanes than a few for each."""
    return replace(
        shape,
        hosts=MOST_HOSTS,
        partitions=rng.choice([4, 5, 6]),
        consent_partitions=3,
        events=rng.randrange(2_000, MOST_EVENTS),
        subjects=rng.choice([12, 40, 100]),
        trouble_s=LONG_S,
        faults=MOST_FAULTS,
        batch=rng.choice([20, 100]),
        connections=8,
    )


def _long(shape: Shape, rng: Random) -> Shape:
    """Long enough for brokers to end what stands still."""
    standstill_s = rng.uniform(*STANDSTILL_S)
    return replace(
        shape,
        events=max(shape.events, STANDSTILL_EVENTS),
        trouble_s=STANDSTILL_STORY_S,
        faults=shape.faults + 1,
        standstill_s=standstill_s,
    )


def _drawn(seed: int) -> Shape:
    rng = Random(f"{seed}/shape")
    large = rng.random() < LARGE_SHARE
    events = rng.randrange(1_000, 2_000) if large else rng.choice([40, 80, 80, 150, 150, 300])
    trouble_s = LONG_S if large else rng.choice(SHORT_S)
    return Shape(
        seed=seed,
        hosts=rng.choice([2, 2, 2, 3]),
        partitions=rng.choice([2, 3]) if large else rng.choice([1, 2, 2]),
        consent_partitions=rng.choice([1, 2]),
        events=events,
        subjects=rng.choice([3, 12, 40]) if large else rng.choice([2, 8, 20]),
        trouble_s=trouble_s,
        faults=MOST_FAULTS if large else rng.choice([2, 4, 6, 9]),
        standstill_s=0.0,
        changes_per_s=rng.choice([0.1, 0.5, 2.0]),
        holds=rng.choice([0, 1, 2]),
        replays=rng.choice([0, 4, 12]),
        replay_partitions=Random(f"{seed}/replays").choice([1, 1, 2]),
        batch=rng.choice([1, 4, 20, 100]),
        window=rng.choice([100, 100, 1_000]),
        connections=rng.choice([1, 2, 8]),
        rebalance_ms=Random(f"{seed}/rebalance").choice(REBALANCES_MS),
        drift_ms=rng.choice(DRIFTS_MS),
        lag_ms=rng.choice(LAGS_MS),
        latency_ms=rng.choice([0, 20, 20, 400]),
        usual=rng.choice([0.0, 0.02, 0.2]),
        chokes=large or Random(f"{seed}/chokes").random() < CHOKES_SHARE,
        compacts=rng.random() < 0.5,
        static=rng.random() < 0.5,
    )
