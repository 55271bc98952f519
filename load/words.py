"""A result in words, for a terminal.

Knows layout. Must not know how anything was measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from load.result import SANDBOX_BUSY_SHARE, Result


def text(result: Result) -> str:
    """Some lines."""
    return "\n".join(_lines(result))


def short(result: Result) -> dict[str, Any]:
    """What matters most, for one line of JSON."""
    waited, baseline = result.latency_ms, result.baseline
    return {
        "scenario": result.scenario,
        "gateway_cpu_us_per_event": round(result.gateway_cpu_us_per_event, 1),
        "baseline_cpu_us_per_event": None if baseline is None else round(baseline.cpu_us_per_event, 1),
        "events_per_second": round(result.events_per_second),
        "latency_ms": None if waited is None else {"p50": waited.p50, "p99": waited.p99},
        "rss_mb": round(result.rss_mb, 1),
        "verified": result.verified,
    }


def _lines(result: Result) -> Iterator[str]:
    yield (
        f"{result.scenario}: {result.events:,} events in {result.seconds:.1f} s, "
        f"{result.events_per_second:,.0f} a second, {result.gateways} gateway process(es), "
        f"{result.partitions} partitions, {result.subjects:,} subjects, "
        f"{result.mode.value}"
    )
    cpu = ", ".join(f"{kind.value} {cost:.1f}" for kind, cost in result.cpu_us_per_event.items())
    beside = "" if result.baseline is None else f"; the naive baseline {result.baseline.cpu_us_per_event:.0f}"
    yield f"  CPU µs an event: {cpu}{beside}"
    waited = result.latency_ms
    if waited is not None:
        yield (
            f"  append to ledger, ms: p50 {waited.p50:.0f}, p99 {waited.p99:.0f}, p99.9 {waited.p999:.0f}, "
            f"max {waited.max:.0f} of {waited.events:,}"
        )
    each = result.per_event
    yield (
        f"  an event: {each.announcements:.2f} announcements, {each.fences:.4f} fences, "
        f"{each.verified_answers:.4f} verified answers, {each.transactions:.4f} transactions of "
        f"{result.commit_ms:.0f} ms, {result.wire_bytes_per_event:,.0f} bytes to GeNiE"
    )
    trend = result.rss_slope_mb_per_minute
    yield f"  memory: {result.rss_mb:.0f} MB at most" + ("" if trend is None else f", {trend:+.3f} MB a minute")
    yield from _sandbox(result)
    yield from (f"  {name}: {value:,.1f}" for name, value in result.extra.items())
    if result.verified:
        yield f"  verified: nothing lost, doubled, unconsented, unrecorded, out of order or leaked; {result.settled}"
    yield from (f"  VOID: {void.sentence}" for void in result.voids)
    yield from (f"  VOID: {name}: {count:,}" for name, count in result.verdict.items() if count)


def _sandbox(result: Result) -> Iterator[str]:
    sandbox = result.sandbox
    answered = (
        "nothing was answered"
        if sandbox.answer_ms is None
        else f"answers were there after {sandbox.answer_ms:.0f} ms, for {sandbox.latency_ms:.0f} of which GeNiE waited"
    )
    yield (
        f"  sandbox: GeNiE used {sandbox.genie_cores:.2f} of a core; {answered}; "
        f"the producer was {sandbox.producer_behind_ms:.0f} ms behind its clock at worst"
    )
    if sandbox.busy:
        yield f"  CAREFUL: GeNiE used more than {SANDBOX_BUSY_SHARE:.0%} of a core and may have been the limit"
    if sandbox.late:
        yield "  CAREFUL: the producer could not keep its clock, so events came later and more at once than they should"
