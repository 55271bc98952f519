"""The report of a run, and whether it is good: nothing wrong, and enough seen for that to mean something.

Knows the report's fields. Must not know how any number was found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from gateway.sandbox.demo.plan import Plan, Reached
from gateway.sandbox.verifier import Defect

DEFECTS = tuple(defect.value for defect in Defect)


@dataclass(frozen=True, slots=True)
class Report:
    """What `--report` writes."""

    produced: int
    ledger_records: int
    outcomes: Mapping[str, int]
    reasons: Mapping[str, int]
    partner_received: int
    lost: int
    unrecorded: int
    unconsented: int
    duplicated: int
    out_of_order: int
    leaked_fields: int
    events_per_second: float
    reached: Mapping[str, int]
    endpoints: Mapping[str, str]

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)

    def as_json(self) -> bytes:
        """For programs, and for people who look at the file."""
        return orjson.dumps(self.document(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def report(
    verdict: Mapping[str, Any], reached: Mapping[Reached, int], events_per_second: float, endpoints: Mapping[str, str]
) -> Report:
    """Put together what the verifier and the run itself say."""
    return Report(
        produced=verdict["produced"],
        ledger_records=verdict["ledger_records"],
        outcomes=dict(sorted(verdict["outcomes"].items())),
        reasons=dict(sorted(verdict["reasons"].items())),
        partner_received=verdict["partner_received"],
        **{defect: verdict[defect] for defect in DEFECTS},
        events_per_second=round(events_per_second, 1),
        reached={kind.value: count for kind, count in reached.items()},
        endpoints=dict(endpoints),
    )


def shortcomings(plan: Plan, report: Report) -> Iterator[str]:
    """Everything that makes the run a failure, one sentence each."""
    for defect in DEFECTS:
        if count := getattr(report, defect):
            yield f"{defect}: {count:,}"
    if report.produced < plan.events:
        yield f"only {report.produced:,} of {plan.events:,} events came to Kafka"
    for outcome in plan.required_outcomes:
        if not report.outcomes.get(outcome):
            yield f"no event ended as {outcome}, and this run was to have some"
    for kind in plan.required:
        if not report.reached.get(kind.value):
            yield f"{kind.value} is 0, and this run was to reach it ({kind.sentence})"
