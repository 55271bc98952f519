"""The pages that are written from the code: as new as it."""

import subprocess
import sys

import pytest

from gateway import docs

PAGES = docs.render()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_page_is_as_new_as_the_code(path) -> None:
    """Each page is what the code says now; `python -m gateway.docs` writes it."""
    assert path.exists(), f"{path.name} is missing: run python -m gateway.docs"
    assert path.read_text("utf-8") == PAGES[path], f"{path.name} is stale: run python -m gateway.docs"


def test_no_page_is_left_of_what_is_gone() -> None:
    """A code that was taken away takes its page with it."""
    pages = {path for path in PAGES if path.suffix == ".md"}
    assert {path for directory in {page.parent for page in pages} for path in directory.iterdir()} == pages


def test_a_page_of_the_runbook_says_what_it_means_what_to_check_and_what_to_type() -> None:
    """And links to the pages of other codes that it names, never to itself."""
    page = PAGES[docs.DIRECTORY.with_name("runbook") / "genie_clock.md"]
    assert [line for line in page.splitlines() if line.startswith("#")] == [
        "# `genie_clock`: a lane has stopped",
        "## What to check",
        "## What to type",
        "## What a replay does",
    ]
    assert "[`future_event`](future_event.md)" in page
    assert "(genie_clock.md)" not in page


def test_check_names_a_stale_page_and_writes_nothing(tmp_path, monkeypatch, capsys) -> None:
    """--check ends with status 1, names each page that is not what the code says, and leaves it alone."""
    monkeypatch.setattr(docs, "DIRECTORY", tmp_path / "docs" / "reference")
    monkeypatch.setattr(sys, "argv", ["docs", "--check"])
    assert docs.main() == 1
    assert "docs/reference/metrics.md: stale" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_pages_are_written_once(tmp_path, monkeypatch, capsys) -> None:
    """Without --check stale pages are written, and a second run finds nothing to do."""
    monkeypatch.setattr(docs, "DIRECTORY", tmp_path / "docs" / "reference")
    monkeypatch.setattr(sys, "argv", ["docs"])
    assert docs.main() == 0
    assert "`no_consent`" in (tmp_path / "docs" / "reference" / "reasons.md").read_text("utf-8")
    capsys.readouterr()
    assert docs.main() == 0
    assert capsys.readouterr().out == ""


def test_it_runs_as_a_module() -> None:
    """`python -m gateway.docs --help` says what it does."""
    ended = subprocess.run([sys.executable, "-m", "gateway.docs", "--help"], capture_output=True, text=True, check=True)
    assert "--check" in ended.stdout
