"""Consent and privacy: is the view of consents fresh, what was decided by it, what is held back, what contradicts.

Knows which metrics answer that. Must not know how panels are drawn.
"""

from __future__ import annotations

from deploy.grafana.board import Board, Section
from deploy.grafana.objective import QUANTILES, TIMING
from deploy.grafana.panels import BLUE, GREY, RED, YELLOW, Panel, Query, Text, curves, spread, tile
from deploy.grafana.promql import (
    PROCESS,
    buckets,
    grown,
    growth,
    least,
    most,
    quantile,
    rate,
    ratio,
    series,
    total,
    worst,
)

SETTLED = "gateway_settled_total"
DENYING = 'kind!~"read|tombstones"'
CUSTOMERS = (
    'reason=~"no_consent|consent_withdrawn|consent_expired|before_consent|contract_not_covered|matter_not_consented"'
)
SERVICES = (
    'reason=~"consent_unknown|consent_not_yet_valid|consent_superseded_version|wrong_recipient|policy_version_unknown|'
    'policy_version_without_clause|consented_outside_version|purposes_unclear|not_consent_based|creditor_not_us"'
)
CORRECTION = 'reason="correction_after_withdrawal"'
BORDER = 'reason=~"schema_without_item|subject_mismatch|bad_key|bad_value|unknown_schema_id|future_event"'


def _fresh() -> list[Panel]:
    return [
        tile(
            Text(
                "View last whole",
                "How long ago each process's view surely held all that its topics did; the worst of them. Nothing is "
                "sent on a view that can't be proven fresh.",
                "#the-consent-view-is-behind",
            ),
            Query(f"time() - {least(series('gateway_consent_view_whole_timestamp_seconds') + ' > 0')}"),
            unit="s",
            width=4,
            steps=((TIMING.view_old_s / 2, YELLOW), (TIMING.view_old_s, RED)),
        ),
        tile(
            Text(
                "View behind by",
                "Records of consent and control topics that it has still to apply.",
                "#the-consent-view-is-behind",
            ),
            Query(most(series("gateway_consent_view_lag_records"))),
            unit="short",
            width=4,
            steps=((1_000, YELLOW), (100_000, RED)),
        ),
        tile(
            Text(
                "Fences that failed",
                "In the time shown: the view could not be proven fresh within 5 s, and nothing was sent meanwhile.",
                "#the-fence-fails",
            ),
            Query(total(grown("gateway_fence_failures_total"))),
            unit="none",
            width=4,
            steps=((1, YELLOW), (10, RED)),
            over_all=True,
        ),
        tile(
            Text("Customers in the view", "Subjects with a consent record; each process holds all of them."),
            Query(most(series("gateway_consent_view_subjects"))),
            unit="short",
            width=4,
        ),
        tile(
            Text("Holds in force", "What somebody holds back on purpose: `gateway hold list`.", "#look-first"),
            Query(most(total(series("gateway_holds"), "instance"))),
            unit="none",
            width=4,
            base=GREY,
            steps=((1, BLUE),),
        ),
        tile(
            Text(
                "Corrections after withdrawal",
                "In the time shown: a correction of what GeNiE has came after the customer withdrew. It was withheld; "
                "the privacy desk decides how GeNiE hears of it.",
                "correction_after_withdrawal",
            ),
            Query(total(grown(SETTLED, CORRECTION))),
            unit="none",
            width=4,
            base=GREY,
            steps=((1, YELLOW),),
            over_all=True,
        ),
    ]


def _decided() -> list[Panel]:
    return [
        curves(
            Text(
                "Withheld, of all settled",
                "A jump is rarely the customers: the consent service, or a policy version that was cited before it "
                "was added.",
                "#withheld-jumps",
            ),
            Query(
                ratio(total(rate(SETTLED, 'outcome="WITHHELD"')), total(rate(SETTLED))),
                "withheld",
            ),
            unit="percentunit",
            width=8,
        ),
        curves(
            Text(
                "Withheld: what the customer decided",
                "No consent, withdrawn, expired, or not for this contract, matter or time.",
                "#withheld-jumps",
            ),
            Query(total(rate(SETTLED, CUSTOMERS), "reason"), "{{reason}}"),
            unit="eps",
            width=8,
            stacked=True,
        ),
        curves(
            Text(
                "Withheld: what services wrote",
                "Consent records that cite no valid policy version, state no clear purposes, or contradict an earlier "
                "one.",
                "#withheld-jumps",
            ),
            Query(total(rate(SETTLED, SERVICES), "reason"), "{{reason}}"),
            unit="eps",
            width=8,
            stacked=True,
        ),
    ]


def _proof() -> list[Panel]:
    return [
        curves(
            Text(
                "Proving the view fresh",
                "How long a fence takes; each decision waits for one, several lanes share a round.",
                "#the-fence-fails",
            ),
            *(Query(quantile(share, "gateway_fence_seconds"), name) for share, name in QUANTILES),
            unit="s",
            width=8,
            steps=((5, RED),),
        ),
        spread(
            Text(
                "Fences, spread", "How many took how long. A long open transaction of a producer holds all of them up."
            ),
            buckets("gateway_fence_seconds"),
            unit="s",
            width=8,
        ),
        curves(
            Text(
                "View behind by, each process",
                "Records to apply; large and falling after a start.",
                "#the-consent-view-is-behind",
            ),
            Query(worst(20, series("gateway_consent_view_lag_records"), PROCESS), "{{instance}}"),
            unit="short",
            width=8,
        ),
    ]


def _contradictions() -> list[Panel]:
    return [
        curves(
            Text(
                "Consent and control records read",
                "Every process reads all of them; this is the process that read most.",
            ),
            Query(most(rate("gateway_consent_view_records_total", 'kind="read"')), "read"),
            Query(most(rate("gateway_consent_view_records_total", 'kind="tombstones"')), "tombstones"),
            unit="eps",
            width=8,
        ),
        curves(
            Text(
                "Records that deny",
                "A version that went back, a subject in two partitions, what can't be read: its subject is denied "
                "until a higher version comes. A control that can't be read holds everything.",
                "#the-consent-view-is-behind",
            ),
            Query(most(growth("gateway_consent_view_records_total", DENYING), "kind"), "{{kind}}"),
            unit="short",
            width=8,
            bars=True,
            stacked=True,
        ),
        curves(
            Text(
                "Holds, by scope",
                "Of everything, an event type, a lane or a customer; each process knows all.",
                "#look-first",
            ),
            Query(most(series("gateway_holds"), "scope"), "{{scope}}"),
            unit="none",
            width=8,
            stacked=True,
        ),
        curves(
            Text(
                "Stopped at the border",
                "Records that named no item, another customer's key, an unknown schema or a time to come: nothing of "
                "them left.",
                "#parked-records-grow",
            ),
            Query(total(growth(SETTLED, BORDER), "reason"), "{{reason}}"),
            unit="short",
            width=12,
            bars=True,
            stacked=True,
        ),
        curves(
            Text("Parked by a hold", "Events of customers on hold: releasing it offers their replay.", "held"),
            Query(total(growth(SETTLED, 'reason="held"'), "topic"), "{{topic}}"),
            unit="short",
            width=12,
            bars=True,
            stacked=True,
        ),
    ]


BOARD = Board(
    name="consent-and-privacy",
    title="Credit gateway: consent and privacy",
    description="Is the view of consents fresh, what was decided by it, and what is held back or contradicts itself?",
    sections=(
        Section("Is the view fresh?", _fresh()),
        Section("What was decided", _decided()),
        Section("The proof before each decision", _proof()),
        Section("Records, holds and borders", _contradictions()),
    ),
)
