"""`gateway ledger ...`: what was provided, to whom, and whether the record of it is whole.

Each command is registered here; those with a module of their own live in ledger_*.py.
"""

from __future__ import annotations

import typer

from gateway.cli import (
    ledger_count,
    ledger_disclose,
    ledger_index,
    ledger_reconcile,
    ledger_scope,
    ledger_tail,
    ledger_verify,
)

app = typer.Typer(help="The record of every provision: follow, count, verify, disclose.", no_args_is_help=True)
app.command("tail")(ledger_tail.tail)
app.command("count")(ledger_count.count)
app.command("index")(ledger_index.index)
app.command("disclose")(ledger_disclose.disclose)
app.command("scope")(ledger_scope.scope)
app.command("verify")(ledger_verify.verify)
app.command("reconcile")(ledger_reconcile.reconcile)
