"""`gateway hold ...`: Stop sending at once: all, an event type, a lane or a subject."""

from __future__ import annotations

import typer

app = typer.Typer(help="Stop sending at once: all, an event type, a lane or a subject.", no_args_is_help=True)
