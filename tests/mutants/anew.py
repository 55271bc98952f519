"""Mutants of what runs while modules are imported: tried once more, each in a process that imports them changed.

mutmut forks from a process that has imported everything already. There a change of a function that makes a table or
a check once, when its module is imported, comes too late to be noticed.
"""

import json
import resource
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest
from mutmut.state import state

from tests.mutants import library
from tests.mutants.library import Verdict

VERDICTS = library.WORK / "anew.json"
CPU_SECONDS = 120  # a whole run of the tests takes a fifth of it
NOBODY = "none"  # no mutant has this name
QUIETLY = ["-qq", "--no-header", "--no-summary"]


class RenamedError(Exception):
    """Tests have other names when they are collected a second time in one process, as mutmut does: it can't run them,
    and takes that for a failure. (pytest escapes twice what a function given as `ids` returns beyond ASCII.)"""


def run(survivors: Iterable[str]) -> dict[str, Verdict]:
    """The verdicts on those of these mutants that are of functions which run during imports."""
    known = json.loads(VERDICTS.read_text()) if VERDICTS.is_file() else {}
    told = json.loads(_python("tests.mutants.anew", "stats").stdout.splitlines()[-1])
    if told["renamed"]:
        raise RenamedError(*told["renamed"])
    early = set(told["early"])
    names = [name for name in survivors if library.function(name) in early]
    if names and _try(NOBODY)[1] is not Verdict.SURVIVED:
        raise RuntimeError(f"the tests do not pass in {library.WORK} without any mutant")
    with ThreadPoolExecutor(library.WORKERS) as pool:
        for name, verdict in pool.map(_try, [name for name in names if name not in known]):
            known[name] = verdict.value
            VERDICTS.write_text(json.dumps(known, indent=1))
            library.progress(f"{len(known)} tried anew")
    return {name: Verdict(known[name]) for name in names}


def _try(name: str) -> tuple[str, Verdict]:
    status = _python("pytest", name, *QUIETLY, "-x", *library.arguments()).returncode
    if status == 0:
        return name, Verdict.SURVIVED
    return name, Verdict.CAUGHT if status > 0 else Verdict.TIMED_OUT  # pytest's own status; else a signal's number


def _python(module: str, mutant: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A module run where the mutants are, with one of them in place from the first import on."""
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=library.WORK,
        env={**library.ENVIRONMENT, "MUTANT_UNDER_TEST": mutant},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS)),
    )


class _Names:
    """A pytest plugin that remembers the tests that were collected."""

    def __init__(self) -> None:
        self.found: set[str] = set()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        self.found = {item.nodeid for item in items}


def _tell_what_imports_run() -> None:
    """On a last line of its own, after what pytest says."""
    first, again = _Names(), _Names()
    for names in (first, again):
        pytest.main([*QUIETLY, "--collect-only", *library.arguments()], plugins=[names])
    told = {"early": sorted(state()._stats), "renamed": sorted(first.found - again.found)}
    sys.stdout.write(f"\n{json.dumps(told)}\n")


if __name__ == "__main__":
    _tell_what_imports_run()
