"""`gateway demo` as a person runs it: to its verdict through kills, and stopped on the way."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.integration.waiting import until

EVENTS = 2_000  # enough for every outcome
RUN_SECONDS = 120
START_SECONDS = 60
END_SECONDS = 20


def demo(directory: Path, *arguments: str) -> subprocess.Popen[str]:
    """A demo whose files are all below `directory`, so that its processes are known by their arguments."""
    return subprocess.Popen(
        [sys.executable, "-m", "gateway", "demo", "--no-board", *arguments],
        env={**os.environ, "TMPDIR": str(directory)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def processes_of(directory: Path) -> list[str]:
    """The command lines that name something below `directory`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_text(errors="replace")
        except OSError:  # it ended meanwhile
            continue
        if f"{directory}/gateway-demo" in command:
            found.append(command.replace("\0", " "))
    return found


def test_a_run_with_kills_comes_to_a_clean_verdict_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """Killed three times, twice with events at GeNiE that were not settled, and nothing is wrong."""
    report, picture = tmp_path / "report.json", tmp_path / "board.svg"
    arguments = ["--events", str(EVENTS), "--kill", "--report", str(report), "--svg", str(picture)]
    run = demo(tmp_path, *arguments)
    said, _ = run.communicate(timeout=RUN_SECONDS)
    assert run.returncode == 0, said
    found = json.loads(report.read_text())
    assert found["produced"] == found["ledger_records"] == sum(found["outcomes"].values()) == EVENTS
    assert set(found["outcomes"]) == {"PROVIDED", "DUPLICATE", "SUPERSEDED", "WITHHELD", "PARKED", "INVALID"}
    assert found["partner_received"] >= found["outcomes"]["PROVIDED"] > 0
    assert found["reached"]["kills"] == 3
    assert found["reached"]["kills_between_answer_and_settlement"] >= 1
    assert "Nothing lost" in said and "PROVIDED" in said
    assert "<svg" in picture.read_text()
    assert processes_of(tmp_path) == []
    assert {path.name for path in tmp_path.iterdir()} == {"report.json", "board.svg"}


def test_ctrl_c_ends_every_process_and_removes_the_files(tmp_path: Path) -> None:
    """Stopped while events flow: no verdict, so no success; and nothing stays behind."""
    run = demo(tmp_path, "--events", "100000")
    try:
        asyncio.run(until(lambda: "serving" in gateway_log(tmp_path), START_SECONDS, "the gateway serves"))
        run.send_signal(signal.SIGINT)
        said, _ = run.communicate(timeout=END_SECONDS)
    finally:
        run.kill()
    assert run.returncode == 1
    assert "stopped before there was a verdict" in said
    assert processes_of(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def gateway_log(directory: Path) -> str:
    """What the gateway has logged so far."""
    return "".join(path.read_text() for path in directory.glob("gateway-demo-*/gateway-*.log"))
