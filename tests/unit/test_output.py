"""Commands whose answer does not arrive: on a full disk, and at a reader that has read enough."""

import subprocess
import sys
from pathlib import Path

import pytest

from gateway.cli import output
from gateway.cli.errors import Exit

FULL = Path("/dev/full")
COMMANDS = [["settings"], ["settings", "--json"], ["--help"], ["topics", "acls", "--user", "gateway=one"]]
BOUND_S = 60


def run(arguments: list[str], stdout: int) -> tuple[int, str]:
    """Exit status, and what went to standard error."""
    command = [sys.executable, "-m", "gateway", *arguments]
    ended = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=BOUND_S, check=False)
    return ended.returncode, ended.stderr


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_full_disk_is_one_message(arguments: list[str]) -> None:
    """It says what happened; no traceback, nothing of Python's own at the end."""
    with FULL.open("w") as full:
        status, told = run(arguments, full.fileno())
    assert status == Exit.FOUND_WRONG
    (line,) = told.splitlines()
    assert line.startswith("error: standard output can't be written: No space left on device.")


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_reader_that_has_read_enough_is_nothing_wrong(arguments: list[str]) -> None:
    """As `| head`: a status of its own, and no word."""
    with subprocess.Popen(["true"], stdin=subprocess.PIPE) as reader:
        reader.wait(BOUND_S)
        assert reader.stdin is not None
        assert run(arguments, reader.stdin.fileno()) == (output.READER_GONE, "")


def test_what_arrives_is_as_printed() -> None:
    """Text that is not ASCII too, in the encoding that is asked for."""
    code = "from gateway.cli import output; output.watch(); print('架空'); import sys; sys.stdout.buffer.write(b'x')"
    made = subprocess.run([sys.executable, "-X", "utf8", "-c", code], capture_output=True, timeout=BOUND_S, check=True)
    assert made.stdout.decode() in ("架空\nx", "x架空\n")
