"""`gateway replay ...`: Process records again, through the same checks as any other."""

from __future__ import annotations

import typer

app = typer.Typer(help="Process records again, through the same checks as any other.", no_args_is_help=True)
