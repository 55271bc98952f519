"""GeNiE: does it answer, how fast, how much may we ask, what became of what we sent, do keys and clocks agree.

Knows which metrics answer that. Must not know how panels are drawn.
"""

from __future__ import annotations

from deploy.grafana.board import Board, Section
from deploy.grafana.objective import QUANTILES, TIMING
from deploy.grafana.operations import FAILING, REQUESTS
from deploy.grafana.panels import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    YELLOW,
    Column,
    Panel,
    Query,
    Text,
    curves,
    rows,
    spread,
    tile,
)
from deploy.grafana.promql import buckets, growth, least, most, quantile, rate, ratio, series, total

SKEW_S = 5  # genie.skew_ms: further off, no answer is believed
KINDS = {
    "2xx": GREEN,
    "3xx": PURPLE,
    "4xx": RED,
    "429": BLUE,
    "503": YELLOW,
    "5xx": ORANGE,
    "unverified": "dark-red",
    "lost": "dark-orange",
    "not_sent": GREY,
}
ANSWERED = 'reason=~"accepted|resolved_by_lookup|same_event|same_event_other_scope|newer_at_genie"'
REFUSED = 'reason=~"rejected_by_genie|genie_fails_on_entry|outcome_unknown|event_id_reused"'
DAY_S = 86_400
CERTIFICATES = ((TIMING.certificate_page_days * DAY_S, YELLOW), (TIMING.certificate_ticket_days * DAY_S, GREEN))
MOST_CERTIFICATES = 20


def _now() -> list[Panel]:
    return [
        tile(
            Text(
                "Breaker", "Open: requests fail, and lanes pause but for a probe now and then.", "#the-breaker-is-open"
            ),
            Query(most(series("gateway_genie_breaker_open"))),
            unit="none",
            width=4,
            names={0: ("closed", GREEN), 1: ("open", RED)},
        ),
        tile(
            Text("Requests that fail", "Share that ended in anything but a signed 2xx or 429.", "#the-breaker-is-open"),
            Query(ratio(total(rate(REQUESTS, FAILING)), total(rate(REQUESTS)))),
            unit="percentunit",
            width=4,
            steps=((0.05, YELLOW), (0.5, RED)),
            nothing="no requests",
        ),
        tile(
            Text(
                "Slots in use",
                "Share of the requests that may be under way at once. All of them in use for long: GeNiE is slower "
                "than what comes in.",
            ),
            Query(ratio(total(series("gateway_genie_slots_in_use")), total(series("gateway_genie_slots")))),
            unit="percentunit",
            width=4,
            steps=((0.9, YELLOW),),
        ),
        tile(
            Text(
                "Retries wait",
                "How long the retry budget, used up, keeps a request from being made again: above 0 while many fail.",
                "#the-breaker-is-open",
            ),
            Query(most(series("gateway_genie_retry_budget_wait_seconds"))),
            unit="s",
            width=4,
            steps=((1, YELLOW), (30, RED)),
        ),
        tile(
            Text(
                "Clock, from ours",
                "GeNiE's clock minus ours, as far as its signed answers prove, where it is furthest. Beyond "
                f"genie.skew_ms ({SKEW_S} s) no answer is believed and lanes stop.",
                "genie_clock",
            ),
            Query(most(f"abs({series('gateway_genie_clock_difference_seconds')})")),
            unit="s",
            width=4,
            steps=((SKEW_S / 2, YELLOW), (SKEW_S, RED)),
        ),
        tile(
            Text(
                "Certificates end in",
                "The first of those that we show to GeNiE or trust there, and of those for Kafka.",
                "#a-key-or-certificate-must-change",
            ),
            Query(f"{least(series('gateway_certificate_expiry_timestamp_seconds'))} - time()"),
            unit="dtdurations",
            width=4,
            base=RED,
            steps=CERTIFICATES,
        ),
    ]


def _requests() -> list[Panel]:
    return [
        curves(
            Text(
                "Requests, by how they ended",
                "`unverified`: an answer that is not surely GeNiE's; `lost`: no whole answer, so the request may have "
                "arrived; `not_sent`: no connection.",
                "#the-breaker-is-open",
            ),
            Query(total(rate(REQUESTS), "kind"), "{{kind}}"),
            unit="reqps",
            width=12,
            stacked=True,
            colors=KINDS,
        ),
        curves(
            Text("Latency of good answers", "From the request to its verified 2xx, a batch of up to 100 records each."),
            *(Query(quantile(share, "gateway_genie_request_seconds", 'kind="2xx"'), name) for share, name in QUANTILES),
            unit="s",
            width=12,
        ),
        curves(
            Text(
                "Requests that fail, by how",
                "Everything but 2xx. 4xx other than 429 stops lanes: a configuration is wrong, ours or GeNiE's.",
                "#a-lane-has-stopped",
            ),
            Query(total(growth(REQUESTS, 'kind!="2xx"'), "kind"), "{{kind}}"),
            unit="short",
            width=12,
            bars=True,
            stacked=True,
            colors=KINDS,
        ),
        spread(
            Text("Latency, spread", "All requests, however they ended; two bands mean two kinds of trouble."),
            buckets("gateway_genie_request_seconds"),
            unit="s",
            width=12,
        ),
    ]


