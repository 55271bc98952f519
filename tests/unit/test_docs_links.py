"""The pages for people: every relative link leads somewhere, and every command that they name exists."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from gateway.cli import app

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
# In code, not in prose: a sentence may well begin with "gateway processes".
_COMMANDS = re.compile(r"(?:^|[`(|;] ?|\$ |/)gateway ((?:[a-z]+ ?)+)", re.MULTILINE)
_CODE = re.compile(r"```.*?\n(.*?)```|`([^`\n]+)`", re.DOTALL)


def links() -> Iterator[tuple[Path, str]]:
    """Every relative link outside of code."""
    for page in PAGES:
        for target in _LINK.findall(_FENCE.sub("", page.read_text("utf-8"))):
            if "://" not in target:
                yield page, target


def anchors(page: Path) -> set[str]:
    """What a page's headings are called in links, as GitHub does it."""
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(page.read_text("utf-8")))
    return {word.replace(" ", "-") for word in words}


def named_commands() -> Iterator[tuple[Path, str]]:
    """The words behind `gateway` wherever a page shows code."""
    for page in PAGES:
        for block, inline in _CODE.findall(page.read_text("utf-8")):
            for words in _COMMANDS.findall(block or inline):
                yield page, words.strip()


def exists(words: str) -> bool:
    """Whether these words are a command with its arguments, or a family of commands."""
    command = typer.main.get_command(app)
    for word in words.split():
        if not isinstance(command, TyperGroup):
            return True
        if word not in command.commands:
            return False
        command = command.commands[word]
    return True


@pytest.mark.parametrize(("page", "target"), list(links()), ids=lambda value: str(getattr(value, "name", value)))
def test_a_link_leads_somewhere(page: Path, target: str) -> None:
    """The file is there, and the heading in it."""
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    assert file.exists(), f"{page.relative_to(ROOT)}: {target}"
    assert not anchor or anchor in anchors(file), f"{page.relative_to(ROOT)}: no heading for {target}"


def test_every_command_that_a_page_names_exists() -> None:
    """Nobody is told to type what this release does not have."""
    named = list(named_commands())
    assert len(named) > len(PAGES), "the pages show no commands: is the pattern right?"
    assert sorted({f"{page.relative_to(ROOT)}: gateway {words}" for page, words in named if not exists(words)}) == []


@pytest.mark.parametrize("words", ["replays", "replay applied", "topics mend", "dev send"])
def test_a_command_that_does_not_exist_is_seen(words: str) -> None:
    """The test above can fail: a command of a later release, or a misspelt one."""
    assert not exists(words)


def test_no_page_is_left_out_of_the_index() -> None:
    """Every page under docs is linked from docs/README.md."""
    index = ROOT / "docs" / "README.md"
    linked = {(page.parent / target.partition("#")[0]).resolve() for page, target in links() if page == index}
    assert [page for page in index.parent.rglob("*.md") if page != index and page not in linked] == []
