"""`gateway schemas ...`: the Avro schemas that this release reads and writes."""

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.answers import AsJson, answer
from gateway.cli.errors import CommandError, Exit

app = typer.Typer(help="The Avro schemas of all record kinds.", no_args_is_help=True)


@app.callback()
def schemas() -> None:
    """The Avro schemas of all record kinds."""


@app.command()
def check(
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Directory with ids.json; default: this release's schemas.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find leaves without a known `item`, shapes that cannot be read strictly, and incompatible changes.

    Example: gateway schemas check --dir schemas/avro
    """
    from dataclasses import asdict

    from gateway import schemacheck
    from gateway.schemas import directory as own_directory

    where = directory or own_directory()
    if not where.is_dir():
        raise CommandError(Exit.WRONG_USE, f"no directory {where}: give --dir the directory of the .avsc files")
    findings = schemacheck.check(where)
    lines = [str(finding) for finding in findings] or [f"{where}: nothing wrong"]
    answer(
        "\n".join(lines),
        {"directory": str(where), "findings": [asdict(finding) for finding in findings]},
        as_json=as_json,
    )
    if findings:
        raise typer.Exit(Exit.FOUND_WRONG)
