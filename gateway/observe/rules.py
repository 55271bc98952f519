"""Prometheus' rules about the metrics: what is recorded, what calls a person, and after how long.

Knows the names of metrics and PromQL. Must not know who feeds the metrics; the words for people are in alerts.toml.
`python -m gateway.docs` writes deploy/prometheus/rules.yaml from both; a test renders the same with other durations.
docs/explanation/objectives.md says why these windows.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from gateway.observe.metrics import OBJECTIVE_S

ALLOWED_LATE = 0.001  # 99.9 % are settled within OBJECTIVE_S
RUNBOOK = "https://credit-gateway.example/runbook"  # nobody's: where docs/ is served is said at the installation
PAGE, TICKET = "page", "ticket"
OF = "namespace, job"  # one gateway: all processes of a group
PROCESS = f"{OF}, instance"
LANE = f"{PROCESS}, topic, partition"


@dataclass(frozen=True, slots=True)
class Burn:
    """Calls when the budget of late records is used `factor` times too fast, over a long and a short window."""

    severity: str
    factor: float
    long: str
    short: str


@dataclass(frozen=True, slots=True)
class Timing:
    """Every duration and threshold of the rules; the values here are those that are shipped."""

    # The SRE workbook's: 2 % of a month's budget in an hour, 5 % in 6 hours, 10 % in a day or in 3 days.
    burns: tuple[Burn, ...] = (
        Burn(PAGE, 14.4, "1h", "5m"),
        Burn(PAGE, 6, "6h", "30m"),
        Burn(TICKET, 3, "1d", "2h"),
        Burn(TICKET, 1, "3d", "6h"),
    )
    least_late: int = 10  # records: with little traffic one late record is a large share, and no reason to wake anybody
    burn_for: str = "2m"
    known: str = "1d"  # a process that showed itself so recently is missed
    again: str = "2m"  # what happens again and again (a stop every 30 s, a fence every few seconds) does in that time
    repeated: str = "3m"  # longer than that: once is not enough
    lasting: str = "5m"
    cause: str = "15m"  # for what is no trouble yet, or whose trouble has its own alert
    hour: str = "1h"  # over which mishaps are counted
    many: int = 20  # of them
    starts: int = 3
    view_old_s: int = 120  # a view that nothing is wrong with is found whole every 15 s
    stuck_s: int = OBJECTIVE_S
    stuck: str = "10m"
    behind_s: int = 60
    growing: str = "30m"
    breaker: str = "10m"
    doubts: str = "15m"
    doubts_for: str = "45m"
    hold: str = "12h"  # of all, a type or a partition: records wait
    hold_of_subject: str = "7d"  # its records are set aside, for 90 days
    certificate_ticket_days: int = 21
    certificate_page_days: int = 7
    objective: str = f"{OBJECTIVE_S:.1f}"  # as `le` says it


@dataclass(frozen=True, slots=True)
class Rule:
    """One alert's condition; `lasts` is how long it must hold."""

    alert: str
    severity: str
    lasts: str
    expr: str


@dataclass(frozen=True, slots=True)
class Words:
    """What people read: in the notification, and on the alert's page."""

    summary: str
    description: str
    means: str
    check: tuple[str, ...]
    type: tuple[str, ...]


@cache
def words() -> Mapping[str, Words]:
    """The words of each alert, in the order of alerts.toml."""
    written = tomllib.loads(Path(__file__).with_name("alerts.toml").read_text("utf-8"))
    told = {
        name: Words(each["summary"], each["description"], each["means"], tuple(each["check"]), tuple(each["type"]))
        for name, each in written.items()
    }
    return MappingProxyType(told)


# --- recorded ---------------------------------------------------------------------------------------------


def recorded(timing: Timing) -> Iterator[tuple[str, str]]:
    """(name, expression). What is late now and not settled counts too: in an outage nothing is settled."""
    yield "job:gateway_holds:max", f"max by ({OF}, scope) (gateway_holds)"
    yield "job:gateway_lag_records:sum", _each_lane_once("gateway_lane_lag_records")
    overdue = _each_lane_once("gateway_lane_overdue_records")
    yield "job:gateway_overdue_records:sum", f"{overdue}\nor\nsum by ({OF}) (gateway_build_info) * 0"
    for window in dict.fromkeys(window for burn in timing.burns for window in (burn.long, burn.short)):
        name = "gateway_append_to_ledger_seconds"
        settled = f"sum by ({OF}) (increase({name}_count[{window}]))"
        in_time = f'sum by ({OF}) (increase({name}_bucket{{le="{timing.objective}"}}[{window}]))'
        yield _all(window), f"{settled}\n+ job:gateway_overdue_records:sum"
        yield _late(window), f"{settled}\n- {in_time}\n+ job:gateway_overdue_records:sum"
        yield _share(window), f"{_late(window)} / {_all(window)}"


