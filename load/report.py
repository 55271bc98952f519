"""Writes what was measured into the pages: tables between markers, and the pictures beside them.

Knows markdown. Must not know how anything was measured. Prose is written by people and stays; the same results give
the same pages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median_low

from load import capacity, picture
from load.budget import parts
from load.capacity import LENDERS, RATES, Measured
from load.kept import Kept
from load.result import Kind, Mode, Result
from load.stages.stage import Stage

DOCS = Path(__file__).parent.parent / "docs"
PAGES = ("performance.md", "capacity.md")
BACKLOG = "backlog"  # the scenario that says what an event costs
NOTHING = "*Not measured yet.*"
_SECTION = re.compile(r"(<!-- load:(?P<name>[a-z-]+) -->\n).*?(<!-- load:end -->)", re.DOTALL)

_OF_VIEW = {
    "file_mb": "on disk, MB",
    "rss_mb": "memory behind the first catch-up, MB",
    "mapped_mb": "of it the mapped file, which the kernel may take back, MB",
    "warm_rss_mb": "memory when many were looked up, MB",
    "catch_up_cpu_s": "first catch-up, CPU s",
    "catch_up_us": "a consent of it, CPU µs",
    "restart_ms": "a restart until the view is proven fresh, ms",
    "get_us": "a lookup, anybody's, CPU µs",
    "get_hot_us": "a lookup where few are in use, CPU µs",
    "fence_us": "a fence, CPU µs",
}

Rows = Iterable[Sequence[str]]


class UnknownSectionError(Exception):
    """A page has a marker that nothing belongs to."""


def write(kept: Kept, docs: Path = DOCS) -> list[Path]:
    """Bring pages and pictures up to date; all that were written."""
    written = []
    for name in PAGES:
        page = docs / name
        page.write_text(filled(page.read_text("utf-8"), kept), "utf-8")
        written.append(page)
    if kept.stages:
        written.append(picture.cost_budget(parts(kept.stages, cost(kept)), docs))
    if _is_late(kept):
        written.append(picture.latency(typical(kept.rounds), docs))
    return written


def filled(text: str, kept: Kept) -> str:
    """The page with each of its sections written anew."""

    def section(found: re.Match[str]) -> str:
        write_section = _SECTIONS.get(found["name"])
        if write_section is None:
            raise UnknownSectionError(f"no section is called {found['name']}: there are {', '.join(_SECTIONS)}")
        return f"{found[1]}\n{write_section(kept)}\n\n{found[3]}"

    return _SECTION.sub(section, text)


def typical(rounds: Sequence[Result]) -> list[Result]:
    """Of each scenario the round in the middle, by what an event cost."""
    found: dict[str, list[Result]] = {}
    for each in rounds:
        found.setdefault(each.scenario, []).append(each)
    return [_middle(several) for several in found.values()]


def cost(kept: Kept) -> float | None:
    """CPU µs of the gateway for an event, when there is as much to do as it can."""
    return next((each.gateway_cpu_us_per_event for each in typical(kept.rounds) if each.scenario == BACKLOG), None)


def _is_late(kept: Kept) -> bool:
    """Whether any round says how late its events were."""
    return any(each.latency_ms is not None for each in kept.rounds)


def _middle(several: Sequence[Result]) -> Result:
    cost = median_low(each.gateway_cpu_us_per_event for each in several)
    return next(each for each in several if each.gateway_cpu_us_per_event == cost)


# --- sections -----------------------------------------------------------------------------------------------


def _rounds(kept: Kept) -> str:
    if not kept.rounds:
        return NOTHING
    head = (
        *("scenario", "rounds", "events/s", "gateway, CPU µs an event", "baseline, CPU µs", "ratio"),
        *("p50 ms", "p99 ms", "p99.9 ms", "max ms", "RSS MB"),
    )
    counted = {each.scenario: sum(other.scenario == each.scenario for other in kept.rounds) for each in kept.rounds}
    table = _table(head, (_round(each, counted[each.scenario]) for each in typical(kept.rounds)))
    if not _is_late(kept):
        return table
    return f"{table}\n\n![From append to ledger, by percentile and scenario]({picture.LATENCY})"


def _round(result: Result, count: int) -> list[str]:
    waited, baseline = result.latency_ms, result.baseline
    late = ("", "", "", "") if waited is None else (waited.p50, waited.p99, waited.p999, waited.max)
    return [
        result.scenario,
        str(count),
        f"{result.events_per_second:,.0f}",
        f"{result.gateway_cpu_us_per_event:.1f}",
        "" if baseline is None else f"{baseline.cpu_us_per_event:,.0f}",
        "" if baseline is None else f"1 : {baseline.cpu_us_per_event / result.gateway_cpu_us_per_event:.1f}",
        *(each if isinstance(each, str) else f"{each:,.0f}" for each in late),
        f"{result.rss_mb:.0f}",
    ]


def _work(kept: Kept) -> str:
    """What proves that nothing was left out, and what the other processes needed."""
    if not kept.rounds:
        return NOTHING
    head = (
        *("scenario", "announcements", "verified answers", "transactions", "fences", "bytes to GeNiE"),
        *("Kafka, CPU µs", "sandbox, CPU µs", "sandbox, of a core", "commit ms"),
    )
    return _table(head, (_worked(each) for each in typical(kept.rounds)))


def _worked(result: Result) -> list[str]:
    each, cpu = result.per_event, result.cpu_us_per_event
    return [
        result.scenario,
        *(f"{value:.4f}" for value in (each.announcements, each.verified_answers, each.transactions, each.fences)),
        f"{result.wire_bytes_per_event:,.0f}",
        *(f"{cpu.get(kind, 0.0):.0f}" for kind in (Kind.KAFKA, Kind.GENIE)),
        f"{result.sandbox.genie_cores:.2f}",
        f"{result.commit_ms:.0f}",
    ]


def _budget(kept: Kept) -> str:
    if not kept.stages:
        return NOTHING
    measured = cost(kept)
    found = parts(kept.stages, measured)
    total = sum(part.us for part in found)
    rows = [[part.name, f"{part.us:.2f}", f"{part.us / total:.0%}", part.sentence] for part in found]
    table = _table(("part", "CPU µs an event", "share", "what"), [*rows, ["**all**", f"**{total:.1f}**", "", ""]])
    picture_of_it = f"![Where an event's microseconds go]({picture.BUDGET})"
    return "\n\n".join([picture_of_it, table, *_compared(kept.stages, measured)])


def _compared(stages: Sequence[Stage], measured: float | None) -> Iterator[str]:
    """What the stages come to, beside what a gateway that runs needs."""
    if measured is not None:
        alone = sum(part.us for part in parts(stages, None))
        yield f"The stages add up to {alone:.1f} µs; a gateway with a backlog needed {measured:.1f}."


def _stages(kept: Kept) -> str:
    if not kept.stages:
        return NOTHING
    head = ("stage", "CPU µs an event", "middle half", "yards", "within", "what")
    return _table(
        head,
        (
            [
                *(f"`{stage.name}`", f"{stage.us:.2f}", f"{stage.low_us:.2f} to {stage.high_us:.2f}"),
                *(f"{stage.yards:.2f}", f"`{stage.within}`" if stage.within else "", stage.sentence),
            ]
            for stage in kept.stages
        ),
    )


def _sizes(kept: Kept) -> str:
    if kept.sizes is None:
        return NOTHING
    return _table(("bytes of", "on average"), ([name, f"{value:,.0f}"] for name, value in kept.sizes.to_json().items()))


def _rates(kept: Kept) -> str:
    measured = _measured(kept)
    if measured is None:
        return NOTHING
    head = (
        *("events/s", "processes", "partitions of each input topic", "connections at 20 ms", "at 200 ms"),
        *("brokers write, MB/s", "to GeNiE, MB/s"),
    )
    needs = [capacity.need(rate, measured) for rate in RATES]
    return _table(
        head,
        (
            [
                *(f"{each.rate:,.0f}", str(each.processes), str(each.partitions)),
                *(str(each.connections_fast), str(each.connections_slow)),
                *(f"{each.written_mb_s:,.1f}", f"{each.to_genie_mb_s:,.1f}"),
            ]
            for each in needs
        ),
    )


def _lenders(kept: Kept) -> str:
    measured = _measured(kept)
    if measured is None:
        return NOTHING
    head = ("", *(lender.name for lender in LENDERS))
    needs = [(lender, capacity.need(lender.design_rate, measured)) for lender in LENDERS]
    views = [capacity.of_view(kept.views, lender.subjects) for lender in LENDERS]
    rows = [
        ["subjects", *(f"{lender.subjects:,}" for lender, _ in needs)],
        ["peak, events/s", *(f"{lender.peak:,.0f}" for lender, _ in needs)],
        ["built for, events/s", *(f"{each.rate:,.0f}" for _, each in needs)],
        ["processes", *(str(each.processes) for _, each in needs)],
        ["partitions of each input topic", *(str(each.partitions) for _, each in needs)],
        ["connections to GeNiE at 20 ms", *(str(each.connections_fast) for _, each in needs)],
        ["at 200 ms", *(str(each.connections_slow) for _, each in needs)],
        ["brokers write, MB/s", *(f"{each.written_mb_s:,.1f}" for _, each in needs)],
        ["to GeNiE, MB/s", *(f"{each.to_genie_mb_s:,.1f}" for _, each in needs)],
        ["ledger, TB a year", *(f"{capacity.ledger_tb_a_year(each, measured.sizes):,.2f}" for each in LENDERS)],
        ["consent view of a process, MB on disk", *(_of(view, "file_mb") for view in views)],
        ["its first catch-up, CPU s", *(_of(view, "catch_up_cpu_s") for view in views)],
    ]
    return _table(head, rows)


def _views(kept: Kept) -> str:
    if not kept.views:
        return NOTHING
    rows = ([said, *(f"{view[name]:,.1f}" for view in kept.views)] for name, said in _OF_VIEW.items())
    return _table(("subjects", *(f"{view['subjects']:,.0f}" for view in kept.views)), rows)


def _ground(kept: Kept) -> str:
    """The figures that capacity rests on, in one sentence."""
    measured = _measured(kept)
    if measured is None:
        return NOTHING
    single = next((each for each in typical(kept.rounds) if each.mode is Mode.SINGLE), None)
    alone = "" if single is None else f", and {single.gateway_cpu_us_per_event:.0f} µs one by one"
    sizes = measured.sizes
    return (
        f"An event costs **{measured.cpu_us:.1f} CPU µs** in batches{alone}; it is {sizes.input:,.0f} bytes when it "
        f"comes, {sizes.intent:,.0f} of intents, {sizes.ledger:,.0f} in the ledger and {sizes.request:,.0f} to GeNiE."
    )


def _measured(kept: Kept) -> Measured | None:
    cpu_us = cost(kept)
    return None if cpu_us is None or kept.sizes is None else Measured(cpu_us, kept.sizes)


def _of(view: Mapping[str, float] | None, name: str) -> str:
    return "not measured" if view is None else f"{view[name]:,.0f}"


def _table(head: Sequence[str], rows: Rows) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


_SECTIONS: Mapping[str, Callable[[Kept], str]] = {
    "rounds": _rounds,
    "work": _work,
    "budget": _budget,
    "stages": _stages,
    "sizes": _sizes,
    "rates": _rates,
    "lenders": _lenders,
    "views": _views,
    "ground": _ground,
}
