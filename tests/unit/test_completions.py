"""What the shell offers on Tab, asked as the shells ask it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from gateway.cli import app, completions
from gateway.core.events import EventType
from gateway.core.holds import HoldScope
from gateway.core.reasons import Outcome, Reason, Transmitted

# `gateway` itself, with completion switched on whether or not this release does.
GATEWAY = "from gateway.cli import app; app(prog_name='gateway')"
COMPLETERS = {
    completions.reasons: {reason.code for reason in Reason},
    completions.parked_reasons: {reason.code for reason in Reason if reason.outcome is Outcome.PARKED},
    completions.outcomes: {outcome.code for outcome in Outcome},
    completions.transmitted: {each.code for each in Transmitted},
    completions.event_types: {kind.code for kind in EventType},
    completions.hold_scopes: {scope.value for scope in HoldScope},
    completions.starts: {"earliest", "latest", "ledger"},
}


def ask(shell: str, line: str, program: str = GATEWAY, **environment: str) -> list[str]:
    """What a shell is offered for the end of this line; it runs the program with the line in its environment."""
    words = line.split(" ")
    variables = {
        "bash": {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)},
        "zsh": {"_TYPER_COMPLETE_ARGS": line},
    }[shell]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env=kept | variables | environment | {"_GATEWAY_COMPLETE": f"complete_{shell}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stderr == ""
    return ended.stdout.splitlines()


@pytest.mark.parametrize(("completer", "words"), COMPLETERS.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_a_completer_offers_its_whole_set(completer: Callable[[], completions.Offer], words: set[str]) -> None:
    """And says of each word what it means: zsh shows that beside it."""
    offered = completer()
    assert {word for word, _ in offered} == words
    assert len(offered) == len(words)
    assert all(sentence for _, sentence in offered)


def parameters(command: object, name: str = "gateway") -> Iterator[tuple[str, TyperArgument | TyperOption]]:
    """Every option and argument, by what is typed before it."""
    if isinstance(command, TyperGroup):
        for inner in command.commands:
            yield from parameters(command.commands[inner], f"{name} {inner}")
    elif isinstance(command, TyperCommand):
        for each in command.params:
            yield f"{name} {each.opts[0]}", each


@pytest.mark.parametrize(
    ("option", "completer"),
    [
        ("--outcome", completions.outcomes),
        ("--transmitted", completions.transmitted),
        ("--event-type", completions.event_types),
        ("--parked-reason", completions.parked_reasons),
        ("--ledger-reason", completions.reasons),
        ("scope", completions.hold_scopes),
        ("init --from", completions.starts),
    ],
)
def test_a_closed_set_is_offered_wherever_an_option_takes_one(
    option: str, completer: Callable[[], completions.Offer]
) -> None:
    """A command that is new offers what the others do."""
    found = {
        name: {item.value for item in each.shell_complete(typer.Context(typer.main.get_command(app)), "")}
        for name, each in parameters(typer.main.get_command(app))
        if name.endswith(f" {option}")
    }
    words = {word for word, _ in completer()}
    assert found, f"no command takes {option}"
    assert {name: offered for name, offered in found.items() if not offered or not offered <= words} == {}


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_commands_are_offered(shell: str) -> None:
    """Families first, then what is in one; no more than fits what is typed."""
    families = "\n".join(ask(shell, "gateway s"))
    assert "settings" in families
    assert "schemas" in families
    assert "topics" not in families
    inside = "\n".join(ask(shell, "gateway topics "))
    assert all(name in inside for name in ("acls", "check", "create"))


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_options_are_offered_though_the_settings_are_wrong(shell: str) -> None:
    """A Tab reads no settings: a mistake in them must not print into the line that is being typed."""
    offered = "\n".join(ask(shell, "gateway lanes init --f", GATEWAY_CONFIG="/nowhere/gateway.toml"))
    assert "--from" in offered
    assert "--force" in offered
    assert "--lane" not in offered


PROGRAM = """
import typer
from typing import Annotated
from gateway.cli import completions
app = typer.Typer()
@app.command()
def show(reason: Annotated[str, typer.Option(autocompletion=completions.reasons)] = ""): ...
app(prog_name="gateway")
"""


def test_bash_is_offered_the_words_that_fit() -> None:
    """One on a line, and nothing else."""
    assert ask("bash", "gateway --reason consent_s", PROGRAM) == ["consent_superseded_version"]
    assert ask("bash", "gateway --reason consent_w", PROGRAM) == ["consent_withdrawn"]
    assert ask("bash", "gateway --reason nonesuch", PROGRAM) == [""]


def test_zsh_is_offered_the_words_with_their_sentences() -> None:
    """In the form that zsh's own _arguments takes."""
    offered = "\n".join(ask("zsh", "gateway --reason consent_w", PROGRAM))
    assert offered == '_arguments \'*: :(("consent_withdrawn":"The subject withdrew consent."))\''


def test_bash_itself_completes(tmp_path: Path) -> None:
    """The script that the gateway prints, taken by a real bash, fills in what the gateway offers."""
    command = tmp_path / "gateway"
    command.write_text(f"#!{sys.executable}\n{GATEWAY}\n", "utf-8")
    command.chmod(0o755)
    script = """
    eval "$(_GATEWAY_COMPLETE=source_bash gateway)"
    COMP_WORDS=(gateway top) COMP_CWORD=1
    _gateway_completion gateway
    echo "${COMPREPLY[@]}"
    """
    path = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    ended = subprocess.run(
        ["bash", "--norc", "-c", script], env=os.environ | path, capture_output=True, text=True, check=True
    )
    assert ended.stdout.split() == ["topics"], ended.stderr
