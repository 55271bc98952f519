"""What excuses a mutant that survived, and what mutmut's words mean."""

from pathlib import Path

import pytest

from tests.mutants import __main__ as command
from tests.mutants import equivalent, library
from tests.mutants.library import Change, Verdict

LISTED = Change("order.reach", "a < b", "a <= b")
OTHER = Change("order.reach", "a < b", "a > b")


def listing(directory: Path, monkeypatch: pytest.MonkeyPatch, why: str = "they are never equal") -> None:
    file = directory / "equivalent.toml"
    file.write_text(f'[[equivalent]]\nwhere = "order.reach"\nwas = "a < b"\nnow = "a <= b"\nwhy = "{why}"\n')
    monkeypatch.setattr(equivalent, "LIST", file)


def test_what_is_listed_is_excused_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Function, line before and line after must all be the same."""
    listing(tmp_path, monkeypatch)
    assert equivalent.sort_out({"one": LISTED, "two": OTHER}) == (frozenset({"one"}), [])


def test_an_excuse_that_is_not_needed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the list would grow for ever."""
    listing(tmp_path, monkeypatch)
    assert equivalent.sort_out({"two": OTHER}) == (frozenset(), ["order.reach: a < b -> a <= b"])


def test_an_excuse_has_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A blank one is none."""
    listing(tmp_path, monkeypatch, why=" ")
    with pytest.raises(ValueError, match="no reason for order"):
        equivalent.sort_out({"one": LISTED})


def test_the_list_as_it_is_can_be_read() -> None:
    """Every entry is whole."""
    equivalent.sort_out({})


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        ("killed", Verdict.CAUGHT),
        ("segfault", Verdict.CAUGHT),
        ("timeout", Verdict.TIMED_OUT),
        ("survived", Verdict.SURVIVED),
        ("no tests", Verdict.SURVIVED),
    ],
)
def test_a_mutant_that_no_test_reaches_has_survived(status: str, verdict: Verdict) -> None:
    """What mutmut calls it is not what counts."""
    assert library.verdict(status) is verdict


def test_a_mutant_that_was_not_tried_has_no_verdict() -> None:
    """An interrupted run is no result."""
    with pytest.raises(RuntimeError, match="not checked"):
        library.verdict("not checked")


def test_a_module_that_is_not_there_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before any mutant is made, with the names of those that are."""
    monkeypatch.delattr(library, "forget_what_is_outdated")
    with pytest.raises(SystemExit) as ended:
        command.main(["lane", "nope"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "'nope'" in said
    assert "batching, canonical" in said


def test_without_a_verdict_there_is_no_success(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing was tried, so nothing is known."""
    monkeypatch.chdir(library.ROOT)
    monkeypatch.setattr(library, "forget_what_is_outdated", lambda: None)
    monkeypatch.setattr(library, "run", lambda modules: True)
    monkeypatch.setattr(library, "verdicts", lambda modules: {})
    assert command.main(["reasons"]) == command.COULD_NOT
    assert "reasons" in capsys.readouterr().err
