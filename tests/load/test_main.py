"""What the command refuses before anything starts, and how it ends when something goes wrong."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.sandbox.demo.children import ChildError
from load import __main__ as command
from load import bench, kept, quick, report
from load.result import Result
from tests.load.results import SOUND


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "required: COMMAND"),
        (["fast"], "invalid choice: 'fast'"),
        (["run", "--scenario", "nope"], "invalid choice: 'nope'"),
        (["run", "--rate", "0"], "is no number above 0"),
        (["run", "--rate", "many"], "is no number above 0"),
        (["run", "--minutes", "nan"], "is no number above 0"),
        (["run", "--minutes", "-1"], "is no number above 0"),
    ],
)
def test_wrong_arguments_start_nothing(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 2, and a sentence that says what is wrong."""
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)
    assert ended.value.code == 2
    assert says in capsys.readouterr().err


def test_help_names_every_scenario(capsys: pytest.CaptureFixture[str]) -> None:
    """With its sentence."""
    from load.scenarios import SCENARIOS

    with pytest.raises(SystemExit):
        command.main(["--help"])
    told = capsys.readouterr().out
    assert all(f"{name} " in told and scenario.sentence in told for name, scenario in SCENARIOS.items())


def test_what_lay_in_a_directory_is_not_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A directory must be new or empty."""
    (tmp_path / "earlier").touch()
    with pytest.raises(SystemExit) as ended:
        command.main(["quick", "--directory", str(tmp_path)])
    assert ended.value.code == 2
    assert "is not empty" in capsys.readouterr().err


def test_quick_ends_in_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what was promised in it, and everything in the file that was asked for."""

    async def done(*_: object) -> quick.Quick:
        return quick.Quick(SOUND, SOUND)

    monkeypatch.setattr(quick, "quick", done)
    assert command.main(["quick", "--json", str(tmp_path / "all.json")]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {
        "gateway_cpu_us_per_event": 40.0,
        "baseline_cpu_us_per_event": 1_000.0,
        "events_per_second": 20_000,
        "latency_ms": {"p50": 40.0, "p99": 90.0},
        "rss_mb": 120.0,
        "verified": True,
    }
    kept = json.loads((tmp_path / "all.json").read_text())
    assert [Result.from_json(each) for each in kept] == [SOUND, SOUND]


def test_a_void_round_is_a_failure(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 1, whatever the figures."""

    async def done(*_: object) -> quick.Quick:
        return quick.Quick(SOUND, replace(SOUND, verdict={"lost": 1}))

    monkeypatch.setattr(quick, "quick", done)
    assert command.main(["quick"]) == 1
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["verified"] is False


def test_a_bench_writes_the_report_from_rounds_that_count(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And is a failure all the same where one of them does not."""
    void = replace(SOUND, scenario="single", provided=0)
    written: list[list[Result]] = []

    async def done(*_: object) -> list[Result]:
        return [SOUND, void]

    monkeypatch.setattr(bench, "several", done)
    monkeypatch.setattr(kept, "keep_rounds", written.append)
    monkeypatch.setattr(kept, "read", lambda: "what is kept")
    monkeypatch.setattr(report, "write", written.append)
    assert command.main(["bench"]) == 1
    assert written == [[SOUND], "what is kept"]
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [(each["scenario"], each["verified"]) for each in told["rounds"]] == [("backlog", True), ("single", False)]
    assert told["verified"] is False


@pytest.mark.parametrize(("unreachable", "status"), [(False, 1), (True, 3)])
def test_what_breaks_is_said(
    unreachable: bool,
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With where to look; the last line is JSON all the same."""

    async def fails(*_: object) -> list[Result]:
        raise ChildError("genie ended by itself", unreachable=unreachable)

    monkeypatch.setattr(bench, "several", fails)
    with pytest.raises(SystemExit) as ended:
        command.main(["run", "--directory", str(tmp_path)])
    assert ended.value.code == status
    told = capsys.readouterr()
    assert "genie ended by itself" in told.err
    assert str(tmp_path) in told.err
    assert json.loads(told.out)["verified"] is False


def test_what_is_interrupted_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """And ends as interrupted programs do."""

    async def interrupted(*_: object) -> quick.Quick:
        raise KeyboardInterrupt

    monkeypatch.setattr(quick, "quick", interrupted)
    assert command.main(["quick"]) == command.INTERRUPTED
    assert "interrupted" in capsys.readouterr().err
