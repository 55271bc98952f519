"""Processes seen from outside."""

import subprocess
import sys

from load.measure import FAMILY_EVERY, Process
from load.result import Kind

BUSY = "sum(range(10**6))"
CHILD = f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", "for _ in range(10): {BUSY}"])
print("done", flush=True)
sys.stdin.read()
"""


def test_what_a_child_spent_is_its_parents_too() -> None:
    """Also when it has ended; and when the process itself has ended, what it had spent stays."""
    with subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        process = Process(Kind.GATEWAY, child.pid)
        assert child.stdout is not None
        assert child.stdout.readline() == b"done\n"
        for _ in range(FAMILY_EVERY):
            process.look()
        spent, memory = process.cpu_seconds, process.rss_mb
        assert spent > 0.1
        assert memory > 1
    process.look()
    assert process.cpu_seconds >= spent
    assert process.most_rss_mb >= memory
