"""Metrics: what a scrape shows after something happened, and that nothing can make it grow without bound."""

import re

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from gateway.core.delays import Delay
from gateway.core.holds import HoldScope
from gateway.core.outcome import Loss, Lost, NotSent, Reply, Stop, Unsent
from gateway.core.reasons import Reason
from gateway.observe.declared import MAX_SERIES, OTHER
from gateway.observe.genie_metrics import ANSWER_KINDS, answer_kind
from gateway.observe.histogram import BulkHistogram
from gateway.observe.metrics import _END_TO_END_S, MAX_PRODUCERS, OBJECTIVE_S, Metrics, reference

LANE_VIEW = {
    "watermark": 10,
    "position": 30,
    "unsettled": 15,
    "window_span": 20,
    "window_limit": 50,
    "window_bytes": 4_096,
    "window_bytes_limit": 8_192,
    "feed_records": 7,
    "feed_bytes": 900,
    "ready": 1,
    "in_flight": 2,
    "waiting": 3,
    "looking_up": 4,
    "finished": 5,
    "live_intents": 6,
    "stopped": True,
    "closing": False,
    "awaits_registry": False,
}


@pytest.fixture
def metrics() -> Metrics:
    return Metrics("1.2.3", "replica-0")


def scrape(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample, as Prometheus would read it."""
    text = generate_latest(metrics.registry).decode()
    families = text_string_to_metric_families(text)
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def value(metrics: Metrics, name: str, /, **labels: str) -> float | None:
    return scrape(metrics).get((name, frozenset(labels.items())))


def test_settled_records_are_counted_by_outcome_and_reason(metrics: Metrics) -> None:
    """Counts of the same topic, outcome and reason add up."""
    for count in (2, 3):
        metrics.settled("lease.payments", "WITHHELD", "no_consent", count)
    labels = {"topic": "lease.payments", "outcome": "WITHHELD", "reason": "no_consent"}
    assert value(metrics, "gateway_settled_total", **labels) == 5


def test_every_reason_of_an_open_lane_starts_at_zero(metrics: Metrics) -> None:
    """An alert can see the first record of a rare reason, because its series was there before."""
    metrics.lane_opened("lease.payments", 0)
    for reason in Reason:
        labels = {"topic": "lease.payments", "outcome": reason.outcome.value, "reason": reason.value}
        assert value(metrics, "gateway_settled_total", **labels) == 0


def test_end_to_end_times_fall_into_their_buckets(metrics: Metrics) -> None:
    """A value on a bound belongs to that bound's bucket, and buckets are cumulative."""
    metrics.append_to_ledger_many([0.059, 0.06, 0.061])
    metrics.append_to_ledger_many([299])
    name = "gateway_append_to_ledger_seconds"
    found = {le: value(metrics, f"{name}_bucket", le=le) for le in ("0.05", "0.06", "0.25", "300.0", "+Inf")}
    assert found == {"0.05": 0, "0.06": 2, "0.25": 3, "300.0": 4, "+Inf": 4}
    assert value(metrics, f"{name}_count") == 4
    assert value(metrics, f"{name}_sum") == pytest.approx(299.18)


def test_a_value_beyond_all_buckets_is_counted() -> None:
    """The last bucket has no bound."""
    registry = CollectorRegistry()
    BulkHistogram("x_seconds", "X.", [1, 2], registry).observe_many([1_000])
    assert registry.get_sample_value("x_seconds_bucket", {"le": "2.0"}) == 0
    assert registry.get_sample_value("x_seconds_bucket", {"le": "+Inf"}) == 1


def test_commits_and_doubts(metrics: Metrics) -> None:
    """A sure commit is timed and its records counted; a doubtful one is counted by the step that failed."""
    metrics.committed(0.012, 7)
    metrics.doubtful_commit("produce")
    assert value(metrics, "gateway_commit_seconds_bucket", le="0.015") == 1
    assert value(metrics, "gateway_committed_records_total") == 7
    assert value(metrics, "gateway_doubtful_commits_total", step="produce") == 1


def test_a_lane_shows_its_view(metrics: Metrics) -> None:
    """Each number of the view is a gauge of its lane."""
    metrics.lane_opened("norel.scores", 3)
    metrics.lane_view("norel.scores", 3, LANE_VIEW)
    metrics.waits("norel.scores", 3, 1.5, 2.5, Delay.SLOT)
    metrics.lag("norel.scores", 3, 40, 4)
    lane = {"topic": "norel.scores", "partition": "3"}
    assert value(metrics, "gateway_lane_watermark_offset", **lane) == 10
    assert value(metrics, "gateway_lane_unsettled_records", **lane) == 15
    assert value(metrics, "gateway_lane_feed_bytes", **lane) == 900
    assert value(metrics, "gateway_lane_stopped", **lane) == 1
    assert value(metrics, "gateway_lane_records", **lane, state="in_flight") == 2
    assert value(metrics, "gateway_lane_oldest_unsettled_seconds", **lane) == 1.5
    assert value(metrics, "gateway_lane_lag_records", **lane) == 40
    assert value(metrics, "gateway_lane_lag_seconds", **lane) == 2.5
    assert value(metrics, "gateway_lane_overdue_records", **lane) == 4
    assert value(metrics, "gateway_lane_window_limit_offsets", **lane) == 50
    shown = [v for (name, labels), v in scrape(metrics).items() if labels >= frozenset(lane.items())]
    assert len(shown) == len(LANE_VIEW) + 5


def test_a_lane_waits_for_one_thing_at_a_time(metrics: Metrics) -> None:
    """What it waited for before is gone, and nothing is shown while it waits for nothing."""
    metrics.lane_opened("norel.scores", 3)

    def shown() -> set[str]:
        return {dict(labels)["cause"] for name, labels in scrape(metrics) if name == "gateway_lane_delayed"}

    for cause in (Delay.SLOT, Delay.SLOT, Delay.RETRY):
        metrics.waits("norel.scores", 3, 1.5, 2.5, cause)
    assert shown() == {"retry"}
    metrics.waits("norel.scores", 3, 0, 0, None)
    assert shown() == set()


def test_attempts_are_counted_by_their_number(metrics: Metrics) -> None:
    """Most records need one; those that never left need none."""
    metrics.attempts({1: 90, 0: 7, 4: 3})
    name = "gateway_settled_attempts"
    assert [value(metrics, f"{name}_bucket", le=le) for le in ("0.0", "1.0", "3.0", "5.0")] == [7, 97, 97, 100]
    assert value(metrics, f"{name}_sum") == 102


def test_rejections_are_counted_by_producer_and_bounded(metrics: Metrics) -> None:
    """A header may say anything: beyond a few names all are one, and no count is lost."""
    metrics.rejected("lease.payments", None, "not_avro", 2)
    for number in range(MAX_PRODUCERS + 10):
        for _ in range(2):
            metrics.rejected("lease.payments", f"service-{number}", "not_avro", 1)
    found = {dict(labels)["producer"]: v for (name, labels), v in scrape(metrics).items() if "_rejected_" in name}
    assert len(found) == MAX_PRODUCERS + 1
    assert (found["unknown"], found["service-0"]) == (2, 2)
    assert sum(found.values()) == 2 + 2 * (MAX_PRODUCERS + 10)


def test_the_objective_is_a_bound_of_the_histogram() -> None:
    """Else nobody could say how many records met it."""
    assert OBJECTIVE_S in _END_TO_END_S


def test_ready_is_asked_at_each_scrape(metrics: Metrics) -> None:
    """It is no older than the scrape."""
    is_ready = False
    metrics.show_ready(lambda: is_ready)
    assert value(metrics, "gateway_ready") == 0
    is_ready = True
    assert value(metrics, "gateway_ready") == 1


def test_one_signing_key_is_in_use(metrics: Metrics) -> None:
    """A key that was replaced is no longer shown."""
    for key_id in ("norel-2026-1", "norel-2026-2"):
        metrics.signing_key(key_id)
    shown = [dict(labels) for name, labels in scrape(metrics) if name == "gateway_genie_signing_key_info"]
    assert shown == [{"key_id": "norel-2026-2"}]


def test_gauges_of_a_closed_lane_are_gone(metrics: Metrics) -> None:
    """After closing nothing shows the lane, and what comes late for it brings nothing back; others stay."""
    for partition in (3, 30):
        metrics.lane_opened("norel.scores", partition)
        metrics.lane_view("norel.scores", partition, LANE_VIEW)
        metrics.waits("norel.scores", partition, 1.5, 1.5, Delay.SLOT)
    metrics.lane_closed("norel.scores", 3)
    metrics.lane_closed("norel.scores", 3)
    metrics.lane_view("norel.scores", 3, LANE_VIEW)
    metrics.waits("norel.scores", 3, 9, 9, Delay.SLOT)
    metrics.lag("norel.scores", 3, 9, 9)
    partitions = {dict(labels).get("partition") for _, labels in scrape(metrics)}
    assert partitions == {None, "30"}


def test_reopenings_are_counted(metrics: Metrics) -> None:
    """A lane that opens again is one lane, opened twice."""
    metrics.lane_opened("norel.scores", 3)
    metrics.lane_opened("norel.scores", 3)
    assert value(metrics, "gateway_lane_openings_total", topic="norel.scores") == 2


def test_genie_side(metrics: Metrics) -> None:
    """Entries, answers, lookups, slots and certificates each show."""
    metrics.announced(100)
    metrics.sent(90)
    metrics.answered("2xx", 0.02)
    metrics.lookup(True, 0.01)
    metrics.lookup(False, 3)
    metrics.limiter(8, 3, 2, True)
    metrics.stopped(Stop.FORBIDDEN.value)
    metrics.certificate_expiry("client", 1_800_000_000)
    assert value(metrics, "gateway_announced_entries_total") == 100
    assert value(metrics, "gateway_sent_entries_total") == 90
    assert value(metrics, "gateway_genie_request_seconds_count", kind="2xx") == 1
    assert value(metrics, "gateway_genie_request_seconds_count", kind="lost") == 0
    assert value(metrics, "gateway_genie_lookup_seconds_count", result="unanswered") == 1
    assert value(metrics, "gateway_genie_slots") == 8
    assert value(metrics, "gateway_genie_breaker_open") == 1
    assert value(metrics, "gateway_lane_stops_total", code="genie_forbidden") == 1
    assert value(metrics, "gateway_lane_stops_total", code="genie_wrong_url") == 0
    assert value(metrics, "gateway_certificate_expiry_timestamp_seconds", name="client") == 1_800_000_000


def test_consent_side(metrics: Metrics) -> None:
    """Fences and the view each show."""
    metrics.fence_reached(0.004)
    metrics.fence_failed()
    metrics.view(subjects=1_000, lag=2, whole_at_ms=9_500, holds={HoldScope.ALL: 1})
    assert value(metrics, "gateway_fence_seconds_count") == 1
    assert value(metrics, "gateway_fence_failures_total") == 1
    assert value(metrics, "gateway_consent_view_subjects") == 1_000
    assert value(metrics, "gateway_consent_view_lag_records") == 2
    for unreadable in (1, 3):
        metrics.view_records({"read": 10, "unreadable_consents": unreadable})
    assert value(metrics, "gateway_consent_view_records_total", kind="read") == 10
    assert value(metrics, "gateway_consent_view_records_total", kind="unreadable_consents") == 3
    assert value(metrics, "gateway_consent_view_whole_timestamp_seconds") == 9.5
    assert {scope: value(metrics, "gateway_holds", scope=scope) for scope in HoldScope} == {
        HoldScope.ALL: 1,
        HoldScope.EVENT_TYPE: 0,
        HoldScope.SUBJECT: 0,
        HoldScope.INPUT_PARTITION: 0,
    }


def reply(status: int, *, verified: bool = True) -> Reply:
    return Reply(status, verified, "application/json", None, None, None, b"", None)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (NotSent(Unsent.REFUSED), "not_sent"),
        (Lost(Loss.TIMEOUT), "lost"),
        (reply(200), "2xx"),
        (reply(302), "3xx"),
        (reply(403), "4xx"),
        (reply(429), "429"),
        (reply(503), "503"),
        (reply(500), "5xx"),
        (reply(200, verified=False), "unverified"),
    ],
)
def test_the_kind_of_an_answer(answer, kind: str) -> None:
    """Each answer is of one kind, and the status counts only where the signature holds."""
    assert answer_kind(answer) == kind
    assert kind in ANSWER_KINDS


