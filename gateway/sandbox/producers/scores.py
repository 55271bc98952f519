"""What scoring tells: a customer's NOREL score and what it was computed from.

Knows models and their inputs. Must not know consent, faults or bytes.
"""

from __future__ import annotations

from random import Random
from typing import Any, NamedTuple

from gateway.sandbox.producers import policy
from gateway.sandbox.producers.days import DAY_MS, HOUR_MS, MINUTE_MS, start_of
from gateway.sandbox.producers.population import Subject, World
from gateway.sandbox.producers.shares import made_uuid

SCALE_MAX = 1_000
SEQUENCE_STEP = 10
OUT_OF_ORDER_SHARE = 0.04  # arrives with a sequence below one that went before
OLD_INPUT_SHARE = 0.05  # observed before the customer signed
UNREGISTERED_SHARE = 0.3  # of scores with an input that the policy does not register

UNITS = {
    "payment_on_time_ratio": "ratio",
    "max_days_past_due": "days",
    "months_in_contract": "months",
    "active_contracts": "count",
    "contract_renewals": "count",
}
# input, unit, source: none may be registered, so none may leave
UNREGISTERED = (
    ("night_drive_ratio", "ratio", "usage"),
    ("home_area_distance", "km", "location"),
    ("parking_place_changes", "count", "location"),
    ("bureau_open_loans", "count", "bureau"),
    ("declared_income", "jpy", "application"),
)


class Score(NamedTuple):
    """One event of scoring, and what it tells."""

    record: dict[str, Any]
    kind: str


class Scoring:
    """Writes the score updates of all customers."""

    def __init__(self, world: World, rng: Random) -> None:
        self._world = world
        self._rng = rng
        self._written: dict[int, int] = {}
        self._inputs = policy.registered_inputs()
        self._versions = tuple(self._inputs)

    def next(self, subject: Subject) -> Score:
        """The next score of this customer."""
        rng = self._rng
        count = self._written.get(subject.number, 0)
        self._written[subject.number] = count + 1
        stale = count > 0 and rng.random() < OUT_OF_ORDER_SHARE
        since = max(start_of(subject.signed_on + 1), start_of(policy.CLAUSE_FROM))
        as_of = rng.randrange(since, self._world.now - 3 * HOUR_MS)
        version = rng.choice(self._versions)
        record = {
            "score_id": self._score_id(subject, count),
            "subject_ref": subject.ref,
            "sequence": (count + 1) * SEQUENCE_STEP - (SEQUENCE_STEP + 5 if stale else 0),
            "score": f"{rng.randrange(SCALE_MAX)}.{rng.randrange(10)}",
            "scale_min": "0",
            "scale_max": str(SCALE_MAX),
            "model_id": policy.MODEL,
            "model_version": version,
            "as_of": as_of,
            "computed_at": as_of + rng.randrange(MINUTE_MS, HOUR_MS),
            "supersedes": self._score_id(subject, count - 1) if count and not stale else None,
            "inputs": self._observed(subject, version, as_of),
        }
        return Score(record, "score.out_of_order" if stale else "score.in_order")

    def _score_id(self, subject: Subject, count: int) -> str:
        return made_uuid(self._world.seed, "score", subject.number, count)

    def _observed(self, subject: Subject, version: str, as_of: int) -> list[dict[str, Any]]:
        rng = self._rng
        inputs = [(name, UNITS.get(name, "count"), source) for name, source in self._inputs[version].items()]
        if rng.random() < UNREGISTERED_SHARE:
            inputs.append(rng.choice(UNREGISTERED))
        if rng.random() < OLD_INPUT_SHARE:
            observed_at = start_of(subject.signed_on) - rng.randrange(30, 400) * DAY_MS
        else:
            observed_at = as_of - rng.randrange(HOUR_MS)
        return [
            {
                "input_id": name,
                "value": f"0.{rng.randrange(100, 1_000)}" if unit == "ratio" else str(rng.randrange(60)),
                "unit": unit,
                "observed_at": observed_at,
                "source": source,
            }
            for name, unit, source in inputs
        ]
