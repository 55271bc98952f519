"""`gateway schemas ...`: the Avro schemas that this release reads and writes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.answers import AsJson, answer
from gateway.cli.errors import CommandError, Exit
from gateway.cli.kafka_options import Prefix, Registry, ask_registry

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


@app.command()
def register(*, registry: Registry, prefix: Prefix, as_json: AsJson = False) -> None:
    """Register this release's schemas, each subject with FULL_TRANSITIVE compatibility. Changes nothing that is there.

    Example: gateway schemas register --registry http://registry:8081
    """
    from dataclasses import asdict

    from gateway.kafka import subjects

    done = ask_registry(registry, prefix, subjects.register)
    rows = [
        {"subject": each.subject, "kind": each.kind, "ids": list(each.ids), "kept": each.kept.name.lower()}
        | {"level_before": each.level_before, "breaks": [asdict(broken) for broken in each.breaks]}
        for each in done
    ]
    answer("\n".join(map(str, done)), {"level": subjects.LEVEL, "subjects": rows}, as_json=as_json)
    if any(each.kept is subjects.Kept.REFUSED for each in done):
        raise typer.Exit(Exit.FOUND_WRONG)


@app.command()
def diff(*, registry: Registry, prefix: Prefix, as_json: AsJson = False) -> None:
    """Say how the registry differs from this release: what is missing, newer, or otherwise. Changes nothing.

    Example: gateway schemas diff --registry http://registry:8081
    """
    from dataclasses import asdict

    from gateway.kafka import subjects

    found = ask_registry(registry, prefix, subjects.differences)
    lines = [str(each) for each in found] or ["the registry has this release's schemas"]
    answer("\n".join(lines), {"differences": [asdict(each) for each in found]}, as_json=as_json)
    if found:
        raise typer.Exit(Exit.FOUND_WRONG)
