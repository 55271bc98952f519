"""How large a world is, how long its troubles last, and how likely each of them is."""

from dataclasses import dataclass, field
from random import Random

from gateway.core.lane import Limits


def small_limits(**changes: int) -> Limits:
    """Limits at which a few dozen records touch every bound."""
    limits: dict[str, int] = {
        "expires_ms": 3_000,
        "skew_ms": 1_000,
        "decision_age_ms": 1_000,
        "batch": 8,
        "window": 48,
        "window_bytes": 40_000,
        "fetch": 16,
        "live_intents": 12,
        "stop_retry_ms": 3_000,
        "unknown_limit_ms": 300_000,
    }
    return Limits(**limits | changes)


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of world. Likelihoods are of one occasion each."""

    records: int = 60
    subjects: int = 5
    troubles_ms: int = 40_000  # after it nothing fails any more
    limits: Limits = field(default_factory=small_limits)
    slots: int = 3
    replays: bool = False  # the lane mixes types, and its records repeat others
    gap: float = 0.15
    duplicate: float = 0.1
    undecodable: float = 0.05
    poison: float = 0.05
    consent_changes: int = 12
    holds: int = 2
    kills: int = 2
    freezes: int = 1
    closings: int = 1
    produce_fails: float = 0.01
    commit_doubtful: float = 0.03
    fence_fails: float = 0.1
    fence_slow: float = 0.05
    send_trouble: float = 0.4
    late: float = 0.1  # of the troubles of a send: GeNiE takes it when we gave up waiting
    lookup_trouble: float = 0.4
    whims: float = 0.03  # GeNiE rejects an entry that it would take another time
    clocks_wrong: float = 0.1  # by more than the skew; sends are then refused or late, promises are kept


def draw(rng: Random) -> Shape:
    """A kind of world for a seed: calm ones, small ones, crowded ones, replays."""
    limits = small_limits(
        batch=rng.choice([1, 3, 8]),
        live_intents=rng.choice([2, 4, 12]),
        window=rng.choice([8, 48]),
        fetch=rng.choice([4, 16]),
    )
    return Shape(
        records=rng.choice([10, 30, 60]),
        subjects=rng.choice([1, 3, 8]),
        limits=limits,
        slots=rng.choice([1, 3]),
        replays=rng.random() < 0.2,
        gap=rng.choice([0.0, 0.15, 0.6]),
        kills=rng.choice([0, 1, 4]),
        freezes=rng.choice([0, 1, 2]),
        closings=rng.choice([0, 1]),
        send_trouble=rng.choice([0.0, 0.3, 0.8]),
        late=rng.choice([0.1, 0.8]),
        whims=rng.choice([0.0, 0.2]),
        clocks_wrong=rng.choice([0.0, 0.0, 0.5]),
        consent_changes=rng.choice([3, 12, 40]),
        lookup_trouble=rng.choice([0.0, 0.4]),
        poison=rng.choice([0.0, 0.1]),
    )
