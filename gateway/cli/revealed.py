"""What `--reveal` prints of an original: the shapes of its fields, or the values."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.desk_options import table

if TYPE_CHECKING:
    from gateway.oncall.reveal import Revealed

GONE = "the input topic no longer has the record"

Reveal = Annotated[
    bool,
    typer.Option(
        "--reveal", help="Fetch the original and show the shape of each field. Audited: give the three below."
    ),
]
Unmasked = Annotated[
    bool, typer.Option("--unmasked", help="With --reveal: show the values themselves. Audited as such.")
]


def revealed_text(revealed: Revealed | None) -> list[str]:
    """For a person."""
    from gateway.oncall.times import shown

    if revealed is None:
        return [GONE]
    schema = "no schema" if revealed.schema_id is None else f"schema {revealed.schema_id}"
    lines = [f"{revealed.place}: {revealed.size:,} bytes, {schema}, appended {shown(revealed.timestamp)}"]
    if revealed.unreadable is not None:
        lines.append(revealed.unreadable)
    return [*lines, table(("FIELD", "ITEM", "VALUE"), [(each.path, each.item, each.shown) for each in revealed.lines])]


def revealed_data(revealed: Revealed | None) -> dict[str, Any] | None:
    """For a program."""
    from gateway.oncall.times import iso

    return None if revealed is None else {**asdict(revealed), "timestamp": iso(revealed.timestamp)}
