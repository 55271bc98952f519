"""The commands that keep accounts: what they print, and what they refuse."""

import json
from pathlib import Path

import pytest

from load import kept, report
from load.__main__ import main
from tests.load.kept_results import KEPT, result


def test_stages_ends_in_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    """The table comes first, and the last line has each stage by name."""
    assert main(["stages", "metrics"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("stage")
    assert json.loads(lines[-1]).keys() == {"metrics"}


@pytest.mark.parametrize("arguments", [["nonsense"], ["--keep", "metrics"]])
def test_stages_refuses_wrong_use(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A stage that there is not, and keeping a part as if it were the whole."""
    assert main(["stages", *arguments]) == 2
    assert capsys.readouterr().err


def test_report_keeps_rounds_and_writes_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a command wrote with --json is in the pages afterwards."""
    put: list[str] = []
    monkeypatch.setattr(kept, "keep_rounds", lambda rounds: put.extend(each.scenario for each in rounds))
    monkeypatch.setattr(kept, "read", lambda: KEPT)
    monkeypatch.setattr(report, "write", lambda _: [tmp_path / "performance.md"])
    assert main(["report", str(_written(tmp_path))]) == 0
    assert put == ["steady"]
    assert json.loads(capsys.readouterr().out) == {"written": ["performance.md"]}


def test_report_keeps_nothing_of_a_file_with_a_void_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A round that lost something counts for nothing, and is named."""
    monkeypatch.setattr(kept, "keep_rounds", lambda _: pytest.fail("kept"))
    assert main(["report", str(_written(tmp_path, verdict={"lost": 1}))]) == 1
    assert "steady" in capsys.readouterr().err


def _written(where: Path, **changes: object) -> Path:
    path = where / "rounds.json"
    path.write_text(json.dumps([result(scenario="steady", **changes).to_json()]), "utf-8")
    return path
