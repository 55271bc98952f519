"""`gateway parked ...`: Records set aside: which, why, and what to do."""

from __future__ import annotations

import typer

app = typer.Typer(help="Records set aside: which, why, and what to do.", no_args_is_help=True)
