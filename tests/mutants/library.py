"""mutmut, as it is used here: how it is run, and what it says of each mutant."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from enum import Enum
from functools import cache
from pathlib import Path
from typing import NamedTuple

from mutmut.configuration import config
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code

ROOT = Path(__file__).parent.parent.parent
WORK = ROOT / "mutants"  # mutmut's directory: the sources with all mutants in them, the tests, its notes
STAMP = WORK / "inputs.sha256"
INPUTS = ("gateway", "schemas", "tests", "pyproject.toml")
CORE = Path("gateway/core")
WORKERS = 2
LAST_LINES = 40  # of what it said, if it fails
# Few examples and the same ones each time: a verdict must not depend on luck.
ENVIRONMENT = {**os.environ, "HYPOTHESIS_PROFILE": "few", "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}


class Verdict(Enum):
    """What became of a mutant."""

    CAUGHT = "caught"
    TIMED_OUT = "timed out"  # it never ends: caught, too
    SURVIVED = "survived"


class Change(NamedTuple):
    """What a mutant changes: where, and the line before and after."""

    where: str
    was: str
    now: str


def forget_what_is_outdated() -> None:
    """A verdict holds for this code and these tests only."""
    digest = hashlib.sha256()
    for path in sorted(file for part in INPUTS for file in [ROOT / part, *(ROOT / part).rglob("*")] if file.is_file()):
        if "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    if not STAMP.is_file() or STAMP.read_text() != digest.hexdigest():
        shutil.rmtree(WORK, ignore_errors=True)
        WORK.mkdir()
        STAMP.write_text(digest.hexdigest())


def run(modules: Sequence[str]) -> bool:
    """Try every mutant of these core modules (of all, if none is named) that has no verdict; False if it can't."""
    command = [Path(sys.executable).with_name("mutmut"), "run", "--max-children", str(WORKERS)]
    command += [f"gateway.core.{module}.*" for module in modules]
    last: deque[str] = deque(maxlen=LAST_LINES)
    with subprocess.Popen(
        command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:  # each \\r of its progress ends one, too
            last.append(line)
            progress(line.rstrip())
    if process.returncode:
        sys.stderr.write("".join(last))
    return not process.returncode


def progress(text: str) -> None:
    """One line, written again and again, for who looks on."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{text}")


def arguments() -> list[str]:
    """pytest's, as mutmut gives them: how to run, and which tests."""
    settings = config()
    return [*settings.pytest_add_cli_args, *settings.pytest_add_cli_args_test_selection]


def verdicts(modules: Sequence[str]) -> dict[str, Verdict]:
    """What became of each mutant, by its name."""
    found = {}
    for path in sorted((ROOT / CORE).glob("*.py")):
        if not modules or path.stem in modules:
            codes = _data(path.stem).exit_code_by_key
            found |= {name: verdict(status_by_exit_code[code]) for name, code in codes.items()}
    return found


def verdict(status: str) -> Verdict:
    """mutmut's word for it in ours."""
    if status in ("survived", "no tests"):
        return Verdict.SURVIVED
    if status in ("not checked", "check was interrupted by user", "skipped"):
        raise RuntimeError(f"a mutant was not tried: {status}")
    return Verdict.TIMED_OUT if status == "timeout" else Verdict.CAUGHT


def module(name: str) -> str:
    """The core module of a mutant."""
    return name.removeprefix("gateway.core.").partition(".")[0]


def function(name: str) -> str:
    """The function that a mutant is of, as mutmut spells it."""
    return name.rpartition("__mutmut_")[0]


def change(name: str) -> Change:
    """What it changes."""
    path = CORE / f"{module(name)}.py"
    lines = get_diff_for_mutant(name, path=path).split("\n")[2:]
    was, now = (" ".join(line[1:].strip() for line in lines if line[:1] == sign) for sign in "-+")
    where = function(name).rpartition(".")[2].replace("ǁ", ".").removeprefix("x_").removeprefix("x.")
    return Change(f"{module(name)}.{where}", was, now)


@cache
def _data(stem: str) -> SourceFileMutationData:
    data = SourceFileMutationData(path=CORE / f"{stem}.py")
    data.load()
    return data