def _each_lane_once(metric: str) -> str:
    """While a lane moves, two processes may show it."""
    return f"sum by ({OF}) (max by ({OF}, topic, partition) ({metric}))"


def _all(window: str) -> str:
    return f"job:gateway_records:increase{window}"


def _late(window: str) -> str:
    return f"job:gateway_late_records:increase{window}"


def _share(window: str) -> str:
    return f"job:gateway_late_records:ratio{window}"


# --- alerts -----------------------------------------------------------------------------------------------


def alerts(timing: Timing) -> Iterator[Rule]:
    """Every alert, in the order of alerts.toml; one with two severities has two rules."""
    yield from _of_objective(timing)
    yield from _of_processes(timing)
    yield from _of_lanes(timing)
    yield from _of_consent(timing)
    yield from _of_records(timing)
    yield from _of_credentials(timing)


def _of_objective(t: Timing) -> Iterator[Rule]:
    for severity, lasts in ((PAGE, t.burn_for), (TICKET, t.cause)):
        burns = [burn for burn in t.burns if burn.severity == severity]
        yield Rule("GatewaySettlesLate", severity, lasts, "\nor\n".join(_burns(burn, t) for burn in burns))
    yield Rule(
        "GatewayLagGrows",
        TICKET,
        t.growing,
        f"max by ({OF}) (gateway_lane_lag_seconds) > {t.behind_s}\n"
        f"and\nderiv(job:gateway_lag_records:sum[{t.growing}]) > 0",
    )


def _burns(burn: Burn, t: Timing) -> str:
    limit = f"{burn.factor * ALLOWED_LATE:g}"
    return (
        f"(\n  {_share(burn.long)} > {limit} and {_share(burn.short)} > {limit}\n"
        f"  and {_late(burn.long)} >= {t.least_late}\n)"
    )


def _of_processes(t: Timing) -> Iterator[Rule]:
    seen = f"last_over_time(gateway_build_info[{t.known}])"
    yield Rule(
        "GatewayNoneServes",
        PAGE,
        t.lasting,
        f"(group by ({OF}) ({seen}) unless on ({OF}) gateway_ready == 1)\nor on ()\nabsent({seen})",
    )
    yield Rule(
        "GatewayProcessFails",
        TICKET,
        t.cause,
        f"gateway_ready == 0\nor\n(up == 0 and on ({PROCESS}) {seen})",
    )
    changes = f"changes(process_start_time_seconds[{t.hour}])"
    yield Rule("GatewayRestarts", TICKET, "0s", f"max by ({OF}) ({changes} and on ({PROCESS}) {seen}) > {t.starts}")


def _of_lanes(t: Timing) -> Iterator[Rule]:
    stops = f"increase(gateway_lane_stops_total[{t.again}])"
    yield Rule("GatewayLaneStopped", PAGE, t.repeated, f"sum by ({OF}, code) ({stops}) > 0")
    yield Rule(
        "GatewayLaneStuck",
        PAGE,
        t.lasting,
        f"count by ({OF}, topic) (\n"
        f"  gateway_lane_lag_seconds > {t.stuck_s}\n"
        f"  and changes(gateway_lane_watermark_offset[{t.stuck}]) == 0\n"
        f"  and changes(gateway_lane_position_offset[{t.stuck}]) == 0\n"
        f'  unless on ({LANE}) gateway_lane_delayed{{cause=~"hold|stop"}}\n'
        f"  unless on ({LANE}) gateway_lane_awaits_registry == 1\n"
        f"  unless on ({PROCESS}) gateway_genie_breaker_open == 1\n"
        f"  unless on ({PROCESS}) increase(gateway_fence_failures_total[{t.again}]) > 0\n)",
    )
    yield Rule(
        "GatewayBreakerOpen",
        TICKET,
        t.repeated,
        f"avg by ({OF}) (avg_over_time(gateway_genie_breaker_open[{t.breaker}])) > 0.5",
    )
    yield Rule("GatewayRegistryAway", PAGE, t.lasting, f"sum by ({OF}) (gateway_lane_awaits_registry) > 0")
    doubts = f"increase(gateway_doubtful_commits_total[{t.doubts}])"
    yield Rule("GatewayDoubtfulCommits", TICKET, t.doubts_for, f"sum by ({OF}) ({doubts}) > 0")


