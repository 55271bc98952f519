"""Commands that talk to Kafka mean the same Kafka as the gateway beside them."""

import os
from pathlib import Path

import pytest
import typer
from typer.core import TyperCommand, TyperGroup
from typer.testing import CliRunner

from gateway.cli import app as gateway
from gateway.cli import kafka_options
from gateway.cli.errors import CommandError
from gateway.settings import SettingsError, load

FILE = """
[kafka]
bootstrap_servers = "kafka-0.example:9092"
group_id = "of-the-file"
allow_dev_topics = true
[topics]
prefix = "file."
"""
app = typer.Typer()


@app.command()
def show(
    bootstrap: kafka_options.Bootstrap,
    prefix: kafka_options.Prefix,
    group: kafka_options.Group,
    relaxed: kafka_options.AllowDevTopics,
) -> None:
    typer.echo([bootstrap, prefix, group, relaxed])


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the shell that runs the tests has set."""
    for name in list(os.environ):
        if name.startswith("GATEWAY_"):
            monkeypatch.delenv(name)


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A file that GATEWAY_CONFIG names."""
    path = tmp_path / "gateway.toml"
    path.write_text(FILE, "utf-8")
    monkeypatch.setenv("GATEWAY_CONFIG", str(path))
    return path


def shown(*arguments: str) -> str:
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False).stdout.strip()


def test_without_anything_it_is_this_machine() -> None:
    """No option, no variable, no file."""
    assert shown() == "['localhost:9092', '', 'credit-gateway', False]"


@pytest.mark.usefixtures("config")
def test_the_file_of_the_gateway_counts() -> None:
    """What `gateway serve` would use is what a command uses."""
    assert shown() == "['kafka-0.example:9092', 'file.', 'of-the-file', True]"


@pytest.mark.usefixtures("config")
def test_variables_and_options_win(monkeypatch: pytest.MonkeyPatch) -> None:
    """An option beats the variable, and the variable beats the file."""
    monkeypatch.setenv("GATEWAY_TOPICS__PREFIX", "variable.")
    monkeypatch.setenv("GATEWAY_KAFKA__GROUP_ID", "variable")
    monkeypatch.setenv("GATEWAY_KAFKA__ALLOW_DEV_TOPICS", "false")
    assert shown("--group", "option") == "['kafka-0.example:9092', 'variable.', 'option', False]"


def test_a_file_that_is_not_there_is_wrong_use(config: Path) -> None:
    """It is not passed over: the command would talk to another Kafka than was meant."""
    config.unlink()
    with pytest.raises(CommandError, match="no file"):
        shown()


def variables(command: object) -> set[str]:
    """What the options of every command may come from."""
    if isinstance(command, TyperGroup):
        return set().union(*(variables(inner) for inner in command.commands.values()))
    assert isinstance(command, TyperCommand)
    named = (each.envvar or () for each in command.params)
    return {name for each in named for name in ([each] if isinstance(each, str) else each)}


def test_no_variable_of_a_command_is_a_mistake_to_the_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sets an operator's name in a shell can go on using every command there, and start a gateway."""
    known = variables(typer.main.get_command(gateway))
    assert "GATEWAY_OPERATOR" in known
    for name in known:
        monkeypatch.setenv(name, "something")
    with pytest.raises(SettingsError) as refused:
        load()
    assert "no such setting" not in str(refused.value)
