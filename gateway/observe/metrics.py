"""Every metric of the process: its name, type, labels and sentence, and the one method that feeds it.

Knows the names by which Prometheus, dashboards and alerts find things, and keeps every set of labels bounded: closed
sets, lanes that are open, and a cap with the label `other` beyond it. Must not know who measures or why.
Methods are called from the event loop; scrapes come from another thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import GCCollector, ProcessCollector

from gateway.core.holds import HoldScope
from gateway.core.outcome import Stop
from gateway.core.reasons import Reason
from gateway.observe.declared import OTHER, Series
from gateway.observe.genie_metrics import GenieMetrics

OBJECTIVE_S = 300  # nearly every record is settled so soon after its append: docs/explanation/objectives.md
MAX_PRODUCERS = 20  # by name; a header may say anything that looks like one
LANE = ("topic", "partition")

# The targets are p50 60 ms and p99 250 ms, and 99.9 % within 5 minutes: fine steps around them, none far away.
_END_TO_END_S = (
    *(0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.125, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75),
    *(1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3_600),
)
_KAFKA_STEP_S = (0.001, 0.0025, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

_ATTEMPTS = (0, 1, 2, 3, 5, 8, 13)
TRANSACTION_STEPS = ("produce", "commit")

# What a lane's view says, and the gauge that shows it.
_LANE_VIEW = {
    "watermark": ("watermark_offset", "First unsettled offset of the lane; what is below is done."),
    "position": ("position_offset", "Offset behind the last record that the lane has taken."),
    "unsettled": ("unsettled_records", "Records taken and not settled."),
    "window_span": ("window_span_offsets", "Distance from the watermark to the position; bounded by the next."),
    "window_limit": ("window_limit_offsets", "The most that may lie between them: lane.window."),
    "window_bytes": ("window_bytes", "Bytes of input records in memory, estimated; bounded by the next."),
    "window_bytes_limit": ("window_bytes_limit", "The lane's share of memory_bytes, at most lane.window_bytes."),
    "feed_records": ("feed_records", "Records fetched that the lane has not taken; bounded."),
    "feed_bytes": ("feed_bytes", "Their bytes; bounded."),
    "live_intents": ("live_intents", "Announced batches with an entry that is not settled."),
    "stopped": ("stopped", "1 while the lane sends nothing because a configuration is wrong, ours or GeNiE's."),
    "closing": ("closing", "1 while the lane drains."),
    "awaits_registry": ("awaits_registry", "1 while the lane can read nothing, for the schema registry is away."),
}
_LANE_STATES = ("ready", "in_flight", "waiting", "looking_up", "finished")


class Metrics(GenieMetrics):
    """The metrics of one process."""

    def __init__(self, version: str, instance: str) -> None:
        super().__init__()
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._declare_settling()
        self._declare_lanes()
        self._declare_kafka()
        self._declare_genie()
        self._declare_consent()
        self._declare_memory()
        build = self._gauge("build_info", "1, with the release and the name of this process.", "version", "replica")
        build.labels(version, instance).set(1)
        self._ready = self._gauge("ready", "1 while every lane of the process works, as /ready says.")

    def show_ready(self, is_ready: Callable[[], bool]) -> None:
        """Ask this at every scrape, from another thread."""
        self._ready.set_function(is_ready)

    # --- settling -----------------------------------------------------------------------------------------

    def _declare_settling(self) -> None:
        self._settled = Series(
            self._counter("settled_total", "Input records settled in the ledger.", "topic", "outcome", "reason")
        )
        self._rejected = Series(
            self._counter(
                "rejected_records_total",
                "Records that ended as PARKED or INVALID, by the producer that their header names.",
                *("topic", "producer", "reason"),
            )
        )
        self._producers: set[str] = set()
        self._append_to_ledger = self._bulk_histogram(
            "append_to_ledger_seconds",
            "From the append of an input record to that of its ledger record.",
            _END_TO_END_S,
        )
        self._attempts = self._bulk_histogram(
            "settled_attempts", "Times that a settled record was sent to GeNiE; 0 if it never left.", _ATTEMPTS
        )
        self._commits = self._histogram(
            "commit_seconds", "Committing a lane's transaction, once its records are acknowledged.", _KAFKA_STEP_S
        )
        self._committed = self._counter("committed_records_total", "Ledger records in committed transactions.")
        self._doubtful = Series(
            self._counter("doubtful_commits_total", "Transactions that may or may not be committed.", "step")
        )
        for step in TRANSACTION_STEPS:
            self._doubtful(step)

    def settled(self, topic: str, outcome: str, reason: str, count: int) -> None:
        """So many records of an input topic ended so."""
        self._settled(topic, outcome, reason).inc(count)

    def rejected(self, topic: str, producer: str | None, reason: str, count: int) -> None:
        """So many of a producer's records were rejected; None if they do not name it."""
        name = producer or "unknown"
        if name not in self._producers:
            name = name if len(self._producers) < MAX_PRODUCERS else OTHER
            self._producers.add(name)
        self._rejected(topic, name, reason).inc(count)

    def append_to_ledger_many(self, seconds: Sequence[float]) -> None:
        """These records were settled so long after their appends."""
        self._append_to_ledger.observe_many(seconds)

    def attempts(self, counts: Mapping[int, int]) -> None:
        """Number of attempts -> of how many settled records."""
        self._attempts.observe_counts(counts)

    def committed(self, seconds: float, records: int) -> None:
        """A transaction with so many ledger records was surely committed."""
        self._commits.observe(seconds)
        self._committed.inc(records)

    def doubtful_commit(self, step: str) -> None:
        """A transaction failed at this step of it."""
        self._doubtful(step).inc()

    # --- lanes --------------------------------------------------------------------------------------------

    def _declare_lanes(self) -> None:
        self._open_lanes: dict[tuple[str, int], dict[str, Any]] = {}
        self._causes: dict[tuple[str, str], str | None] = {}
        self._opened = Series(
            self._counter("lane_openings_total", "Lanes opened: after a rebalance or a doubtful commit.", "topic")
        )
        self._lane_gauges = {
            key: self._gauge(f"lane_{name}", sentence, *LANE) for key, (name, sentence) in _LANE_VIEW.items()
        }
        self._lane_records = self._gauge(
            "lane_records", "Records by where they are: ready to be sent, in flight, waiting, ...", *LANE, "state"
        )
        self._lag = self._gauge("lane_lag_records", "Offsets from the watermark to the end of the partition.", *LANE)
        self._lag_seconds = self._gauge(
            "lane_lag_seconds", "Age of the first record that is not settled, taken or not; 0 without any.", *LANE
        )
        self._overdue = self._gauge(
            "lane_overdue_records", f"Records appended {OBJECTIVE_S} s ago or earlier that are not settled.", *LANE
        )
        self._oldest = self._gauge("lane_oldest_unsettled_seconds", "Age of the oldest unsettled record.", *LANE)
        self._delayed = self._gauge(
            "lane_delayed", "1 for what the oldest unsettled record waits for, once it waits a second.", *LANE, "cause"
        )
        of_lag = (self._lag, self._lag_seconds, self._overdue, self._oldest)
        self._more_of_lanes = (self._lane_records, *of_lag, self._delayed)
        self._stops = Series(
            self._counter("lane_stops_total", "Times a lane stopped because a configuration is wrong.", "code")
        )
        for stop in Stop:  # from 0, so that an alert sees the first one
            self._stops(stop.value)

    def lane_opened(self, topic: str, partition: int) -> None:
        """The lane took over its partition; again after a doubtful commit."""
        self._opened(topic).inc()
        for reason in Reason:  # from 0, so that an alert sees the first record of a rare reason
            self._settled(topic, reason.outcome.value, reason.value)
        lane = (topic, str(partition))
        gauges = {key: gauge.labels(*lane) for key, gauge in self._lane_gauges.items()}
        gauges |= {state: self._lane_records.labels(*lane, state) for state in _LANE_STATES}
        self._open_lanes[topic, partition] = gauges

    def lane_closed(self, topic: str, partition: int) -> None:
        """The lane is no longer ours: its gauges go."""
        if self._open_lanes.pop((topic, partition), None) is None:
            return
        self._causes.pop((topic, str(partition)), None)
        labels = {"topic": topic, "partition": str(partition)}
        for gauge in (*self._lane_gauges.values(), *self._more_of_lanes):
            gauge.remove_by_labels(labels)

    def lane_view(self, topic: str, partition: int, view: Mapping[str, Any]) -> None:
        """What Lane.view() says; of a lane that is not open nothing is shown."""
        for key, gauge in self._open_lanes.get((topic, partition), {}).items():
            if key in view:
                gauge.set(view[key])

    def lag(self, topic: str, partition: int, records: int, overdue: int) -> None:
        """So many offsets lie between the lane's watermark and the end of its partition; so many are late."""
        if (topic, partition) in self._open_lanes:
            self._lag.labels(topic, str(partition)).set(records)
            self._overdue.labels(topic, str(partition)).set(overdue)

    def waits(self, topic: str, partition: int, oldest_s: float, lag_s: float, cause: str | None) -> None:
        """How old the lane's oldest unsettled record is, and the first that is not settled; 0 if there is none. The
        cause, one of core/delays.py, is known once it waits for long."""
        if (topic, partition) not in self._open_lanes:
            return
        lane = (topic, str(partition))
        self._oldest.labels(*lane).set(oldest_s)
        self._lag_seconds.labels(*lane).set(lag_s)
        if cause == (before := self._causes.get(lane)):
            return
        self._causes[lane] = cause
        if before is not None:
            self._delayed.remove(*lane, before)
        if cause is not None:
            self._delayed.labels(*lane, cause).set(1)

    def stopped(self, code: str) -> None:
        """A lane stopped for a person to look."""
        self._stops(code).inc()

    # --- Kafka --------------------------------------------------------------------------------------------

    def _declare_kafka(self) -> None:
        self._silence = self._gauge(
            "kafka_silence_seconds", "Since the brokers last answered: a few seconds, unless Kafka is away."
        )

    def kafka_silence(self, seconds: float) -> None:
        """The brokers last answered so long ago."""
        self._silence.set(seconds)

    # --- consent ------------------------------------------------------------------------------------------

    def _declare_consent(self) -> None:
        self._fences = self._histogram("fence_seconds", "Proving the consent view fresh.", _KAFKA_STEP_S)
        self._fence_failures = self._counter(
            "fence_failures_total", "Times the consent view could not be proven fresh; nothing was sent."
        )
        self._subjects = self._gauge("consent_view_subjects", "Subjects in the consent view.")
        self._view_lag = self._gauge("consent_view_lag_records", "Offsets that the view has still to apply.")
        self._whole = self._gauge(
            "consent_view_whole_timestamp_seconds", "When the view last surely held all that its topics did."
        )
        self._holds = Series(self._gauge("holds", "Holds in force.", "scope"))
        self._view_records = Series(
            self._counter(
                "consent_view_records_total",
                "Consent and control records read, and those among them that deny a subject or hold everything.",
                "kind",
            )
        )
        self._view_counted: dict[str, int] = {}

    def fence_reached(self, seconds: float) -> None:
        """The view was proven fresh, after so long."""
        self._fences.observe(seconds)

    def fence_failed(self) -> None:
        """The view could not be proven fresh."""
        self._fence_failures.inc()

    def view(self, subjects: int, lag: int, whole_at_ms: int, holds: Mapping[HoldScope, int]) -> None:
        """The consent view as it is now."""
        self._subjects.set(subjects)
        self._view_lag.set(lag)
        self._whole.set(whole_at_ms / 1000)
        for scope in HoldScope:
            self._holds(scope.value).set(holds.get(scope, 0))

    def view_records(self, counts: Mapping[str, int]) -> None:
        """So many records of each kind since the process started."""
        for kind, count in counts.items():
            self._view_records(kind).inc(count - self._view_counted.get(kind, 0))
            self._view_counted[kind] = count

    # --- memory -------------------------------------------------------------------------------------------

    def _declare_memory(self) -> None:
        self._budget = self._gauge("memory_budget_bytes", "memory_bytes: what the process may take at most.")
        self._schemas = self._gauge("schemas_remembered", "Writers' schemas kept ready; bounded.")
        self._states = self._gauge("consents_remembered", "Decoded consents kept ready; bounded.")

    def memory_budget(self, size: int) -> None:
        """The process may take so many bytes."""
        self._budget.set(size)

    def remembered(self, schemas: int, consents: int) -> None:
        """So much is kept ready."""
        self._schemas.set(schemas)
        self._states.set(consents)


def reference() -> Iterator[tuple[str, str, tuple[str, ...], str]]:
    """(name, type, labels, sentence) of every metric of ours, for the documents."""
    yield from Metrics("", "").declared()
