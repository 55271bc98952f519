"""The command line: which commands there are. Each family is one module, registered here or in its sub-app.

A command imports what it runs inside its function, so that `gateway --help` and every other command stay
quick and work without the extras they do not need. It ends with an exit status of `errors.Exit`, by
raising `CommandError` when that is not DONE.
"""

import logging
import sys

import typer

from gateway import core_dumps
from gateway.cli import (
    check,
    consent,
    demo,
    dev,
    explain,
    hold,
    lanes,
    ledger,
    output,
    parked,
    replay,
    schemas,
    serve,
    settings,
    status,
    topics,
)
from gateway.cli.errors import CommandError, Exit

app = typer.Typer(
    name="gateway",
    help="Provides consented credit data to GeNiE and records every provision.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(dev.app, name="dev")
app.add_typer(schemas.app, name="schemas")
app.add_typer(topics.app, name="topics")
app.add_typer(lanes.app, name="lanes")
app.add_typer(parked.app, name="parked")
app.add_typer(replay.app, name="replay")
app.add_typer(hold.app, name="hold")
app.add_typer(consent.app, name="consent")
app.add_typer(ledger.app, name="ledger")
app.command("check")(check.check)
app.command("demo")(demo.demo)
app.command("explain")(explain.explain)
app.command("serve")(serve.serve)
app.command("settings")(settings.settings)
app.command("status")(status.status)


def main() -> None:
    """Run one command; an error it foresaw is one message, not a traceback."""
    core_dumps.leave_none()
    output.watch()
    # Without a handler Python prints what the library says to itself while it tries: hundreds of lines a second.
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())
    try:
        app()
    except CommandError as error:
        error.show(as_json="--json" in sys.argv)
        sys.exit(error.status)
    except output.OutputError as error:
        output.give_up()
        if error.reader_is_gone:
            sys.exit(output.READER_GONE)
        CommandError(Exit.FOUND_WRONG, f"{error}. What was asked for may be done: only its answer is lost.").show(
            as_json=False
        )
        sys.exit(Exit.FOUND_WRONG)
