"""`gateway consent ...`: What the consent records say."""

from __future__ import annotations

import typer

app = typer.Typer(help="What the consent records say.", no_args_is_help=True)
