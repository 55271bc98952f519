"""The pages for people: every relative link leads somewhere, and every page is found."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
_FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


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


@pytest.mark.parametrize(("page", "target"), list(links()), ids=lambda value: str(getattr(value, "name", value)))
def test_a_link_leads_somewhere(page: Path, target: str) -> None:
    """The file is there, and the heading in it."""
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    assert file.exists(), f"{page.relative_to(ROOT)}: {target}"
    assert not anchor or anchor in anchors(file), f"{page.relative_to(ROOT)}: no heading for {target}"


def linked_from(page: Path) -> set[Path]:
    """The pages that this one links to."""
    return {(page.parent / target.partition("#")[0]).resolve() for each, target in links() if each == page}


def test_no_page_is_left_out_of_the_index() -> None:
    """Every page under docs is linked from docs/README.md, those of single codes from the runbook."""
    docs = ROOT / "docs"
    found = {docs / "README.md", *linked_from(docs / "README.md"), *linked_from(docs / "runbook.md")}
    assert set(docs.rglob("*.md")) - found == set()
