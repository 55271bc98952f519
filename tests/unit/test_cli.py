"""The command line as such: what ends a command, and that no command pays for another."""

import subprocess
import sys

import orjson
import pytest
import typer

from gateway import cli
from gateway.cli.errors import CommandError, Exit


@pytest.fixture
def failing_command(monkeypatch: pytest.MonkeyPatch) -> None:
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command()
    def fail(as_json: cli.answers.AsJson = False) -> None:
        raise CommandError(Exit.FOUND_WRONG, "topic x has 2 partitions, 3 are needed: create it anew")

    monkeypatch.setattr(cli, "app", app)


@pytest.mark.usefixtures("failing_command")
def test_a_foreseen_error_is_one_message(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A CommandError ends the program with its status and one line on standard error."""
    monkeypatch.setattr(sys, "argv", ["gateway"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert capsys.readouterr() == ("", "error: topic x has 2 partitions, 3 are needed: create it anew\n")


@pytest.mark.usefixtures("failing_command")
def test_a_foreseen_error_is_json_on_request(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --json the same error is one JSON value on standard output."""
    monkeypatch.setattr(sys, "argv", ["gateway", "--json"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    out, err = capsys.readouterr()
    assert orjson.loads(out)["error"]["kind"] == "found_wrong"
    assert err == ""


def test_wrong_use_has_status_2() -> None:
    """An unknown option ends with status 2."""
    ended = subprocess.run(
        [sys.executable, "-m", "gateway", "dev", "kafka", "--no-such"], capture_output=True, check=False
    )
    assert ended.returncode == 2


def test_help_loads_nothing_heavy() -> None:
    """Building the command line imports no Kafka client, HTTP client, server or sandbox part."""
    heavy = ["aiokafka", "httpx", "aiohttp", "faker", "jgo", "fastavro", "lmdb", "gateway.sandbox"]
    code = f"import sys, gateway.cli; print(*[name for name in {heavy} if name in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert ended.stdout.split() == []