def _of_consent(t: Timing) -> Iterator[Rule]:
    failed = f"sum by ({PROCESS}) (increase(gateway_fence_failures_total[{t.again}]))"
    reached = f"sum by ({PROCESS}) (increase(gateway_fence_seconds_count[{t.again}]))"
    yield Rule("GatewayFenceFails", PAGE, t.repeated, f"{failed} / ({failed} + {reached}) > 0.5")
    yield Rule(
        "GatewayConsentViewStale",
        TICKET,
        t.lasting,
        f"time() - (gateway_consent_view_whole_timestamp_seconds > 0) > {t.view_old_s}",
    )
    counts = "gateway_consent_view_records_total"
    kinds = "went_back|in_two_partitions|unreadable_consents"
    yield Rule(
        "GatewayConsentsContradict",
        TICKET,
        "0s",
        f'max by ({OF}, kind) (increase({counts}{{kind=~"{kinds}"}}[{t.hour}])) > 0',
    )
    yield Rule(
        "GatewayControlUnreadable",
        PAGE,
        t.repeated,
        f'count by ({OF}) (\n  {counts}{{kind="unreadable_controls"}} > 0\n'
        f'  and on ({PROCESS}) gateway_holds{{scope="all"}} > 0\n)',
    )
    holds, of_subject = "job:gateway_holds:max", 'job:gateway_holds:max{scope="subject"}'
    yield Rule(
        "GatewayHoldForgotten",
        TICKET,
        t.hold,
        f'{holds}{{scope!="subject"}} > 0\n'
        f"or\n(min_over_time({of_subject}[{t.hold_of_subject}]) > 0 and {of_subject} offset {t.hold_of_subject} > 0)",
    )


def _of_records(t: Timing) -> Iterator[Rule]:
    odd = "consent_unknown|consent_superseded_version|policy_version_unknown|consented_outside_version|purposes_unclear"
    for alert, which, least in (
        ("GatewayParkedGrows", 'outcome="PARKED",reason!~"held|outcome_unknown"', t.many),
        ("GatewayInvalidGrows", 'outcome="INVALID"', t.many),
        ("GatewayWithholdsOddly", f'outcome="WITHHELD",reason=~"{odd}"', t.many),
        ("GatewayOutcomesUnknown", 'reason="outcome_unknown"', 0),
    ):
        increase = f"increase(gateway_settled_total{{{which}}}[{t.hour}])"
        yield Rule(alert, TICKET, "0s", f"sum by ({OF}, reason) ({increase}) > {least}")


def _of_credentials(t: Timing) -> Iterator[Rule]:
    left = f"min by ({OF}, name) (gateway_certificate_expiry_timestamp_seconds) - time()"
    page, ticket = t.certificate_page_days * 86_400, t.certificate_ticket_days * 86_400
    yield Rule("GatewayCertificateEnds", PAGE, t.lasting, f"{left} < {page}")
    yield Rule("GatewayCertificateEnds", TICKET, t.lasting, f"{page} <= ({left} < {ticket})")
    yield Rule(
        "GatewayCredentialChangeRefused",
        TICKET,
        t.cause,
        f"max by ({OF}, partner) (gateway_credential_change_refused) == 1",
    )


# --- as Prometheus reads them -----------------------------------------------------------------------------


def render(timing: Timing, runbook: str = RUNBOOK) -> str:
    """The rules file; `runbook` is the folder that has each alert's page."""
    records = [{"record": name, "expr": _Block(expr)} for name, expr in recorded(timing)]
    rules = [_as_read(rule, runbook) for rule in alerts(timing)]
    groups = [{"name": "gateway.recorded", "rules": records}, {"name": "gateway.alerts", "rules": rules}]
    return yaml.dump({"groups": groups}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1_000)


def _as_read(rule: Rule, runbook: str) -> dict[str, Any]:
    said = words()[rule.alert]
    return {
        "alert": rule.alert,
        "expr": _Block(rule.expr),
        "for": rule.lasts,
        "labels": {"severity": rule.severity},
        "annotations": {
            "summary": said.summary,
            "description": said.description,
            "runbook_url": f"{runbook}/{rule.alert}.html",
        },
    }


class _Block(str):
    """Text that keeps its lines."""


class _Dumper(yaml.SafeDumper):
    """Lines stay lines, and nothing is shared by reference."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _block(dumper: yaml.SafeDumper, text: _Block) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style="|" if "\n" in text else None)


_Dumper.add_representer(_Block, _block)
