"""The promise and its error budget: what share of records was late, how fast the budget burns, which alerts say so.

Knows the recording rules of deploy/prometheus, which are one for each gateway: all processes of a job. Must not know
how panels are drawn.
"""

from __future__ import annotations

from deploy.grafana.panels import GREEN, ORANGE, RED, YELLOW, Panel, Query, Text, curves, tile
from deploy.grafana.promql import most, named_or, recorded, total
from gateway.observe.rules import ALLOWED_LATE, Timing

TIMING = Timing()
QUANTILES = ((0.5, "half"), (0.99, "99 %"), (0.999, "99.9 %"))
MONTH = "30d"  # what the budget is for
LATE_RATIO = "job:gateway_late_records:ratio{}"
OVERDUE = "job:gateway_overdue_records:sum"
SETTLED = "gateway_append_to_ledger_seconds"
PAGE = "GatewaySettlesLate"
PAGES, TICKETS = 'severity="page"', 'severity="ticket"'


def _settled_in_a_month(series: str, *matchers: str) -> str:
    return total(f"increase({recorded(series, *matchers)}[{MONTH}])")


def _budget_left() -> str:
    """What is left of the late records that a month allows, as a share; below 0 if there were more."""
    everything = _settled_in_a_month(f"{SETTLED}_count")
    in_time = _settled_in_a_month(f"{SETTLED}_bucket", f'le="{TIMING.objective}"')
    overdue = total(recorded(OVERDUE))
    return f"1 - ({everything} - {in_time} + {overdue}) / ({ALLOWED_LATE} * ({everything} + {overdue} > 0))"


def _burn(window: str) -> str:
    """How many times faster than allowed records were late; the worst of several gateways."""
    return f"{most(recorded(LATE_RATIO.format(window)))} / {ALLOWED_LATE}"


def _firing(*matchers: str) -> str:
    return recorded("ALERTS", 'alertstate="firing"', 'alertname=~"Gateway.+"', *matchers)


def panels() -> list[Panel]:
    """A row of numbers, and their stories."""
    windows = [burn.long for burn in TIMING.burns]
    return [
        tile(
            Text(
                "Budget left, of a month's",
                f"One record in {1 / ALLOWED_LATE:,.0f} may be late in {MONTH}; this share of them may still come. "
                "Below 0 the promise is broken, whatever happens until the month is over. Prometheus must keep as "
                "much.",
                PAGE,
            ),
            Query(_budget_left()),
            unit="percentunit",
            width=6,
            base=RED,
            steps=((0, ORANGE), (0.25, YELLOW), (0.5, GREEN)),
            over_all=True,
            nothing="no records",
        ),
        tile(
            Text("Settled in time, last hour", "Of the gateway that is worst; promised are 99.9 %.", PAGE),
            Query(f"1 - {most(recorded(LATE_RATIO.format(TIMING.hour)))}"),
            unit="percentunit",
            width=6,
            base=RED,
            steps=((0.99, YELLOW), (1 - ALLOWED_LATE, GREEN)),
            nothing="no records",
        ),
        tile(
            Text(
                "Late now",
                "Records that were appended 300 s ago or earlier and are not settled. They count as late already.",
                PAGE,
            ),
            Query(total(recorded(OVERDUE))),
            unit="short",
            width=6,
            steps=((1, YELLOW), (TIMING.least_late, RED)),
        ),
        tile(
            Text("Alerts that fire", "Those of severity `page` want somebody now, the others in working hours."),
            Query(f"{total(_firing(PAGES))} or vector(0)", "page"),
            Query(f"{total(_firing(TICKETS))} or vector(0)", "ticket"),
            unit="none",
            width=6,
            steps=((1, ORANGE),),
        ),
        curves(
            Text(
                "How fast the budget burns",
                "1 uses up a month's budget in a month. Somebody is paged at 14.4 over an hour and at 6 over six "
                "hours.",
                PAGE,
            ),
            *(Query(_burn(window), window) for window in windows),
            unit="none",
            width=12,
            steps=tuple((burn.factor, RED if burn.severity == "page" else YELLOW) for burn in reversed(TIMING.burns)),
        ),
        curves(
            Text("Alerts", "Which fired when; each has its page in the runbook, by its name."),
            Query(named_or(f"count by (alertname) ({_firing()})", "alertname", "none"), "{{alertname}}"),
            unit="none",
            width=12,
            stacked=True,
        ),
    ]
