"""`gateway schemas ...`: the Avro schemas that this release reads and writes."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from gateway.cli.answers import AsJson, answer
from gateway.cli.errors import CommandError, Exit
from gateway.cli.kafka_options import Prefix, Registry, login_at

if TYPE_CHECKING:
    from gateway.kafka.http_registry import HttpRegistry

T = TypeVar("T")

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

    done = _ask(registry, prefix, subjects.register)
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

    found = _ask(registry, prefix, subjects.differences)
    lines = [str(each) for each in found] or ["the registry has this release's schemas"]
    answer("\n".join(lines), {"differences": [asdict(each) for each in found]}, as_json=as_json)
    if found:
        raise typer.Exit(Exit.FOUND_WRONG)


def _ask(url: str, prefix: str, call: Callable[[HttpRegistry], Coroutine[Any, Any, T]]) -> T:
    """Run a call to the registry there; what it raises becomes the message and exit status of the command."""
    import asyncio

    from gateway.kafka.http_registry import HttpRegistry
    from gateway.kafka.names import TopicNames
    from gateway.kafka.registry import RegistryAway
    from gateway.kafka.subjects import RefusedError

    if not re.fullmatch(r"https?://[^\s@]+", url):
        needed = "give --registry or GATEWAY_SCHEMAS__REGISTRY_URL its http or https URL, without a user"
        raise CommandError(Exit.WRONG_USE, f"no schema registry: {needed}")

    login = login_at(url)

    async def ask() -> T:
        registry = HttpRegistry.of(url, TopicNames(prefix), login)
        try:
            return await call(registry)
        finally:
            await registry.close()

    try:
        return asyncio.run(ask())
    except RegistryAway as error:
        raise CommandError(Exit.UNREACHABLE, str(error)) from error
    except RefusedError as error:
        raise CommandError(Exit.FOUND_WRONG, str(error)) from error
