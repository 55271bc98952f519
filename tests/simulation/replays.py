"""What on-call asks to be processed again: plans of settled records, applied as `gateway replay apply` does it; some
twice, some beside another plan of the same records, some while the customer's consent changes.

Knows what the ledger holds, and how a request looks. Must not know what becomes of one.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Any

from gateway.kafka.names import TopicNames
from gateway.sandbox.producers.shares import made_uuid

NAMES = TopicNames("")
# What may end otherwise the next time.
CURABLE = frozenset({"consent_withdrawn", "held", "rejected_by_genie", "genie_fails_on_entry", "outcome_unknown"})
CURABLE_SHARE = 0.6  # of plans: of such records alone
MISSING_SHARE = 0.05  # of requests: for what is not there
CHANGE_SHARE = 0.5  # of requests: the customer's consent ends or begins again meanwhile
APPLIED_AGAIN_SHARE = 0.25  # of requests: by a second, identical apply
OTHER_PLAN_SHARE = 0.25  # of requests: by another plan
SOON_S = 0.2  # how far apart these are, on average
PLANNED = (1, 2, 5, 20)  # records of one plan
MISSING = 100_000  # offsets further on nothing is ever written
OPERATOR = {"operator": "on-call", "reason": "simulation", "ticket": "T-1"}


@dataclass(frozen=True, slots=True)
class Settled:
    """An input record that has its ledger record."""

    topic: str
    partition: int
    offset: int
    subject: str
    reason: str

    @property
    def place(self) -> str:
        return f"{self.topic}:{self.partition}:{self.offset}"


def settled_in(ledger: Iterable[Mapping[str, Any]]) -> list[Settled]:
    """What may be asked for again: no replays, and nothing that can never become valid."""
    return [
        Settled(
            record["input"]["topic"],
            record["input"]["partition"],
            record["input"]["offset"],
            record["subject_ref"],
            record["reason"],
        )
        for record in ledger
        if record["outcome"] != "INVALID"
        and record["subject_ref"] is not None
        and record["replay_of"] is None
        and record["input"]["topic"] != NAMES.replays
    ]


def request(plan_id: str, target: Settled, now_ms: int) -> dict[str, Any]:
    """As apply writes it: the same plan asks for the same record under the same id, however often it is applied."""
    return {
        "request_id": str(uuid.uuid5(uuid.UUID(plan_id), target.place)),
        "plan_id": plan_id,
        "plan_digest": bytes(32),
        "input": {"topic": target.topic, "partition": target.partition, "offset": target.offset},
        "subject_ref": target.subject,
        "requested_at": now_ms,
        **OPERATOR,
    }


class Replays:
    """`settled` says what the ledger holds; `ask` writes the request of a plan for a record; `change` ends a subject's
    consent or gives it again; `soon` does something so many seconds later."""

    def __init__(
        self,
        seed: int,
        settled: Callable[[], Sequence[Settled]],
        ask: Callable[[str, Settled], None],
        change: Callable[[str], None],
        soon: Callable[[float, Callable[[], None]], None],
    ) -> None:
        self._seed = seed
        self._settled = settled
        self._ask = ask
        self._change = change
        self._soon = soon
        self._plans = 0

    def apply(self) -> None:
        """Plan some records, mostly such as may be provided now, and ask for each."""
        plan_id, other_id = self._plan_id(), self._plan_id()
        rng = Random(plan_id)
        settled = self._settled()
        curable = [each for each in settled if each.reason in CURABLE]
        wanted = curable if curable and rng.random() < CURABLE_SHARE else settled
        for target in rng.sample(wanted, min(len(wanted), rng.choice(PLANNED))):
            self._race(rng, plan_id, other_id, target)

    def ask_early(self, target: Settled) -> None:
        """A request that somebody writes by hand: nobody knows how its record ends yet."""
        plan_id = made_uuid(self._seed, target.place)
        self._soon(Random(plan_id).expovariate(1 / SOON_S), partial(self._ask, plan_id, target))

    def _race(self, rng: Random, plan_id: str, other_id: str, target: Settled) -> None:
        if rng.random() < MISSING_SHARE:
            target = replace(target, offset=target.offset + MISSING)
        ask, change = partial(self._ask, plan_id, target), partial(self._change, target.subject)
        if rng.random() < CHANGE_SHARE:
            ask, change = rng.sample((ask, change), 2)
            self._soon(rng.expovariate(1 / SOON_S), change)
        ask()
        for share, act in (
            (APPLIED_AGAIN_SHARE, partial(self._ask, plan_id, target)),
            (OTHER_PLAN_SHARE, partial(self._ask, other_id, target)),
        ):
            if rng.random() < share:
                self._soon(rng.expovariate(1 / SOON_S), act)

    def _plan_id(self) -> str:
        self._plans += 1
        return made_uuid(self._seed, "plan", self._plans)
