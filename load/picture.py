"""Pictures of what was measured: where an event's microseconds go, and how late events are.

Knows matplotlib. Must not know how anything was measured. The same figures give the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from hdrh.histogram import HdrHistogram
from matplotlib.figure import Figure

from load.budget import Part
from load.result import Latency, Result

BUDGET, LATENCY = "cost-budget.svg", "latency.svg"
PERCENTILES = (1.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.95, 99.99)
_TICKS = (50.0, 90.0, 99.0, 99.9, 99.99)


def cost_budget(parts: Sequence[Part], where: Path) -> Path:
    """One bar, stacked in an event's order."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    axes = figure.add_subplot()
    colours = mpl.colormaps["tab20"]
    at = 0.0
    for number, part in enumerate(parts):
        axes.barh([0], [part.us], left=at, color=colours(number % 20), label=f"{part.name} {part.us:.1f}")
        at += part.us
    axes.set_yticks([])
    axes.set_xlim(0, at or 1)
    axes.set_xlabel("CPU µs an event, in batches of 100")
    axes.set_title(f"Where {at:.0f} µs go")
    figure.legend(loc="outside lower center", ncols=6, frameon=False, fontsize="small")
    return _save(figure, where / BUDGET)


def latency(results: Sequence[Result], where: Path) -> Path:
    """From append to ledger, by percentile, one line a scenario."""
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.add_subplot()
    for result in results:
        if result.latency_ms is not None:
            values = _percentiles(result.latency_ms)
            axes.plot([_nines(percentile) for percentile, _ in values], [ms for _, ms in values], label=result.scenario)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xticks([_nines(each) for each in _TICKS], [f"{each:g} %" for each in _TICKS])
    axes.minorticks_off()
    axes.set_xlabel("share of the events that are settled by then")
    axes.set_ylabel("ms from append to ledger")
    axes.grid(visible=True, alpha=0.3)
    axes.legend(frameon=False)
    return _save(figure, where / LATENCY)


def _percentiles(measured: Latency) -> list[tuple[float, float]]:
    if not measured.histogram:
        return [(50.0, measured.p50), (99.0, measured.p99), (99.9, measured.p999)]
    histogram = HdrHistogram.decode(measured.histogram)  # type: ignore[no-untyped-call]  # it ships no types
    return [(percentile, histogram.get_value_at_percentile(percentile)) for percentile in PERCENTILES]


def _nines(percentile: float) -> float:
    """Each further nine is as far along as the one before."""
    return 100 / (100 - percentile)


def _save(figure: Figure, path: Path) -> Path:
    with mpl.rc_context({"svg.hashsalt": "gateway", "svg.fonttype": "none"}):
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
    return path
