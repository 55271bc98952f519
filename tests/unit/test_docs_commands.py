"""What people are told to type: every command line of the pages, of the advice and of the help itself can be typed.

A line is taken apart as a shell does it, and parsed by the command that it names: the command, each option, the number
of arguments and the words of closed sets must be there. Nothing is run. CAPITALS are for the reader to fill in.
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
import typer
from typer._click.exceptions import BadParameter, UsageError
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from gateway.cli import app
from gateway.oncall import advice

ROOT = Path(__file__).parents[2]
TREE = ROOT / "docs" / "reference" / "cli.md"  # written from the commands, and in the notation of their usage
PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")} - {TREE})
COMMAND = typer.main.get_command(app)
_CODE = re.compile(r"^ *```.*?\n(.*?)^ *```|`([^`\n]+)`", re.DOTALL | re.MULTILINE)
_PLACEHOLDER = re.compile(r"[A-Z][A-Z0-9_]*(?:[:./-][A-Z0-9_]+)*(?:\.[a-z]+)?").fullmatch
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*=").match
_OPERATORS = set("();<>|&")
_LEFT_OUT = {"...", "…"}


def lines(page: Path) -> Iterator[tuple[str, bool]]:
    """Each piece of code in a page that may be a command line, and whether it is whole: one inside a sentence may leave
    out what the sentence says."""
    for block, inline in _CODE.findall(page.read_text("utf-8")):
        if inline:
            yield inline, False
        for line in block.replace("\\\n", " ").splitlines():
            yield line, True


def commands(line: str) -> Iterator[list[str]]:
    """The words behind each `gateway` that a shell would run for this line."""
    lexer = shlex.shlex(line.strip().removeprefix("$ "), posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, "#"
    try:
        words = list(lexer)
    except ValueError:  # an apostrophe: no command line
        return
    simple: list[list[str]] = [[]]
    for word in words:
        if set(word) <= _OPERATORS:
            simple.append([])
        else:
            simple[-1].append(word)
    for each in simple:
        while each and _VARIABLE(each[0]):
            each.pop(0)
        if each and each[0].rpartition("/")[2] == "gateway":
            yield each[1:]


def mistake(words: list[str], *, whole: bool = True) -> str | None:
    """What is wrong with the words behind `gateway`; None if they can be typed."""
    command: object = COMMAND
    for place, word in enumerate(words):
        if not isinstance(command, TyperGroup):
            return _mistyped(command, words[place:], whole=whole)
        if word in _LEFT_OUT:
            return None
        if word.startswith("-"):
            return _mistyped(command, words[place:], whole=False)
        if word not in command.commands:
            return f"no command {word}"
        command = command.commands[word]
    if isinstance(command, TyperGroup):
        return "a family, no command" if whole and words else None
    return _mistyped(command, [], whole=whole)


def _mistyped(command: object, words: list[str], *, whole: bool) -> str | None:
    assert isinstance(command, TyperCommand | TyperGroup)
    context = typer.Context(command)
    try:
        given, rest, _ = command.make_parser(context).parse_args([word for word in words if word not in _LEFT_OUT])
        if rest:
            return f"more than it takes: {' '.join(rest)}"
        for parameter in command.params:
            value = given.get(parameter.name)
            if value is None or value == []:
                if whole and parameter.required and not parameter.envvar:
                    return f"{parameter.opts[0]} is missing"
                continue
            _check(context, parameter, value)
    except UsageError as error:
        return error.format_message()
    return None


def _check(context: typer.Context, parameter: TyperOption | TyperArgument, value: object) -> None:
    """Raises UsageError if the parameter can't have this value. Whether a file is there is not asked."""
    said = [one for one in (value if isinstance(value, list | tuple) else [value]) if isinstance(one, str)]
    if not said or any(_PLACEHOLDER(one) for one in said):
        return
    annotation = parameter.type_descriptor.annotation
    if Path not in (annotation, *get_args(annotation)):
        parameter.get_runtime_param().coerce(value, param=parameter, ctx=context)
    offered = {item.value for item in parameter.shell_complete(context, "") if item.type == "plain"}
    for one in said:
        if offered and one not in offered and not one[0].isdigit():  # --from takes a time too
            raise BadParameter(f"{one} is none of: {', '.join(sorted(offered))}", context, parameter)


def test_every_command_line_of_the_pages_can_be_typed() -> None:
    """Nobody is told to type what this release does not have."""
    found = 0
    wrong = []
    for page in PAGES:
        for line, whole in lines(page):
            for words in commands(line):
                found += 1
                said = mistake(words, whole=whole)
                if said is not None:
                    wrong.append(f"{page.relative_to(ROOT)}: {line.strip()}: {said}")
    assert found > len(PAGES), "the pages show no commands: are they read as they are written?"
    assert wrong == []


@pytest.mark.parametrize("code", advice.every())
def test_every_command_that_advice_gives_can_be_typed(code: str) -> None:
    """At 3 a.m. nobody wants to learn that an option is called otherwise."""
    for line in advice.of(code).type:
        (words,) = commands(line)
        assert mistake(words) is None, f"{line}: {mistake(words)}"


def helps(command: object, name: str) -> Iterator[tuple[str, str]]:
    """The help of every command."""
    if isinstance(command, TyperGroup):
        for inner in command.commands:
            yield from helps(command.commands[inner], f"{name} {inner}".strip())
    elif isinstance(command, TyperCommand):
        yield name, command.help or ""


@pytest.mark.parametrize(("name", "text"), list(helps(COMMAND, "")), ids=lambda value: value.partition(". ")[0][:40])
def test_the_example_of_a_command_can_be_typed(name: str, text: str) -> None:
    """As it stands, placeholders and all."""
    example = " ".join(text.partition("Example: ")[2].split("\n\n")[0].split())
    (words,) = commands(example)
    assert mistake(words) is None, f"{example}: {mistake(words)}"


@pytest.mark.parametrize(
    "line",
    [
        "gateway replai",
        "gateway topics mend",
        "gateway topics",
        "gateway topics check --prefixed x",
        "gateway topics check --prefix",
        "gateway topics check kafka-1:9092",
        "gateway topics create --partitions many",
        "gateway topics create --partitions 0",
        "gateway lanes init --force",
        "curl -s URL | gateway lanes --force; date",
    ],
)
def test_a_line_that_cannot_be_typed_is_seen(line: str) -> None:
    """The tests above can fail: whatever is wrong with a line."""
    assert [mistake(words) for words in commands(line)] != [None]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("gateway serve", [["serve"]]),
        ("$ GATEWAY_CONFIG=a.toml gateway check --genie  # asks", [["check", "--genie"]]),
        (".venv/bin/gateway settings > settings.txt", [["settings"]]),
        ("gateway check && gateway serve &", [["check"], ["serve"]]),
        ("the gateway serves", []),
        ("gateway_lane_stopped", []),
        ("it doesn't", []),
    ],
)
def test_a_line_is_read_as_a_shell_reads_it(line: str, words: list[list[str]]) -> None:
    """Variables before it, what it is piped into, comments: none of them is the command's."""
    assert list(commands(line)) == words
