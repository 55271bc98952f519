"""`--help` of every command: a sentence, and an example to copy where there is something to give."""

from collections.abc import Iterator

import pytest
import typer
from typer.core import TyperCommand, TyperGroup

from gateway.cli import app


def commands(command: object, name: str) -> Iterator[tuple[str, TyperCommand]]:
    """Every command below this one, with its whole name."""
    if isinstance(command, TyperGroup):
        for inner in command.commands:
            yield from commands(command.commands[inner], f"{name} {inner}")
    elif isinstance(command, TyperCommand):
        yield name, command


ALL = dict(commands(typer.main.get_command(app), "gateway"))


@pytest.mark.parametrize("name", ALL)
def test_a_command_has_an_example_of_itself(name: str) -> None:
    """The example names the command, so that it can be copied."""
    _, found, example = (ALL[name].help or "").partition("Example: ")
    assert found, f"{name} --help has no example"
    assert name in example
