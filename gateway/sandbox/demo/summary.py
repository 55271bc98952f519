"""What a person sees at the end: outcomes with reasons, three examples, what the run came upon, and the verdict.

Knows how it is shown. Must not know how anything was found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from gateway.sandbox.demo.board import COLOURS, WIDTH
from gateway.sandbox.demo.examples import Example
from gateway.sandbox.demo.plan import OUTCOMES, Reached
from gateway.sandbox.demo.reporting import Report
from gateway.sandbox.verifier import Defect

_FIELD_WIDTH = 21
_ITEM_WIDTH = 18


def outcomes(counts: Mapping[tuple[str, str], int], sentences: Mapping[str, str]) -> Table:
    """Every outcome with its reasons. `sentences`: what each reason means, by code."""
    table = Table(title="What became of every event", title_justify="left", width=WIDTH, box=None, title_style="bold")
    table.add_column("outcome", width=11)
    table.add_column("reason", width=28)
    table.add_column("events", justify="right", width=9)
    table.add_column("meaning")
    for outcome in OUTCOMES:
        rows = sorted(((count, reason) for (name, reason), count in counts.items() if name == outcome), reverse=True)
        for place, (count, reason) in enumerate(rows):
            label = Text(outcome, COLOURS[outcome]) if place == 0 else ""
            table.add_row(label, reason, f"{count:,}", Text(sentences.get(reason, ""), "dim"))
    return table


def examples(chosen: Sequence[Example], sentences: Mapping[str, str]) -> Iterator[RenderableType]:
    """Each example as a table: a field of the input a row, and beside it what GeNiE got."""
    for example in chosen:
        title = Text.assemble(
            (example.outcome, f"bold {COLOURS[example.outcome]}"),
            f" · {example.reason}: {sentences.get(example.reason, '')}\n",
            (f"{example.kind} at {example.place} (made-up data)", "dim"),
        )
        table = Table(title=title, title_justify="left", title_style="", expand=True, box=None)
        table.add_column("field", width=_FIELD_WIDTH, no_wrap=True)
        table.add_column("item", width=_ITEM_WIDTH, no_wrap=True, style="dim")
        table.add_column("came in", ratio=1, no_wrap=True)
        table.add_column("GeNiE got", ratio=1, style="green")
        for row in example.rows:
            sent = row.sent or Text("-", "dim")
            table.add_row(row.field, row.item, row.value, sent)
        for name, value in example.besides:
            table.add_row(Text(name, "italic"), Text("added", "italic dim"), "", value)
        yield table


def reached(report: Report) -> Table:
    """What the run came upon."""
    table = Table(title="What the run came upon", title_justify="left", width=WIDTH, box=None, show_header=False)
    table.title_style = "bold"
    table.add_column(justify="right", width=9)
    table.add_column()
    for kind in Reached:
        table.add_row(f"{report.reached[kind.value]:,}", kind.sentence)
    return table


def verdict(report: Report, wrong: Sequence[str], seen: Sequence[str]) -> RenderableType:
    """The verifier's six counts and what follows. `seen`: examples of defects."""
    table = Table.grid(padding=(0, 2))
    for defect in Defect:
        count = getattr(report, defect.value)
        table.add_row(Text(f"{count:,}", "bold red" if count else "bold green"), defect.value, defect.sentence)
    numbers = (
        f"{report.produced:,} events in, {report.ledger_records:,} ledger records, "
        f"{report.partner_received:,} events at GeNiE, {report.events_per_second:,.0f} events/s"
    )
    if wrong:
        said: RenderableType = Group(
            Text("The run FAILED:", "bold red"),
            *(Text(f"- {sentence}", "red") for sentence in wrong),
            *(Text(f"  {example}", "dim") for example in seen),
        )
    else:
        said = Text("Nothing lost, nothing unrecorded, nothing sent without consent.", "bold green")
    return Panel(
        Group(numbers, "", table, "", said),
        title="[bold]verdict of the independent verifier[/]",
        title_align="left",
        width=WIDTH,
        padding=(1, 2),
        border_style="red" if wrong else "green",
    )