def test_a_kind_that_is_not_known_opens_no_series(metrics: Metrics) -> None:
    """What is outside the closed set is counted as other."""
    metrics.answered("090-1234-5678", 0.1)
    assert value(metrics, "gateway_genie_request_seconds_count", kind=OTHER) == 1
    assert "090-1234-5678" not in generate_latest(metrics.registry).decode()


def test_label_sets_are_bounded(metrics: Metrics) -> None:
    """However many label values come, a metric keeps to its bound and loses no count."""
    for number in range(MAX_SERIES + 50):
        metrics.doubtful_commit(f"step{number}")
    steps = {labels: v for (name, labels), v in scrape(metrics).items() if name == "gateway_doubtful_commits_total"}
    assert len(steps) == MAX_SERIES + 1
    assert sum(steps.values()) == MAX_SERIES + 50


def test_the_reference_has_every_metric_of_ours(metrics: Metrics) -> None:
    """What a scrape names and the reference are the same set, in Prometheus's spelling."""
    text = generate_latest(metrics.registry).decode()
    scraped = dict(re.findall(r"^# TYPE (gateway_\S+) (\w+)$", text, re.MULTILINE))
    assert {name: kind for name, kind, _, _ in reference()} == scraped
    for name, kind, labels, sentence in reference():
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name), name
        assert (kind == "counter") == name.endswith("_total"), name
        assert kind != "histogram" or name.endswith(("_seconds", "_attempts")), name
        assert all(re.fullmatch(r"[a-z_]+", label) for label in labels), name
        assert sentence.endswith("."), name


def test_the_build_is_shown(metrics: Metrics) -> None:
    """Release and name of the process are labels of one series."""
    assert value(metrics, "gateway_build_info", version="1.2.3", replica="replica-0") == 1


def test_what_is_kept_has_a_gauge_and_so_has_the_budget(metrics: Metrics) -> None:
    """Whatever keeps something says how much, and the process how much it may take."""
    metrics.memory_budget(1 << 30)
    metrics.remembered(schemas=3, consents=500)
    assert value(metrics, "gateway_memory_budget_bytes") == 1 << 30
    assert value(metrics, "gateway_schemas_remembered") == 3
    assert value(metrics, "gateway_consents_remembered") == 500
