"""What a person sees while the demo runs: a board on a terminal, a line now and then anywhere else.

Knows how numbers are shown. Must not know where they come from.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from gateway.sandbox.demo.plan import OUTCOMES

WIDTH = 100
RATE_SECONDS = 5.0
_BAR_WIDTH = 44
_COUNT_WIDTH = 8
COLOURS = {
    "PROVIDED": "green",
    "DUPLICATE": "cyan",
    "SUPERSEDED": "cyan",
    "WITHHELD": "yellow",
    "PARKED": "magenta",
    "INVALID": "red",
}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The run at one moment."""

    seconds: float  # since the first part was started
    doing: str
    events: int  # in all
    produced: int
    settled: int
    produced_rate: float
    settled_rate: float
    outcomes: Mapping[str, int] = field(default_factory=dict)
    taken: int = 0  # from Kafka, not settled
    in_flight: int = 0
    consent_changes: int = 0
    answers: Mapping[str, int] = field(default_factory=dict)  # GeNiE's, by HTTP status
    entries: Mapping[str, int] = field(default_factory=dict)  # GeNiE's, by what it said of each
    lookups: int = 0
    faults: Mapping[str, int] = field(default_factory=dict)
    kills: int = 0

    @property
    def seconds_left(self) -> float | None:
        """Until all is settled, at the pace of now."""
        return (self.events - self.settled) / self.settled_rate if self.settled_rate >= 1 else None


class Pace:
    """Events a second of late."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def rate(self, seconds: float, count: int) -> float:
        """Take a sample and say the pace."""
        self._samples.append((seconds, count))
        while len(self._samples) > 2 and self._samples[1][0] <= seconds - RATE_SECONDS:
            self._samples.popleft()
        (first, before), (last, now) = self._samples[0], self._samples[-1]
        return (now - before) / (last - first) if last > first else 0.0


def line(now: Snapshot) -> str:
    """The run in one line."""
    outcomes = ", ".join(f"{name} {now.outcomes[name]:,}" for name in OUTCOMES if now.outcomes.get(name))
    kills = f"; killed {now.kills}x" if now.kills else ""
    return (
        f"{now.seconds:5.0f} s  {now.doing}: {now.settled:,} of {now.events:,} settled ({now.settled_rate:,.0f}/s), "
        f"{now.produced - now.settled:,} behind, {now.in_flight:,} in flight; {outcomes or 'nothing yet'}{kills}"
    )


def board(now: Snapshot) -> RenderableType:
    """The run as a board."""
    left = now.seconds_left
    title = f"[bold]credit gateway[/] · {now.doing} · {now.seconds:.0f} s"
    if left is not None and now.settled < now.events:
        title += f" · about {left:.0f} s left"
    columns = Table.grid(padding=(0, 4, 0, 0))
    columns.add_row(_outcomes(now), _genie(now), _trouble(now))
    return Panel(
        Group(_bars(now), "", columns),
        title=title,
        title_align="left",
        width=WIDTH,
        padding=(1, 2),
    )


def _bars(now: Snapshot) -> Table:
    bars = Table.grid(padding=(0, 2))
    for name, count, rate, colour in (
        ("produced", now.produced, now.produced_rate, "blue"),
        ("settled", now.settled, now.settled_rate, "green"),
    ):
        bar = ProgressBar(total=max(1, now.events), completed=count, width=_BAR_WIDTH, complete_style=colour)
        bars.add_row(name, bar, f"{count:>9,} of {now.events:,}", f"{rate:>6,.0f}/s")
    return bars


def _outcomes(now: Snapshot) -> Table:
    table = _rows("Ledger")
    for name in OUTCOMES:
        table.add_row(Text(name, COLOURS[name]), f"{now.outcomes.get(name, 0):,}")
    table.add_section()
    table.add_row("lag", f"{max(0, now.produced - now.settled):,}")
    table.add_row("taken, unsettled", f"{now.taken:,}")
    table.add_row("in flight", f"{now.in_flight:,}")
    return table


def _genie(now: Snapshot) -> Table:
    table = _rows("GeNiE said")
    for status, count in sorted(now.entries.items()):
        table.add_row(status, f"{count:,}")
    table.add_section()
    for status, count in sorted(now.answers.items()):
        table.add_row(f"HTTP {status}", f"{count:,}")
    table.add_row("looked up", f"{now.lookups:,}")
    return table


def _trouble(now: Snapshot) -> Table:
    table = _rows("Trouble, on purpose")
    for fault, count in now.faults.items():
        if fault != "latency":
            table.add_row(fault.replace("_", " "), f"{count:,}")
    table.add_section()
    table.add_row("consents changed", f"{now.consent_changes:,}")
    table.add_row("gateway killed", f"{now.kills:,}", style="bold red" if now.kills else None)
    return table


def _rows(title: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", show_header=False, box=None, padding=(0, 1))
    table.add_column()
    table.add_column(justify="right", width=_COUNT_WIDTH)
    return table