def _limits() -> list[Panel]:
    return [
        curves(
            Text(
                "Slots",
                "Requests that may be under way at once, those that are, and lanes that wait for one. The limit falls "
                "when GeNiE fails or says 429, and grows again while it answers.",
            ),
            Query(total(series("gateway_genie_slots")), "allowed"),
            Query(total(series("gateway_genie_slots_in_use")), "in use"),
            Query(total(series("gateway_genie_slot_waiters")), "lanes waiting"),
            unit="none",
            width=8,
        ),
        curves(
            Text(
                "Requests made again",
                "And how many the budget allows: a tenth of the rest, or five a second a process.",
                "#the-breaker-is-open",
            ),
            Query(total(rate("gateway_genie_retries_total")), "made again"),
            Query(total(series("gateway_genie_retry_budget_per_second")), "allowed"),
            unit="reqps",
            width=8,
        ),
        curves(
            Text(
                "Sent more than once",
                "Share of settled records that took several attempts: outcomes stay unknown, or GeNiE says retry.",
            ),
            Query(_sent_more_often_than(1), "more than once"),
            Query(_sent_more_often_than(3), "more than 3 times"),
            unit="percentunit",
            width=8,
        ),
    ]


def _sent_more_often_than(times: int) -> str:
    everything = total(rate("gateway_settled_attempts_count"))
    few = total(rate("gateway_settled_attempts_bucket", f'le="{times:.1f}"'))
    return ratio(f"({everything} - {few})", everything)


def _fates() -> list[Panel]:
    return [
        curves(
            Text("What GeNiE has", "Records that ended with GeNiE having them, by how that is known."),
            Query(total(rate("gateway_settled_total", ANSWERED), "reason"), "{{reason}}"),
            unit="eps",
            width=8,
            stacked=True,
        ),
        curves(
            Text(
                "Parked for GeNiE's sake",
                "Refused one by one, fatal to it, or an hour without being able to ask. Ask GeNiE, with the "
                "idempotency keys.",
                "#parked-records-grow",
            ),
            Query(total(growth("gateway_settled_total", REFUSED), "reason"), "{{reason}}"),
            unit="short",
            width=8,
            bars=True,
            stacked=True,
        ),
        curves(
            Text(
                "Lookups",
                "Questions about records whose fate is not known and that must not simply be sent again.",
            ),
            Query(total(growth("gateway_genie_lookup_seconds_count"), "result"), "{{result}}"),
            unit="short",
            width=8,
            bars=True,
            stacked=True,
        ),
        curves(
            Text(
                "Announced and sent",
                "Entries, again for each new attempt. Announced but not sent: withdrawn in between.",
            ),
            Query(total(rate("gateway_announced_entries_total")), "announced"),
            Query(total(rate("gateway_sent_entries_total")), "sent"),
            unit="eps",
            width=12,
        ),
        spread(
            Text("Lookups, spread", "How long each took, answered or not."),
            buckets("gateway_genie_lookup_seconds"),
            unit="s",
            width=12,
        ),
    ]


def _trust() -> list[Panel]:
    refused = "gateway_credential_change_refused"
    return [
        rows(
            Text(
                "Certificates",
                "When each ends: ours for this partner, or (_ca) the last authority that we trust there.",
                "#a-key-or-certificate-must-change",
            ),
            Column(
                "left",
                f"bottomk({MOST_CERTIFICATES}, "
                f"{least(series('gateway_certificate_expiry_timestamp_seconds'), 'name')} - time())",
                "dtdurations",
                CERTIFICATES,
                RED,
            ),
            keys={"name": "certificate"},
            width=8,
            height=8,
        ),
        curves(
            Text(
                "Changes of keys and certificates",
                "Taken without a restart; refused: what lies there now can't be used, and the old ones still are.",
                "#a-key-or-certificate-must-change",
            ),
            Query(total(growth("gateway_credential_changes_total"), "partner"), "{{partner}} taken"),
            Query(most(series(refused), "partner"), "{{partner}} refused"),
            unit="none",
            width=8,
        ),
        curves(
            Text(
                "Lanes stopped, by code",
                "GeNiE refused the request as such; every lane tries again each 30 s.",
                "#a-lane-has-stopped",
            ),
            Query(total(growth("gateway_lane_stops_total"), "code"), "{{code}}"),
            unit="short",
            width=8,
            bars=True,
            stacked=True,
        ),
    ]


BOARD = Board(
    name="genie",
    title="Credit gateway: GeNiE",
    description="Does GeNiE answer, how fast, how much may we ask of it, and what became of what it was sent?",
    sections=(
        Section("Does it answer?", _now()),
        Section("Requests", _requests()),
        Section("Limits that we keep to", _limits()),
        Section("What became of what was sent", _fates()),
        Section("Keys, certificates, configuration", _trust()),
    ),
)
