"""Operations: is it us, Kafka or GeNiE; is the promise kept; what flows; what the processes need.

Knows which metrics answer that. Must not know how panels are drawn.
"""

from __future__ import annotations

from deploy.grafana import objective
from deploy.grafana.board import Board, Section
from deploy.grafana.panels import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    YELLOW,
    Panel,
    Query,
    Text,
    curves,
    spread,
    tile,
)
from deploy.grafana.promql import (
    PROCESS,
    buckets,
    grown,
    growth,
    most,
    named_or,
    quantile,
    rate,
    ratio,
    series,
    total,
    worst,
)

OUTCOMES = {
    "PROVIDED": GREEN,
    "DUPLICATE": BLUE,
    "SUPERSEDED": PURPLE,
    "WITHHELD": YELLOW,
    "PARKED": ORANGE,
    "INVALID": RED,
}
FAILING = 'kind!~"2xx|429"'  # 429 is an answer: we send less
REQUESTS = "gateway_genie_request_seconds_count"
AWAY_S = ((5, YELLOW), (30, RED))  # the second is kafka.session_timeout_ms: others may have the lanes
LATE_S = ((60, YELLOW), (300, RED))
MOST_PROCESSES = 20  # drawn one by one


def _verdict() -> list[Panel]:
    return [
        tile(
            Text(
                "Us: processes not ready",
                "Processes that Prometheus knows and that do not say on /ready that every lane of theirs works. One "
                "that starts is not ready for some seconds.",
                "#look-first",
            ),
            Query(f"count({series('up')}) - ({total(series('gateway_ready'))} or vector(0))"),
            unit="none",
            width=4,
            steps=((1, RED),),
            nothing="no processes",
        ),
        tile(
            Text(
                "Us or GeNiE: lanes stopped",
                "Lanes that send nothing because GeNiE refuses the request as such: keys, address, certificates or "
                "clock, ours or GeNiE's. They try again every 30 s by themselves.",
                "#a-lane-has-stopped",
            ),
            Query(total(series("gateway_lane_stopped"))),
            unit="none",
            width=4,
            steps=((1, RED),),
            nothing="no lanes",
        ),
        tile(
            Text(
                "Kafka: silence",
                "How long the brokers have said nothing to the process that heard least of them. Usually below 5 s; "
                "past 30 s the group may give its lanes to others.",
                "#look-first",
            ),
            Query(most(series("gateway_kafka_silence_seconds"))),
            unit="s",
            width=4,
            steps=AWAY_S,
        ),
        tile(
            Text(
                "Kafka: doubts, failed fences",
                "In the time shown. A doubtful commit: Kafka did not say clearly whether it committed, and the lane "
                "opened again. A failed fence: consent could not be proven fresh, and nothing was sent meanwhile.",
                "#doubtful-commits",
            ),
            Query(total(grown("gateway_doubtful_commits_total")), "commits"),
            Query(total(grown("gateway_fence_failures_total")), "fences"),
            unit="none",
            width=4,
            steps=((1, YELLOW), (10, RED)),
            over_all=True,
        ),
        tile(
            Text(
                "GeNiE: breaker",
                "Open: requests fail, and lanes pause but for a probe now and then. Nothing is lost or parked for an "
                "outage of minutes.",
                "#the-breaker-is-open",
            ),
            Query(most(series("gateway_genie_breaker_open"))),
            unit="none",
            width=4,
            names={0: ("closed", GREEN), 1: ("open", RED)},
        ),
        tile(
            Text(
                "GeNiE: requests that fail",
                "Share of requests that ended in anything but a signed 2xx or 429.",
                "#the-breaker-is-open",
            ),
            Query(ratio(total(rate(REQUESTS, FAILING)), total(rate(REQUESTS)))),
            unit="percentunit",
            width=4,
            steps=((0.05, YELLOW), (0.5, RED)),
            nothing="no requests",
        ),
    ]


def _flow() -> list[Panel]:
    return [
        curves(
            Text(
                "Settled, by outcome",
                "Input records that came to a terminal ledger record. Zero while lag grows: nothing moves.",
                "#look-first",
            ),
            Query(total(rate("gateway_settled_total"), "outcome"), "{{outcome}}"),
            unit="eps",
            width=12,
            stacked=True,
            colors=OUTCOMES,
        ),
        curves(
            Text(
                "From append to ledger",
                "How long after its append an input record was settled. The promise is 300 s for 99.9 % of them; "
                "usual are 60 ms for half of them and 250 ms for 99 %.",
            ),
            *(Query(quantile(share, "gateway_append_to_ledger_seconds"), name) for share, name in objective.QUANTILES),
            unit="s",
            width=12,
            logarithmic=True,
            steps=((300, RED),),
        ),
        curves(
            Text(
                "Lag",
                "Records between each topic's watermarks and its ends, settled out of order or not. Keeps its last "
                "value while Kafka is away.",
                "#look-first",
            ),
            Query(total(series("gateway_lane_lag_records"), "topic"), "{{topic}}"),
            unit="short",
            width=8,
        ),
        curves(
            Text(
                "Lag in seconds",
                "Age of the oldest record that is not settled, taken or not, of each topic's worst lane. Red: the "
                "promise is broken.",
                "#look-first",
            ),
            Query(most(series("gateway_lane_lag_seconds"), "topic"), "{{topic}}"),
            unit="s",
            width=8,
            steps=LATE_S,
        ),
        curves(
            Text(
                "What lanes wait for",
                "Lanes by what their oldest record waits for, once it waits a second. `gateway lanes show` names them.",
                "#look-first",
            ),
            Query(named_or(total(series("gateway_lane_delayed"), "cause"), "cause", "nothing"), "{{cause}}"),
            unit="none",
            width=8,
            stacked=True,
        ),
        curves(
            Text(
                "Records on their way",
                "Taken from Kafka and not settled: ready to be announced, in flight to GeNiE, waiting to be tried "
                "again, being looked up, finished and to be written.",
            ),
            Query(total(series("gateway_lane_records"), "state"), "{{state}}"),
            unit="short",
            width=12,
            stacked=True,
        ),
        spread(
            Text("From append to ledger, spread", "How many records were settled how long after their append."),
            buckets("gateway_append_to_ledger_seconds"),
            unit="s",
            width=12,
        ),
    ]


