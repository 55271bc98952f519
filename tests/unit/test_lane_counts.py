"""What a lane's committed transactions count, and whose rejected records were."""

from typing import Any

import pytest

from gateway.core import facts
from gateway.core.entry import InputRecord
from gateway.core.reasons import Reason
from gateway.kafka.lane_counts import LaneCounts
from gateway.observe.metrics import Metrics

NOW = 10_000


@pytest.fixture
def metrics() -> Metrics:
    return Metrics("", "")


@pytest.fixture
def counts(metrics: Metrics) -> LaneCounts:
    return LaneCounts("t", metrics)


def settled(offset: int, reason: Reason, attempts: int = 0) -> dict[str, Any]:
    """A ledger record."""
    outcome = reason.outcome.value
    at = {"offset": offset, "timestamp": NOW - 1_000}
    return {"input": at, "outcome": outcome, "reason": reason.code, "attempts": attempts}


def read(offset: int, reason: Reason | None, producer: str | None) -> InputRecord:
    """A record as taken; without a reason it has an event, which does not matter here."""
    return InputRecord(offset, NOW - 1_000, 10, b"", reason=reason, producer=producer)


def rejected(metrics: Metrics) -> dict[tuple[str, str], float]:
    """(producer, reason) -> how many."""
    (family,) = [f for f in metrics.registry.collect() if f.name == "gateway_rejected_records"]
    return {(s.labels["producer"], s.labels["reason"]): s.value for s in family.samples}


def test_rejections_have_their_producers_name(metrics: Metrics, counts: LaneCounts) -> None:
    """That of an invalid record is kept until it is settled, that of a parked one is in its parked record."""
    counts.read([read(1, Reason.NOT_AVRO, "billing"), read(2, Reason.NOT_AVRO, None), read(3, None, "billing")])
    parked = facts.Parked("t:0:3", {"producer": "billing", "reason": "rejected_by_genie"})
    tombstone = facts.Parked("t:0:0", None)
    ended = (settled(1, Reason.NOT_AVRO), settled(2, Reason.NOT_AVRO), settled(3, Reason.REJECTED_BY_GENIE, 1))
    counts.produced(facts.Produce(ledger=ended, parked=(parked, tombstone)))
    assert rejected(metrics) == {}
    counts.committed(0.01, NOW)
    once = {("billing", "not_avro"): 1, ("unknown", "not_avro"): 1, ("billing", "rejected_by_genie"): 1}
    assert rejected(metrics) == once
    counts.produced(facts.Produce(ledger=(settled(4, Reason.ACCEPTED, 1),)))
    counts.committed(0.01, NOW)
    assert rejected(metrics) == once


def test_what_is_settled_by_an_owner_that_did_not_read_it_is_nobodys(metrics: Metrics, counts: LaneCounts) -> None:
    """It is counted all the same."""
    counts.read([read(1, Reason.NOT_AVRO, "billing")])
    counts.produced(facts.Produce(ledger=(settled(7, Reason.NOT_AVRO),)))
    counts.committed(0.01, NOW)
    assert rejected(metrics) == {("unknown", "not_avro"): 1}


def test_endings_attempts_and_ages_are_counted(metrics: Metrics, counts: LaneCounts) -> None:
    """Of every record, once its transaction is committed."""
    ended = (settled(1, Reason.ACCEPTED, 1), settled(2, Reason.ACCEPTED, 3), settled(3, Reason.NO_CONSENT))
    counts.produced(facts.Produce(ledger=ended, intents=({"entries": [1, 2]},)))
    counts.committed(0.01, NOW)
    value = metrics.registry.get_sample_value
    labels = {"topic": "t", "outcome": "PROVIDED", "reason": "accepted"}
    assert value("gateway_settled_total", labels) == 2
    assert value("gateway_announced_entries_total") == 2
    assert value("gateway_committed_records_total") == 3
    assert value("gateway_settled_attempts_sum") == 4
    assert value("gateway_append_to_ledger_seconds_bucket", {"le": "1.0"}) == 3
