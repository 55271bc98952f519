"""What is refused before anything starts, and what a run is told from its counts."""

from pathlib import Path

import pytest

from tests.chaos import __main__ as command
from tests.chaos.run import MOST_ENDS_A_TROUBLE, too_many_ends


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--minutes", "0"], "is no number from"),
        (["--minutes=-1"], "is no number from"),
        (["--minutes", "nan"], "is no number from"),
        (["--minutes", "many"], "is no number from"),
        (["--seed", "one"], "is no whole number from"),
        (["--without", "nope"], "there are: a_body_for_each_attempt, "),
    ],
)
def test_wrong_arguments_start_nothing(
    arguments: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 2, a sentence that says what there is, and no directory."""
    directory = tmp_path / "run"
    with pytest.raises(SystemExit) as ended:
        command.main(["--directory", str(directory), *arguments])
    assert ended.value.code == 2
    assert says in capsys.readouterr().err
    assert not directory.exists()


def test_what_is_interrupted_says_where_its_data_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And ends as interrupted programs do."""

    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "_run", interrupted)
    assert command.main(["--directory", str(tmp_path)]) == command.INTERRUPTED
    assert str(tmp_path) in capsys.readouterr().err


def test_gateways_may_end_by_themselves_as_often_as_troubles_explain() -> None:
    """Who is killed does not end by itself: kills explain nothing."""
    happened = {"broker_kill": 1, "kafka_link cut": 2, "stop_at sending": 1, "kill": 50, "kill_at sending": 50}
    most = 4 * MOST_ENDS_A_TROUBLE
    assert too_many_ends(most, happened) == []
    assert too_many_ends(most + 1, happened) == [
        f"gateways ended by themselves {most + 1} times; the 4 troubles explain {most} at the most"
    ]