def _set_aside() -> list[Panel]:
    return [
        curves(
            Text(
                "Parked, by reason",
                "Set aside for a person. The reason says whose it is: `gateway parked stats` counts by producer too.",
                "#parked-records-grow",
            ),
            Query(total(growth("gateway_settled_total", 'outcome="PARKED"'), "reason"), "{{reason}}"),
            unit="short",
            width=12,
            stacked=True,
            bars=True,
        ),
        curves(
            Text(
                "Invalid, by reason",
                "Records that can never become valid: a producer's defect. `kills_decoder` alone is ours.",
                "#parked-records-grow",
            ),
            Query(total(growth("gateway_settled_total", 'outcome="INVALID"'), "reason"), "{{reason}}"),
            unit="short",
            width=12,
            stacked=True,
            bars=True,
        ),
    ]


def _kafka() -> list[Panel]:
    return [
        curves(
            Text(
                "Commits",
                "Committing a lane's transaction, once its records are acknowledged. Slow: look at the brokers.",
                "#doubtful-commits",
            ),
            *(Query(quantile(share, "gateway_commit_seconds"), name) for share, name in objective.QUANTILES),
            unit="s",
            width=8,
        ),
        curves(
            Text(
                "Doubtful commits, by step",
                "One now and then, with a broker's restart: nothing. A second one of a lane in a minute ends its "
                "process.",
                "#doubtful-commits",
            ),
            Query(total(growth("gateway_doubtful_commits_total"), "step"), "{{step}}"),
            unit="short",
            width=8,
            bars=True,
        ),
        curves(
            Text(
                "Lanes opened",
                "After a start, a rebalance or a doubtful commit. With static membership a restart moves no lane.",
                "#a-lane-refuses-to-open",
            ),
            Query(total(growth("gateway_lane_openings_total"), "topic"), "{{topic}}"),
            unit="short",
            width=8,
            bars=True,
        ),
    ]


def _processes() -> list[Panel]:
    def each(expression: str) -> str:
        return worst(MOST_PROCESSES, expression, PROCESS)

    return [
        curves(
            Text(
                "CPU",
                f"Cores that each process uses, of the {MOST_PROCESSES} busiest; one is the most, for Python runs on "
                "one.",
            ),
            Query(each(rate("process_cpu_seconds_total")), "{{instance}}"),
            unit="none",
            width=6,
            steps=((0.9, YELLOW),),
        ),
        curves(
            Text(
                "Memory, of its budget",
                "Resident memory as a share of memory_bytes, which the process keeps to by itself.",
            ),
            Query(
                each(f"{series('process_resident_memory_bytes')} / {series('gateway_memory_budget_bytes')}"),
                "{{instance}}",
            ),
            unit="percentunit",
            width=6,
            steps=((1, RED),),
        ),
        curves(
            Text(
                "Open files, of what is allowed",
                "Lanes and connections need some each; at the limit nothing more can be opened.",
                "#the-process-ended-or-does-not-start",
            ),
            Query(each(f"{series('process_open_fds')} / {series('process_max_fds')}"), "{{instance}}"),
            unit="percentunit",
            width=6,
            steps=((0.8, YELLOW), (0.95, RED)),
        ),
        curves(
            Text("Releases", "Processes of each release: two of them only while a rollout goes on."),
            Query(total(series("gateway_build_info"), "version"), "{{version}}"),
            unit="none",
            width=6,
            stacked=True,
        ),
        tile(
            Text(
                "Youngest process",
                "Since the latest start of a process: short, and short again, means a loop of crashes.",
            ),
            Query(f"time() - {most(series('process_start_time_seconds'))}"),
            unit="dtdurations",
            width=6,
        ),
        tile(
            Text(
                "Changed keys refused",
                "What lies there now as key or certificate can't be used, and the old ones still are. The dashboard "
                "on GeNiE says how long those last.",
                "#a-key-or-certificate-must-change",
            ),
            Query(total(series("gateway_credential_change_refused"))),
            unit="none",
            width=6,
            steps=((1, RED),),
        ),
        tile(
            Text(
                "Waits for the schema registry",
                "Lanes that can read nothing, for the schema registry is away. The others go on.",
                "#the-schema-registry-is-away",
            ),
            Query(total(series("gateway_lane_awaits_registry"))),
            unit="none",
            width=6,
            steps=((1, RED),),
            nothing="no lanes",
        ),
        tile(
            Text("Holds in force", "What somebody holds back on purpose: `gateway hold list`.", "#look-first"),
            Query(most(total(series("gateway_holds"), "instance"))),
            unit="none",
            width=6,
            base=GREY,
            steps=((1, BLUE),),
        ),
    ]


BOARD = Board(
    name="operations",
    title="Credit gateway: operations",
    description="Is it us, Kafka or GeNiE? Is the promise kept: 99.9 % of records settled within 5 minutes?",
    sections=(
        Section("Is it us, Kafka or GeNiE?", _verdict()),
        Section("The promise: 99.9 % settled within 5 minutes", objective.panels()),
        Section("Flow", _flow()),
        Section("Set aside", _set_aside()),
        Section("Kafka", _kafka()),
        Section("Processes", _processes()),
    ),
)
