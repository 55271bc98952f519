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
QUIETLY = ["-qq", "--no-header", "--no-summary"]


def run(survivors: Iterable[str]) -> dict[str, Verdict]:
    """The verdicts on those of these mutants that are of functions which run during imports."""
    known = json.loads(VERDICTS.read_text()) if VERDICTS.is_file() else {}
    early = set(json.loads(_python("tests.mutants.anew", "stats").stdout.splitlines()[-1]))
    names = [name for name in survivors if library.function(name) in early]
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


def _tell_what_imports_run() -> None:
    """On a last line of its own, after what pytest says."""
    pytest.main([*QUIETLY, "--collect-only", *library.arguments()])
    sys.stdout.write(f"\n{json.dumps(sorted(state()._stats))}\n")


if __name__ == "__main__":
    _tell_what_imports_run()
